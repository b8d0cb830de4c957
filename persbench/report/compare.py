"""Systems against a baseline on the same items: paired differences, corrected over the table.

A difference stands with its interval (bootstrap over questions), the p of a paired permutation test, Holm-adjusted over
all comparisons of the table, the number of personas whose own difference has the same sign, and the smallest difference
that this many questions would have shown with probability 0.8.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from persbench.errors import PersbenchError, UnknownNameError
from persbench.report.board import Column, columns, system_order, table_titles
from persbench.report.comparable import not_comparable
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


class Pair(NamedTuple):
    """One item of both systems.

    Attributes:
        personas: Whose item it is; two where it is about two.
        cluster: Its question.
        own: The system's value, None where unscored.
        other: The baseline's, likewise.
    """

    personas: tuple[str, ...]
    cluster: str
    own: float | None
    other: float | None

    @property
    def gap(self) -> float | None:
        """Own minus other; None where either is unscored."""
        return None if self.own is None or self.other is None else self.own - self.other


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
        PersbenchError: A system was measured on something else than the baseline, or otherwise.
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
            if apart := not_comparable(by_system[system], by_system[baseline], column.task):
                raise PersbenchError(
                    f"{system} and {baseline} cannot be compared: {apart}. Give a folder of systems that share these."
                )
            pairs = item_pairs(by_system[system], by_system[baseline], column)
            if pairs:
                found.append(compare_pairs(system, column, pairs))
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


def item_pairs(cells: Sequence[Cell], baseline: Sequence[Cell], column: Column) -> list[Pair]:
    """Return every item that both systems have, by persona and item.

    Args:
        cells: The system on its personas.
        baseline: The other on its.
        column: What is compared: the mean over items of one metric.
    """
    own, other = _rows(cells, column), _rows(baseline, column)
    return [
        Pair((key[0],), str(own[key]["cluster"]), _value(own[key], column), _value(other[key], column))
        for key in sorted(own.keys() & other.keys())
    ]


def persona_gaps(pairs: Sequence[Pair]) -> dict[str, float | None]:
    """Return each persona's own mean difference; None where no item of it is scored on both sides."""
    gaps: dict[str, list[float]] = {}
    for pair in pairs:
        for persona in pair.personas:
            own = gaps.setdefault(persona, [])
            if pair.gap is not None:
                own.append(pair.gap)
    return {persona: sum(own) / len(own) if own else None for persona, own in gaps.items()}


def compare_pairs(
    system: str, column: Column, pairs: Sequence[Pair], *, sharing: int = 1, lacking: int = 0
) -> Comparison:
    """Compare a system with a baseline on items that both have.

    Args:
        system: System name.
        column: What is compared.
        pairs: One an item.
        sharing: Number of comparisons that share alpha, for the smallest detectable difference.
        lacking: Further personas that only one of the two was measured on: they have no sign, and are counted.

    Returns:
        The comparison, its p not adjusted yet.
    """
    clusters = [pair.cluster for pair in pairs]
    found = paired_difference([pair.own for pair in pairs], [pair.other for pair in pairs], clusters)
    return Comparison(
        system=system,
        column=column,
        found=found,
        p_adjusted=None,
        signs=sign_count([*persona_gaps(pairs).values(), *[None] * lacking], found.interval.mean),
        detectable=minimal_detectable_difference([pair.gap for pair in pairs], clusters, comparisons=sharing),
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
            f"| {one.system} | {one.column.name}{better} | {value}{ends} | {p_text(one.p_adjusted)} | {one.signs.text} "
            f"| {'-' if smallest is None else f'{smallest:.3f}'} | {interval.n} |"
        )
    return "\n".join(lines) + "\n"


def p_text(value: float | None) -> str:
    """Write a p-value; a dash where nothing could be tested."""
    return "-" if value is None else f"{value:.3f}" if value >= 0.001 else "<.001"  # noqa: PLR2004 - print precision
