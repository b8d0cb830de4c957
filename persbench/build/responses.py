"""Step 5: golden responses: what the persona thinks and says to a user's turn, at every stage, with its material."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persbench.build.asking import Asker, Request, unmarked
from persbench.build.memory import Memory, shown
from persbench.data.deduplicate import deduplicated
from persbench.packs.schema import TrainDialogue
from persbench.packs.texts import PackModel, Text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from persbench.build.raising import Raised
    from persbench.build.settings import BuildSettings
    from persbench.build.sheets import Sheet
    from persbench.packs.schema import Stage
    from persbench.scoring.overlap import Embedder


class ResponseAnswer(PackModel):
    """What `respond` answers."""

    analysis: Text
    response: Text


def apart(prompts: Sequence[Raised], embedder: Embedder, asker: Asker) -> list[Raised]:
    """Drop user turns that nearly repeat an earlier one (greedy, cosine 0.95), whichever unit they were raised from.

    A world's common prompts stand first, so that it is not they that fall out.
    """
    kept, dropped = deduplicated(prompts, embedder, prompt=lambda row: row.text, name=lambda row: row.id)
    for drop in dropped:
        asker.drops.add("de-duplication", drop.id, "repeats a prompt", str(drop))
    return kept


def responses(
    prompts: Sequence[Raised],
    settings: BuildSettings,
    stages: Mapping[str, Stage],
    sheets: Mapping[str, Sheet],
    memory: Memory,
    without: Collection[str],
    asker: Asker,
) -> list[TrainDialogue]:
    """Write what the persona says to each turn at each stage.

    The annotator sees the unit that the turn was raised from, unless it lies ahead of the stage, and what of the other
    material is nearest to the turn.

    Args:
        prompts: The user's turns.
        settings: Whose life it is.
        stages: By id, in order.
        sheets: Voice and profile, by stage.
        memory: The material.
        without: Ids of material that training must not see.
        asker: Asks.

    Returns:
        Rows of train.jsonl, stage by stage within each turn.
    """
    asked: list[tuple[Raised, str, list[str]]] = []
    requests = []
    order = list(stages)
    for turn in prompts:
        for stage in stages:
            lived = turn.piece is not None and order.index(turn.piece.stage) <= order.index(stage)
            own = turn.piece if lived else None
            objective, speech = memory.recalled(turn.text, stage, without=without, beside=own.id if own else "")
            fields = {
                "name": settings.name,
                "date": stages[stage].date,
                "profile": sheets[stage].profile,
                "voice": sheets[stage].voice,
                "passage": [own.passage] if own else [],
                "objective": shown(objective),
                "speech": shown(speech),
                "turn": turn.text,
            }
            where = f"{turn.id} at {stage}"
            requests.append(Request("respond", where, fields, ResponseAnswer, _sound))
            asked.append((turn, stage, [own.id] if own else []))
    answers = asker.ask(requests)
    rows: list[TrainDialogue] = []
    for (turn, stage, materials), answer in zip(asked, answers, strict=True):
        if answer is not None:
            rows.append(
                TrainDialogue(
                    id=f"{settings.persona}-t{len(rows) + 1:05}",
                    prompt_id=turn.id,
                    pattern=turn.pattern,
                    stage=stage,
                    prompt=turn.text,
                    analysis=answer.analysis,
                    response=answer.response,
                    materials=tuple(materials),
                )
            )
    return rows


def _sound(answer: ResponseAnswer) -> str | None:
    return unmarked(analysis=answer.analysis, response=answer.response)
