"""Documents of the consistency family: live dialogues of small talk, with probes that branch off at several depths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persbench.harness.documents.base import Document, document_of, with_candidates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persbench.systems.base import Situation, System


def consistency(situation: Situation, system: System) -> Iterator[Document]:
    """Yield one live dialogue a script; which wording of the question is asked at which depth follows a Latin square.

    Over the scripts each wording stands equally often at each depth, so that no wording can pass for a drift.
    """
    pack, data, stage = situation.pack, situation.data, situation.stage.id
    shift = [s.id for s in pack.world.stages].index(stage)
    for number, script in enumerate(pack.cross_turn):
        answer = data.answer(script.question, stage)
        if answer is None or answer.stance is None:
            continue
        question = pack.question(script.question)
        wordings = [question.text, *question.paraphrases]
        item = f"consistency/{data.persona.id}/{stage}/{script.id}"
        document = document_of(situation, system, item, question.id, script.turns[0], "consistency")
        chance = 1 / len(question.stances)
        probes = [
            {"after": depth, "ask": wordings[(number + shift + row) % len(wordings)]}
            for row, depth in enumerate(script.probes_after)
        ]
        with_candidates(
            document,
            [(s.id, s.text, s.id) for s in question.stances],
            answer.stance,
            all_own=chance,  # of a steady guess; three independent ones would make it far less
            own_share=chance,
        )
        document["scripts"] = {"talk": list(script.turns)}
        document["probes"] = {"talk": probes}
        yield document
