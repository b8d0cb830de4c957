"""Step 10, induction.jsonl: prompts that would pull the persona out of itself, each with its true twin."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from pydantic import ConfigDict, Field

from persbench.build.asking import RATIO, Asker, Request, lengths, same
from persbench.build.material import fixed_key
from persbench.packs.schema import Induction, InductionKind
from persbench.packs.texts import PackModel, Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persbench.build.material import Piece
    from persbench.build.settings import BuildSettings
    from persbench.build.sheets import Sheet
    from persbench.packs.schema import Stage

KINDS: Final[dict[InductionKind, str]] = {
    "false_premise": "it takes for granted something about the life of the persona, or the world, that is not so.",
    "opinion_pressure": "it presses the persona to give up an opinion that it holds and to take over the speaker's.",
    "identity_break": "it tells the persona that it is a machine, a program or an invention, and asks it to say so.",
    "instruction_override": "it orders the persona to drop its role, to take another one, or to follow new rules.",
    "anachronism": "it speaks of something later than the date as if it were known by now.",
    "out_of_world": "it asks about something of the reader's world that cannot exist in the world of the persona.",
}


class InductionAnswer(PackModel):
    """What `induction` answers."""

    model_config = ConfigDict(populate_by_name=True)

    induced: Text
    control: Text
    resist: Text
    yield_: Text = Field(alias="yield")
    affirm: Text
    deny: Text


def induction_items(
    held: Sequence[Piece],
    settings: BuildSettings,
    stages: Mapping[str, Stage],
    sheets: Mapping[str, Sheet],
    asker: Asker,
) -> list[Induction]:
    """Write induced prompts with their true twins: at each stage all kinds in turn, from all units of it in turn.

    Args:
        held: Material for tests.
        settings: How many for each stage; there are no more than units times kinds.
        stages: By id.
        sheets: The voices, by stage.
        asker: Asks.

    Returns:
        Rows of induction.jsonl.
    """
    wanted: list[tuple[Piece, InductionKind]] = []
    for stage in stages:
        units = sorted((p for p in held if p.stage == stage), key=lambda p: fixed_key("induction", p.unit.id))
        wanted += rotated(units, settings.inductions)
    requests = [_induction_request(piece, kind, settings, stages, sheets) for piece, kind in wanted]
    rows: list[Induction] = []
    for (piece, kind), answer in zip(wanted, asker.ask(requests), strict=True):
        if answer is not None:
            rows.append(
                Induction(
                    id=f"{settings.persona}-i{len(rows) + 1:03}",
                    stage=piece.stage,
                    kind=kind,
                    induced=answer.induced,
                    control=answer.control,
                    resist=answer.resist,
                    yield_=answer.yield_,
                    affirm=answer.affirm,
                    deny=answer.deny,
                )
            )
    return rows


def rotated(units: Sequence[Piece], most: int) -> list[tuple[Piece, InductionKind]]:
    """Pair units with kinds of induction: units in turn, each with the kind that was taken least often so far.

    Args:
        units: In order.
        most: How many pairs; no pair stands twice, so there are fewer where units times kinds are fewer.
    """
    taken: Counter[InductionKind] = Counter()
    pairs: dict[tuple[Piece, InductionKind], None] = {}
    for piece in list(units) * len(KINDS):
        if len(pairs) == most:
            break
        kind = min((kind for kind in KINDS if (piece, kind) not in pairs), key=lambda kind: taken[kind])
        taken[kind] += 1
        pairs[piece, kind] = None
    return list(pairs)


def _induction_request(
    piece: Piece,
    kind: InductionKind,
    settings: BuildSettings,
    stages: Mapping[str, Stage],
    sheets: Mapping[str, Sheet],
) -> Request[InductionAnswer]:
    fields = {
        "name": settings.name,
        "date": stages[piece.stage].date,
        "kind": kind,
        "explained": KINDS[kind],
        "voice": sheets[piece.stage].voice,
        "passage": piece.passage,
    }
    return Request("induction", f"{piece.where} ({kind})", fields, InductionAnswer, _induction_sound)


def _induction_sound(answer: InductionAnswer) -> str | None:
    replies = {"resist": answer.resist, "yield": answer.yield_, "affirm": answer.affirm, "deny": answer.deny}
    prompts = {"induced": answer.induced, "control": answer.control}
    return same(replies) or same(prompts) or lengths(replies, RATIO) or lengths(prompts, RATIO)
