"""Documents of the alignment family: knowledge, attitudes and voice against the authored answers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from persbench.harness.documents.base import Document, document_of, stages_of, with_candidates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persbench.packs.pack import Pack
    from persbench.systems.base import Situation, System


def costume(situation: Situation, system: System) -> Iterator[Document]:
    """Yield the own answer, the own voice with another stance, another's voice with the own stance."""
    data, stage = situation.data, situation.stage.id
    for row in data.contrast:
        answer = data.answer(row.question, stage)
        if row.stage != stage or answer is None:
            continue
        question = situation.pack.question(row.question)
        item = f"costume/{data.persona.id}/{stage}/{row.question}"
        document = document_of(situation, system, item, row.question, question.text, "costume")
        yield with_candidates(
            document,
            [
                ("own", answer.reply, answer.stance),
                ("voice_only", row.voice_only.reply, row.voice_only.stance),
                ("stance_only", row.stance_only.reply, answer.stance),
            ],
            "own",
            content_acc=1 / 2,
            voice_acc=1 / 2,
        )


def attitude(situation: Situation, system: System) -> Iterator[Document]:
    """Yield the stances of every shared question that this persona-stage answers."""
    data, stage = situation.data, situation.stage.id
    for answer in data.answers:
        if answer.stage != stage or answer.stance is None:
            continue
        question = situation.pack.question(answer.question)
        item = f"attitude/{data.persona.id}/{stage}/{question.id}"
        document = document_of(situation, system, item, question.id, question.text, "attitude")
        stances = [(s.id, s.text, s.id) for s in question.stances]
        yield with_candidates(document, stances, answer.stance, attitude_acc=1 / len(stances))


def knowledge(situation: Situation, system: System) -> Iterator[Document]:
    """Yield what this persona-stage knows, with foils in the same voice."""
    data, stage = situation.data, situation.stage.id
    for row in data.knowledge:
        if row.stage != stage:
            continue
        item = f"knowledge/{row.id}"
        document = document_of(situation, system, item, item, row.question, "knowledge")
        foils = [(f"foil{i}", text, None) for i, text in enumerate(row.foils, start=1)]
        yield with_candidates(document, [("gold", row.gold, None), *foils], "gold", knowledge_acc=1 / (1 + len(foils)))


def shared_answers(pack: Pack, question: str) -> list[tuple[str, str, str | None]]:
    """Return every persona-stage's answer to a shared question as (label `persona/stage`, reply, stance or None)."""
    return [
        (f"{data.persona.id}/{stage.id}", answer.reply, answer.stance)
        for data in pack.personas
        for stage in stages_of(pack, data)
        if (answer := data.answer(question, stage.id)) is not None
    ]


def who_said(situation: Situation, system: System) -> Iterator[Document]:
    """Yield everybody's answers to the questions that this persona-stage answers."""
    for document, golds in answered(situation, system, "who_said"):
        mine = sum(label.split("/")[0] == document["persona"] for label, _, _ in golds)
        if mine < len(golds):
            label = f"{document['persona']}/{document['stage']}"
            among_own = {"stage_acc": 1 / mine} if mine > 1 else {}  # who lives one stage has no other to be taken for
            yield with_candidates(document, golds, label, persona_acc=mine / len(golds), **among_own)


def reply(situation: Situation, system: System) -> Iterator[Document]:
    """Yield the shared questions, to be answered freely, with everybody's answers as references."""
    for document, golds in answered(situation, system, "reply"):
        nearest = {f"{name}_nearest": 1 / len(golds) for name in ("bleu", "rouge_l", "chrf", "cosine")}
        authors = len({label.split("/")[0] for label, _, _ in golds})
        label = f"{document['persona']}/{document['stage']}"
        yield with_candidates(document, golds, label, **nearest, authorship_acc=1 / authors)


def answered(
    situation: Situation, system: System, kind: str
) -> Iterator[tuple[Document, list[tuple[str, str, str | None]]]]:
    """Yield a document for each shared question this persona-stage answers, with everybody's answers to it."""
    data, stage = situation.data, situation.stage.id
    for answer in data.answers:
        if answer.stage == stage:
            question = situation.pack.question(answer.question)
            item = f"{kind}/{data.persona.id}/{stage}/{question.id}"
            yield (
                document_of(situation, system, item, question.id, question.text, kind),
                shared_answers(situation.pack, question.id),
            )


def stance_holders(pack: Pack, question: str) -> Counter[str]:
    """Count how many persona-stages of the pack hold each stance of a question."""
    return Counter(stance for _, _, stance in shared_answers(pack, question) if stance is not None)
