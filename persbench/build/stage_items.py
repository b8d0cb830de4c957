"""Step 10, stages.jsonl: questions that the stages answer differently, about later events and about what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from persbench.build.asking import RATIO, Asker, Request, lengths, same
from persbench.build.material import fixed_key
from persbench.packs.schema import StageItem
from persbench.packs.texts import PackModel, Some, Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persbench.build.material import Piece
    from persbench.build.settings import BuildSettings
    from persbench.build.sheets import Sheet
    from persbench.packs.schema import Stage

LIVES: Final = 2  # stages that there must be for something to have changed


class StageReply(PackModel):
    """A reply at a stage."""

    stage: str
    reply: Text


class StageItemAnswer(PackModel):
    """What `later-event` and `change` answer."""

    question: Text
    replies: Some[StageReply]


def stage_items(
    held: Sequence[Piece],
    settings: BuildSettings,
    stages: Mapping[str, Stage],
    sheets: Mapping[str, Sheet],
    asker: Asker,
) -> list[StageItem]:
    """Write questions that the stages answer differently: about later events, and about what changed.

    Args:
        held: Material for tests: units of later stages give later events, units of the first stage what changed.
        settings: How many of each kind.
        stages: By id, in order; of a life of one stage there is nothing to tell.
        sheets: Profiles and voices, by stage.
        asker: Asks.

    Returns:
        Rows of stages.jsonl.
    """
    if len(stages) < LIVES:
        return []
    first = next(iter(stages))
    ordered = sorted(held, key=lambda p: fixed_key("stage-item", p.unit.id))
    later = [piece for piece in ordered if piece.stage != first and piece.unit.objective][: settings.stage_items]
    early = [piece for piece in ordered if piece.stage == first or not piece.unit.objective][: settings.stage_items]
    rows: list[StageItem] = []
    plans: list[tuple[Literal["later_event", "change"], str, list[Piece]]] = [
        ("later_event", "later-event", later),
        ("change", "change", early),
    ]
    for kind, task, units in plans:
        requests = [_stage_request(task, piece, settings, stages, sheets) for piece in units]
        for answer in asker.ask(requests):
            if answer is not None:
                replies = {reply.stage: reply.reply for reply in answer.replies}
                name = f"{settings.persona}-s{len(rows) + 1:03}"
                in_order = {stage: replies[stage] for stage in stages}
                rows.append(StageItem(id=name, kind=kind, question=answer.question, replies=in_order))
    return rows


def _stage_request(
    task: str, piece: Piece, settings: BuildSettings, stages: Mapping[str, Stage], sheets: Mapping[str, Sheet]
) -> Request[StageItemAnswer]:
    fields = {
        "name": settings.name,
        "dates": [f"{stage.id}: {stage.date}" for stage in stages.values()],
        "profiles": [sheets[stage].profile for stage in stages],
        "voices": [sheets[stage].voice for stage in stages],
        "passage": piece.passage,
    }

    def check(answer: StageItemAnswer) -> str | None:
        if sorted(reply.stage for reply in answer.replies) != sorted(stages):
            return f'"replies" must hold each stage once: {", ".join(stages)}'
        replies = {f"the reply at {reply.stage}": reply.reply for reply in answer.replies}
        return same(replies) or lengths(replies, RATIO)

    return Request(task, piece.where, fields, StageItemAnswer, check)
