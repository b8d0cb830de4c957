"""Documents of what grows and what stays: life stages, distinction, traits, and ordinary requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from persbench.harness.documents.alignment import answered
from persbench.harness.documents.base import Document, branch, document_of, stages_of, user, with_candidates
from persbench.systems.base import Situation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persbench.models.chat import Message
    from persbench.packs.instrument import Statement
    from persbench.packs.schema import GeneralDialogue, TraitStatement
    from persbench.systems.base import System

# The response scale of the International Personality Item Pool (ipip.ori.org), from 1 to 5.
OPTIONS: Final = (
    "Very inaccurate",
    "Moderately inaccurate",
    "Neither accurate nor inaccurate",
    "Moderately accurate",
    "Very accurate",
)
STATEMENT: Final = 'Here is a statement: "{text}" How accurately does it describe you, as you are now?'
ASK: Final = STATEMENT + " Answer with one of these words alone: {options}."


def stages(situation: Situation, system: System) -> Iterator[Document]:
    """Yield each item once: its early and its late reply, under both stages."""
    pack, data = situation.pack, situation.data
    lived = stages_of(pack, data)
    if situation.stage != lived[0]:
        return
    for row in data.stage_items:
        if not set(row.replies) <= {stage.id for stage in lived}:
            continue
        item = f"stages/{row.id}"
        document = document_of(situation, system, item, item, row.question, row.kind)
        document["stage"] = "+".join(row.replies)
        with_candidates(
            document,
            [(stage, text, None) for stage, text in row.replies.items()],
            next(iter(row.replies)),
            stage_item_acc=1 / len(row.replies),
            no_future_leak=1 / len(row.replies),
        )
        document["branches"] = [
            branch(stage.id, row.question, system.messages(Situation(pack, data, stage), user(row.question)))
            | {"stage": stage.id}
            for stage in lived
            if stage.id in row.replies
        ]
        yield document


def distinction(situation: Situation, system: System) -> Iterator[Document]:
    """Yield the shared questions, to be answered twice by sampling."""
    for document, golds in answered(situation, system, "distinction"):
        yield with_candidates(document, golds, f"{document['persona']}/{document['stage']}")


def traits(situation: Situation, system: System) -> Iterator[Document]:
    """Yield each statement in its own words under both option orders, and paraphrased under one."""
    data, stage = situation.data, situation.stage.id
    for row in situation.pack.traits:
        item = f"traits/{data.persona.id}/{stage}/{row.id}"
        cluster = f"traits/{row.id}"  # all personas are asked the same statement
        document = document_of(situation, system, item, cluster, _likert(row.text, "ascending"), row.domain)
        document |= {
            "labels": [str(i) for i in range(1, 6)],
            "candidates": list(OPTIONS),
            "stances": [None] * len(OPTIONS),
            "own": None,
            "anchors": None,
            "chance": {},
            "statement": {
                "id": row.id,
                "domain": row.domain,
                "keyed": row.keyed,
                "target": _target(situation, row),
            },
            "branches": [
                branch(f"{form}/{order}", ask, system.messages(situation, user(ask))) | {"plain": plain}
                for form, order, ask, plain in _forms(row)
            ],
        }
        yield document


def _target(situation: Situation, row: TraitStatement | Statement) -> float | None:
    """Return what the persona should score, for the scoring alone: it never enters a message."""
    target = next((t for domain, t in situation.profile.traits.items() if domain == row.domain), None)
    return None if target is None else target.score


def _forms(row: TraitStatement | Statement) -> Iterator[tuple[str, str, str, str]]:
    for form, order in (("text", "ascending"), ("text", "descending"), ("paraphrase", "ascending")):
        text = row.text if form == "text" else row.paraphrase
        if text:
            yield form, order, _likert(text, order), STATEMENT.format(text=text)


def _likert(text: str, order: str) -> str:
    options = OPTIONS if order == "ascending" else OPTIONS[::-1]
    return ASK.format(text=text, options=", ".join(option.lower() for option in options))


def general(situation: Situation, system: System) -> Iterator[Document]:
    """Yield ordinary requests with their reference answers; the stages of a persona take turns."""
    for row, document in _ordinary(situation, system, "general"):
        yield with_candidates(document, [("reference", row.messages[-1].content, None)], "reference")


def general_reply(situation: Situation, system: System) -> Iterator[Document]:
    """Yield ordinary requests to be answered freely."""
    for row, document in _ordinary(situation, system, "general_reply"):
        yield with_candidates(document, [("reference", row.messages[-1].content, None)], "reference")


def _ordinary(situation: Situation, system: System, task: str) -> Iterator[tuple[GeneralDialogue, Document]]:
    data, lived = situation.data, stages_of(situation.pack, situation.data)
    tests = [row for row in situation.pack.general if row.split == "test"]
    for number, row in enumerate(tests):
        if lived[number % len(lived)] != situation.stage:
            continue
        turns: list[Message] = [{"role": m.role, "content": m.content} for m in row.messages[:-1]]
        item = f"{task}/{data.persona.id}/{row.id}"
        document = document_of(situation, system, item, row.id, turns[-1]["content"], "general")
        document["messages"] = system.messages(situation, turns)
        document["turns"] = turns
        yield row, document
