"""The numbers that figures draw: the same means and intervals as on the board, and the words for them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from persbench.errors import PersbenchError
from persbench.report.board import interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from persbench.report.figures.entrants import Entrant
    from persbench.samples import Row
    from persbench.scoring.stats import Interval


class NothingToDrawError(PersbenchError):
    """The records do not hold what a figure shows; the message says what is missing."""


@dataclass(frozen=True)
class Measure:
    """One metric of one task, and how it is called."""

    task: str
    metric: str
    name: str

    def rows(self, entrant: Entrant) -> list[Row]:
        """Return the items that have the metric."""
        return [row for row in entrant.rows(self.task) if self.metric in row["metrics"]]

    def mean(self, entrant: Entrant) -> float | None:
        """Return the mean over scored items, as the board computes it; None if there are none."""
        pairs = [row["metrics"][self.metric] for row in self.rows(entrant)]
        values = [value for value, scored in pairs if scored and value is not None]
        return math.fsum(values) / len(values) if values else None

    def interval(self, entrant: Entrant) -> Interval:
        """Return the mean with its 95% interval, clustered by question."""
        return interval(self.rows(entrant), self.metric)

    def chance(self, everyone: Sequence[Entrant]) -> float | None:
        """Return the mean chance level over all items; None if no item has one."""
        found = [row["chance"] for one in everyone for row in self.rows(one) if self.metric in row.get("chance", {})]
        return math.fsum(chances[self.metric] for chances in found) / len(found) if found else None


def height(value: float | None, scale: float = 1.0) -> float:
    """Return where a value is drawn; NaN, which is drawn nowhere, if there is none."""
    return math.nan if value is None else scale * value


def number(value: float | None, style: str = ".2f") -> str:
    """Write a number with a true minus sign, and none before a zero."""
    if value is None:
        return "unscored"
    text = f"{value:{style}}"
    return (f"{0:{style}}" if not float(text) else text).replace("-", "\N{MINUS SIGN}")


def with_ends(found: Interval, style: str = ".2f", scale: float = 1.0) -> str:
    """Write a mean and its interval."""
    if found.mean is None:
        return "unscored"
    mean = number(scale * found.mean, style)
    if found.low is None or found.high is None:
        return mean
    return f"{mean} [{number(scale * found.low, style)} to {number(scale * found.high, style)}]"


def span(values: Iterable[float], style: str = ",d") -> str:
    """Write the least and the greatest of several numbers, or the one that all are."""
    ends = sorted({f"{value:{style}}": value for value in values}.items(), key=lambda pair: pair[1])
    return ends[0][0] if len(ends) == 1 else f"{ends[0][0]} to {ends[-1][0]}"


def counted(intervals: Sequence[Interval], of: str = "items", clusters: str = "questions") -> str:
    """Write n of each system, and what is unscored."""
    texts = [
        f"n: {span(one.n for one in intervals)} {of} a system, of {span(one.clusters for one in intervals)} {clusters}"
    ]
    if any(one.unscored for one in intervals):
        texts.append(f"{span(one.unscored for one in intervals)} unscored, which count as nothing")
    return "; ".join(texts) + "."


def sentences(*parts: str) -> str:
    """Join the parts of a caption that there are."""
    return " ".join(part for part in parts if part)


def how_many(of_these: int, among: int, *, named: bool) -> str:
    """Write a count of systems.

    Args:
        of_these: How many.
        among: How many there are.
        named: Whether these are the named ones among more.
    """
    if of_these == among > 1:
        return f"all {among} {'named' if named else 'systems'}"
    return f"{of_these or 'none'} of {f'the {among} named' if named else f'{among} systems'}"
