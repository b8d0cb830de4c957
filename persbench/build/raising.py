"""Step 4: the user's side, raised from each unit of material: questions, opinions, and induced questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from persbench.build.asking import Asker, Request
from persbench.packs.texts import PackModel, Some, Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persbench.build.material import Piece
    from persbench.build.settings import BuildSettings
    from persbench.packs.schema import Pattern, Stage

TASKS: Final[dict[Pattern, str]] = {
    "question": "raise-question",
    "opinion": "raise-opinion",
    "induced": "raise-induced",
}


@dataclass(frozen=True)
class Raised:
    """What a user may say to the persona.

    Attributes:
        id: Its prompt id, common to all stages (and, of a world's common prompts, to all personas).
        pattern: What kind of turn it is.
        text: The turn.
        piece: The unit it was raised from; None for a common prompt.
    """

    id: str
    pattern: Pattern
    text: str
    piece: Piece | None


class RaisedAnswer(PackModel):
    """What the tasks of raising answer."""

    prompts: Some[Text]


def raised(pieces: Sequence[Piece], settings: BuildSettings, stages: Mapping[str, Stage], asker: Asker) -> list[Raised]:
    """Raise user turns from material.

    Args:
        pieces: The units to raise from.
        settings: How many of each pattern.
        stages: By id.
        asker: Asks.

    Returns:
        The turns in the order of the units, numbered; each unit's patterns side by side.
    """
    by_pattern = {}
    for pattern, count in settings.raised.items():
        requests = [raise_request(piece, pattern, count, settings, stages) for piece in pieces if count]
        by_pattern[pattern] = asker.ask(requests) if count else [None] * len(pieces)
    found: list[Raised] = []
    for i, piece in enumerate(pieces):
        for pattern, answers in by_pattern.items():
            answer = answers[i]
            for text in answer.prompts[: settings.raised[pattern]] if answer is not None else ():
                found.append(Raised(f"{settings.persona}-p{len(found) + 1:04}", pattern, text, piece))
    return found


def raise_request(
    piece: Piece, pattern: Pattern, count: int, settings: BuildSettings, stages: Mapping[str, Stage]
) -> Request[RaisedAnswer]:
    """Ask for user turns of one pattern from one unit."""
    fields = {
        "name": settings.name,
        "date": stages[piece.stage].date,
        "count": str(count),
        "passage": piece.passage,
    }
    return Request(TASKS[pattern], piece.where, fields, RaisedAnswer)
