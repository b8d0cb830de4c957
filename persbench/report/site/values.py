"""Numbers as a page shows them: text, place on the column's scale, rank and counts, ready for a template."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from persbench.report.board import Column, Entry, columns, table_titles
from persbench.report.site.evaluations import EVERYONE, Evaluation
from persbench.report.site.ranks import Rank, can_be_ranked, ranks
from persbench.report.table import FORMATS, MARGIN_UNIT, ends, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from persbench.scoring.stats import Interval

HEADLINES: Final = 6
"""The first columns of the board, one a family; voice and who said come after them and decide nothing."""
WIDTH: Final = 100.0
_UNIT_FORMATS: Final = {"share"}


@dataclass(frozen=True)
class Bar:
    """An interval drawn on its column's scale, each place from 0 to 100; None where there is no such number."""

    mean: float
    low: float | None
    high: float | None
    chance: float | None


@dataclass(frozen=True)
class Shown:
    """One number of a page.

    Attributes:
        text: The mean as its column writes it; `unscored` or `none` where there is none, empty where it was not asked.
        sort: What it is sorted by; empty where there is no number, which always stands last.
        ends: The interval, as `[.50 .71]`; empty where there is none.
        margin: The margin over the best other candidate, in hundredths of a nat per byte; empty if there is none.
        margin_ends: Its interval.
        chance: What a blind guess scores; empty if that cannot be said.
        n: Scored items.
        unscored: Items without a score, which are not in the mean.
        idle: Items for which the question does not arise.
        bar: The interval as a drawing.
        rank: Place among the systems of the column.
        off_chance: A rule that must be at chance, and is not.
    """

    text: str
    sort: str = ""
    ends: str = ""
    margin: str = ""
    margin_ends: str = ""
    chance: str = ""
    n: int = 0
    unscored: int = 0
    idle: int = 0
    bar: Bar | None = None
    rank: Rank | None = None
    off_chance: bool = False

    @property
    def leads(self) -> bool:
        """Whether nothing in its column is known to be better."""
        return self.rank is not None and self.rank.place == 1


@dataclass(frozen=True)
class TableRow:
    """One system of a table; `top` is in how many of its ranked headlines (`of`) nothing is known to be better."""

    evaluation: Evaluation
    cells: tuple[Shown, ...]
    top: int = 0
    of: int = 0


@dataclass(frozen=True)
class TableView:
    """One table over everyone, or over one persona.

    Attributes:
        name: Of `columns.yaml`.
        title: Its title.
        persona: Persona id, or `EVERYONE`.
        columns: Those with a number.
        chances: What a blind guess scores in each; empty where that cannot be said.
        rows: Systems, in the order in which they are shown first.
        rules: Sanity systems that must be at chance.
        floors: Sanity systems that may read what a system may read.
        headlines: How many of the columns are headlines.
    """

    name: str
    title: str
    persona: str
    columns: tuple[Column, ...]
    chances: tuple[str, ...]
    rows: tuple[TableRow, ...]
    rules: tuple[TableRow, ...]
    floors: tuple[TableRow, ...]
    headlines: int = 0


def table_view(found: Sequence[Evaluation], table: str, persona: str = EVERYONE) -> TableView:
    """Put one table together.

    Args:
        found: Every system of the site.
        table: Of `columns.yaml`.
        persona: Whose numbers, or `EVERYONE`.

    Returns:
        The table, without rows where no system has a number in it. The board's rows stand by the number of headlines
        in which nothing is known to be better, else in the order of `found`.
    """
    lines = [(one, one.lines[persona, table]) for one in found if (persona, table) in one.lines]
    systems = [one for one, _ in lines if not one.is_sanity]
    shown = tuple(
        c for c in columns(table) if any(c.metric in line.entries for one, line in lines if not one.is_sanity)
    )
    scales = {c.metric: scale_of([line.entries.get(c.metric) for _, line in lines], c) for c in shown}
    places = {c.metric: _ranks(systems, persona, c) for c in shown if table == "board" and can_be_ranked(c)}
    rows = []
    for one, line in lines:
        cells = tuple(
            shown_number(line.entries.get(c.metric), c, scales[c.metric], places.get(c.metric, {}).get(one.slug))
            for c in shown
        )
        decided = [cell for cell, c in zip(cells, shown, strict=True) if c in columns(table)[:HEADLINES] and cell.rank]
        placed = [cell for cell in decided if cell.rank and cell.rank.place is not None]
        rows.append(TableRow(one, cells, sum(cell.leads for cell in placed), len(placed)))
    ordered = [row for row in rows if not row.evaluation.is_sanity]
    if table == "board":
        ordered.sort(key=lambda row: (-row.top, row.of))
    return TableView(
        name=table,
        title=table_titles()[table],
        persona=persona,
        columns=shown,
        chances=tuple(_chance([line.entries.get(c.metric) for _, line in lines], c) for c in shown),
        rows=tuple(ordered),
        rules=tuple(row for row in rows if row.evaluation.is_sanity and not row.evaluation.is_floor),
        floors=tuple(row for row in rows if row.evaluation.is_floor),
        headlines=sum(c in columns(table)[:HEADLINES] for c in shown) if table == "board" else 0,
    )


