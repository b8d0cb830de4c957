"""Systems against a baseline on the same items: paired differences, corrected over the table.

A difference stands with its interval (bootstrap over questions), the p of a paired permutation test, Holm-adjusted over
all comparisons of the table, the number of personas whose own difference has the same sign, and the smallest difference
that this many questions would have shown with probability 0.8.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from persbench.errors import UnknownNameError
from persbench.report.board import Column, columns, system_order, table_titles
from persbench.scoring.comparison import (
    Detectable,
    PairedDifference,
    SignCount,
    holm,
    minimal_detectable_difference,
    paired_difference,
    sign_count,
)
from persbench.scoring.sanity import PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.report.cells import Cell
    from persbench.samples import Row

Key = tuple[str, str]  # persona, item


@dataclass(frozen=True)
class Comparison:
    """One metric of one system against the baseline.

    Attributes:
        system: System name.
        column: What is compared.
        found: Difference with interval and p.
        p_adjusted: p by Holm over the table; None where nothing can be tested.
        signs: Personas whose own difference has the sign of the whole.
        detectable: Smallest difference these items would show.
    """

    system: str
    column: Column
    found: PairedDifference
    p_adjusted: float | None
    signs: SignCount
    detectable: Detectable


def comparisons(cells: Sequence[Cell], baseline: str, *, tables: Sequence[str] = ("board",)) -> list[Comparison]:
    """Compare every system with a baseline on the items that both have.

    Args:
        cells: Results of one model, one cell a system and persona.
        baseline: System name.
        tables: Whose columns to compare; numbers that are no means over items have no pairs and are left out.

    Raises:
        UnknownNameError: No such system or table among the results.
    """
    by_system: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        if not cell.system.startswith(PREFIX):
            by_system[cell.system].append(cell)
    if baseline not in by_system:
        raise UnknownNameError("system", baseline, sorted(by_system))
    for table in tables:
        if table not in table_titles():
            raise UnknownNameError("table", table, list(table_titles()))
    place = {name: i for i, name in enumerate(system_order())}
    others = sorted(by_system.keys() - {baseline}, key=lambda name: (place.get(name, len(place)), name))
    wanted = [column for table in tables for column in columns(table) if not column.statistic]
    found = []
    for system in others:
        for column in wanted:
            pairs = _pairs(by_system[system], by_system[baseline], column)
            if pairs:
                found.append(_compare(system, column, pairs))
    adjusted = holm([one.found.p for one in found])
    return [
        Comparison(o.system, o.column, o.found, p, o.signs, o.detectable) for o, p in zip(found, adjusted, strict=True)
    ]


def _rows(cells: Sequence[Cell], column: Column) -> dict[Key, Row]:
    return {
        (cell.persona, row["id"]): row
        for cell in cells
        for row in cell.tasks.get(column.task, [])
        if column.metric in row["metrics"]
    }


def _pairs(cells: Sequence[Cell], baseline: Sequence[Cell], column: Column) -> list[tuple[str, str, Row, Row]]:
    """Return (persona, question, row, baseline's row) of every item that both have."""
    own, other = _rows(cells, column), _rows(baseline, column)
    return [(key[0], str(own[key]["cluster"]), own[key], other[key]) for key in sorted(own.keys() & other.keys())]


def _compare(system: str, column: Column, pairs: list[tuple[str, str, Row, Row]]) -> Comparison:
    values = [(_value(row, column), _value(other, column)) for _, _, row, other in pairs]
    clusters = [cluster for _, cluster, _, _ in pairs]
    found = paired_difference([a for a, _ in values], [b for _, b in values], clusters)
    gaps = [None if a is None or b is None else a - b for a, b in values]
    by_persona: dict[str, list[float]] = defaultdict(list)
    for (persona, *_), gap in zip(pairs, gaps, strict=True):
        if gap is not None:
            by_persona[persona].append(gap)
    means = [sum(own) / len(own) for own in by_persona.values()]
    return Comparison(
        system=system,
        column=column,
        found=found,
        p_adjusted=None,
        signs=sign_count(means, found.interval.mean),
        detectable=minimal_detectable_difference(gaps, clusters),
    )


def _value(row: Row, column: Column) -> float | None:
    value, scored = row["metrics"][column.metric]
    return float(value) if scored and value is not None else None


def markdown_comparisons(found: Sequence[Comparison], baseline: str) -> str:
    """Write the table as Markdown."""
    lines = [
        f"| system minus {baseline} | | difference | p (Holm) | same sign | detectable | n |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for one in found:
        interval = one.found.interval
        value = "unscored" if interval.mean is None else f"**{interval.mean:+.3f}**"
        ends = "" if interval.low is None or interval.high is None else f" [{interval.low:+.3f} {interval.high:+.3f}]"
        smallest = one.detectable.difference
        better = " (less is better)" if one.column.cost else ""
        lines.append(
            f"| {one.system} | {one.column.name}{better} | {value}{ends} | {_p(one.p_adjusted)} | {one.signs.text} "
            f"| {'-' if smallest is None else f'{smallest:.3f}'} | {interval.n} |"
        )
    return "\n".join(lines) + "\n"


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if value >= 0.001 else "<.001"  # noqa: PLR2004 - print precision
