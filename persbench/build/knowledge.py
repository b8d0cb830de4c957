"""Step 10, knowledge.jsonl: questions of fact from held-out material, each with a right reply and three wrong ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from persbench.build.asking import RATIO, Asker, Request, lengths, same
from persbench.build.memory import Memory, shown
from persbench.packs.schema import Knowledge
from persbench.packs.texts import PackModel, Some, Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persbench.build.material import Piece
    from persbench.build.settings import BuildSettings
    from persbench.build.sheets import Sheet
    from persbench.packs.schema import Stage

FOILS: Final = 3


class KnowledgeEntry(PackModel):
    """A question of fact with its replies."""

    question: Text
    gold: Text
    foils: Annotated[Some[Text], Field(min_length=FOILS, max_length=FOILS)]


class KnowledgeAnswer(PackModel):
    """What `knowledge` answers."""

    items: Some[KnowledgeEntry]


def knowledge_items(
    held: Sequence[Piece],
    settings: BuildSettings,
    stages: Mapping[str, Stage],
    sheets: Mapping[str, Sheet],
    memory: Memory,
    asker: Asker,
) -> list[Knowledge]:
    """Write questions of fact from objective material.

    Args:
        held: Material for tests.
        settings: How many from each unit.
        stages: By id.
        sheets: The voices, by stage.
        memory: What foils may draw on.
        asker: Asks.

    Returns:
        Rows of knowledge.jsonl, at the stage of their unit.
    """
    units = [piece for piece in held if piece.unit.objective]
    requests = [knowledge_request(piece, settings, stages, sheets, memory) for piece in units]
    rows: list[Knowledge] = []
    for piece, answer in zip(units, asker.ask(requests), strict=True):
        for entry in answer.items[: settings.knowledge] if answer else ():
            rows.append(
                Knowledge(
                    id=f"{settings.persona}-k{len(rows) + 1:03}",
                    stage=piece.stage,
                    question=entry.question,
                    gold=entry.gold,
                    foils=entry.foils,
                    materials=(piece.id,),
                )
            )
    return rows


def knowledge_request(
    piece: Piece, settings: BuildSettings, stages: Mapping[str, Stage], sheets: Mapping[str, Sheet], memory: Memory
) -> Request[KnowledgeAnswer]:
    """Ask for questions of fact from one unit."""
    objective, _ = memory.recalled(piece.text, piece.stage, beside=piece.id)
    fields = {
        "name": settings.name,
        "date": stages[piece.stage].date,
        "count": str(settings.knowledge),
        "voice": sheets[piece.stage].voice,
        "passage": piece.passage,
        "objective": shown(objective),
    }
    return Request("knowledge", piece.where, fields, KnowledgeAnswer, _knowledge_sound)


def _knowledge_sound(answer: KnowledgeAnswer) -> str | None:
    for i, entry in enumerate(answer.items):
        replies = {"gold": entry.gold} | {f"foils[{j}]": foil for j, foil in enumerate(entry.foils)}
        if wrong := same(replies) or lengths(replies, RATIO):
            return f"items[{i}]: {wrong}"
    return None