def _ranks(systems: Sequence[Evaluation], persona: str, column: Column) -> dict[str, Rank]:
    of = {one.slug: [cell for cell in one.cells if persona in {EVERYONE, cell.persona}] for one in systems}
    return ranks(of, column)


def _chance(entries: Iterable[Entry | None], column: Column) -> str:
    """Return the chance level if it is one for all; systems over other personas may have another."""
    found = {_signed(number(entry.chance, column.format)) for entry in entries if entry and entry.chance is not None}
    return found.pop() if len(found) == 1 else ""


def scale_of(entries: Iterable[Entry | None], column: Column) -> tuple[float, float]:
    """Return the ends of a column's scale: 0 to 1 for shares, else from the least to the greatest number in it."""
    if column.format in _UNIT_FORMATS:
        return 0.0, 1.0
    values = [
        value
        for entry in entries
        if entry
        for value in (entry.value.mean, entry.value.low, entry.value.high, entry.chance)
        if value is not None and math.isfinite(value)
    ]
    return (min(values), max(values)) if values else (0.0, 1.0)


def shown_number(entry: Entry | None, column: Column, scale: tuple[float, float], rank: Rank | None = None) -> Shown:
    """Lay out one number.

    Args:
        entry: None where the system was not asked.
        column: How it is written.
        scale: Ends of the column's scale.
        rank: Place in the column.
    """
    if entry is None:
        return Shown("")
    value, margin = entry.value, entry.margin
    counted = Shown(
        text="unscored" if value.unscored else "none",
        chance="" if entry.chance is None else _signed(number(entry.chance, column.format)),
        n=value.n,
        unscored=value.unscored,
        idle=entry.idle,
        rank=rank,
        off_chance=entry.off_chance,
    )
    if value.mean is None or not math.isfinite(value.mean):
        return counted
    low, high = (_place(end, scale) for end in (value.low, value.high))
    return Shown(
        text=_signed(number(value.mean, column.format)),
        sort=f"{value.mean:.6g}",
        ends=_between(ends(value, column.format)),
        margin=_margin(margin),
        margin_ends=_between(ends(margin, "margin", MARGIN_UNIT)) if margin and margin.mean is not None else "",
        chance=counted.chance,
        n=value.n,
        unscored=value.unscored,
        idle=entry.idle,
        bar=Bar(_place(value.mean, scale) or 0.0, low, high, _place(entry.chance, scale)),
        rank=rank,
        off_chance=entry.off_chance,
    )


def _signed(text: str) -> str:
    """Write a minus as one: a hyphen is narrower than a plus, and columns would not stand straight."""
    return text.replace("-", "\N{MINUS SIGN}")


def _between(text: str) -> str:
    """Return the ends of an interval; nothing where a single cluster gives none."""
    return "" if text == "[-]" else _signed(text)


def _margin(margin: Interval | None) -> str:
    if margin is None or margin.mean is None:
        return ""
    return _signed(f"{margin.mean * MARGIN_UNIT:{FORMATS['margin']}}")


def _place(value: float | None, scale: tuple[float, float]) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    low, high = scale
    share = (value - low) / (high - low) if high > low else 0.5
    return round(WIDTH * min(1.0, max(0.0, share)), 1)
