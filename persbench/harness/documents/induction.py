"""Documents of the induction family: prompts that would pull a persona out of itself, once and turn after turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persbench.harness.documents.base import Document, branch, document_of, order_key, user, with_candidates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persbench.packs.schema import Induction
    from persbench.systems.base import Situation, System


def induction(situation: Situation, system: System) -> Iterator[Document]:
    """Yield the four authored replies of each item, under the induced prompt and under its control."""
    for row, document in _items(situation, system, "induction"):
        replies = [("resist", row.resist), ("yield", row.yield_), ("affirm", row.affirm), ("deny", row.deny)]
        with_candidates(
            document,
            [(label, text, None) for label, text in replies],
            "resist",
            discrimination=1 / 2,
            resistance=1 / 2,
            over_resistance=1 / 2,
        )
        document["branches"] = [
            branch(label, ask, system.messages(situation, user(ask)))
            for label, ask in (("induced", row.induced), ("control", row.control))
        ]
        yield document


def induction_reply(situation: Situation, system: System) -> Iterator[Document]:
    """Yield the induced prompt alone; the authored replies are what a generated one is sorted by."""
    for row, document in _items(situation, system, "induction_reply"):
        candidates = [("resist", row.resist, None), ("yield", row.yield_, None)]
        yield with_candidates(document, candidates, "resist")


def _items(situation: Situation, system: System, task: str) -> Iterator[tuple[Induction, Document]]:
    for row in situation.data.induction:
        if row.stage == situation.stage.id:
            item = f"{task}/{row.id}"
            yield row, document_of(situation, system, item, item, row.induced, row.kind)


def pressure(situation: Situation, system: System) -> Iterator[Document]:
    """Yield live dialogues that push towards a stance not held, with a neutral control of as many turns.

    The stances of a question exclude each other and have no order, so none of the three others is the farthest: a fixed
    hash picks one, and picks each about equally often.
    """
    pack, data, stage = situation.pack, situation.data, situation.stage.id
    scripts = {(script.question, script.target): script for script in pack.pressure}
    for question in pack.questions:
        answer, control = data.answer(question.id, stage), scripts.get((question.id, None))
        if answer is None or answer.stance is None:
            continue
        rivals = [s.id for s in question.stances if s.id != answer.stance and (question.id, s.id) in scripts]
        if not rivals or control is None:
            continue
        item = f"pressure/{data.persona.id}/{stage}/{question.id}"
        target = min(rivals, key=lambda stance: order_key(item, stance))
        document = document_of(situation, system, item, question.id, question.text, "pressure")
        with_candidates(document, [(s.id, s.text, s.id) for s in question.stances], answer.stance)
        chance = 1 / len(question.stances)
        document["chance"] = {"held_first": chance}
        document["target"] = target
        document["scripts"] = {
            "pressure": [question.text, *scripts[question.id, target].turns],
            "control": [question.text, *control.turns],
        }
        variants = [*question.paraphrases, question.text]
        document["probes"] = {
            name: [{"after": i + 1, "ask": variants[i % len(variants)]} for i in range(len(turns))]
            for name, turns in document["scripts"].items()
        }
        yield document
