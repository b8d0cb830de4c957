"""Places on the board: a system shares the rank of the best one that it cannot be told from.

Systems are taken in order of their mean. The first leads; whoever cannot be told from it shares its rank (paired
permutation test over questions, Holm over all comparisons with that leader, p not below 0.05). Of the rest the best
leads next, and its rank is one more than the number of systems that stand in better ranks. Only systems that were asked
the same items are ranked against each other.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from persbench.report.duplicates import task_labels
from persbench.scoring.comparison import holm, permutation_p

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persbench.report.board import Column
    from persbench.report.cells import Cell

    Key = tuple[str, str]  # persona, item
    Items = dict[Key, tuple[float | None, str]]  # value, cluster

ALPHA: Final = 0.05
MOST_UNSCORED: Final = 0.2


@dataclass(frozen=True)
class Rank:
    """Where a system stands in one column.

    Attributes:
        place: 1 is the best; None where it is not ranked.
        shared: How many systems have this rank, itself among them.
        reason: Why it is not ranked; empty where it is.
    """

    place: int | None
    shared: int = 0
    reason: str = ""


def can_be_ranked(column: Column) -> bool:
    """Return whether a column is a mean over items that every system is asked: only then there are pairs."""
    return not (column.statistic or column.where or column.kind)


def ranks(systems: Mapping[str, Sequence[Cell]], column: Column) -> dict[str, Rank]:
    """Rank systems in one column.

    Args:
        systems: Key of a system with one setting -> its cells.
        column: A mean over items.

    Returns:
        A rank for every system with such items.
    """
    items = {name: own for name, cells in systems.items() if (own := _items(cells, column))}
    kinds = {name: _kind(systems[name], column) for name in items}
    found: dict[str, Rank] = {}
    if not items:
        return found
    most = Counter(kinds.values())
    usual = min(most, key=lambda kind: (-most[kind], kind))
    full: set[Key] = set().union(*(items[name].keys() for name in items if kinds[name] == usual))
    for name, own in items.items():
        if reason := _apart(own, full, same_kind=kinds[name] == usual):
            found[name] = Rank(None, reason=reason)
    places = _places({name: own for name, own in items.items() if name not in found}, cost=column.cost)
    sizes = Counter(places.values())
    return found | {name: Rank(place, sizes[place]) for name, place in places.items()}


def _items(cells: Sequence[Cell], column: Column) -> Items:
    found: Items = {}
    for cell in cells:
        for row in cell.tasks.get(column.task, []):
            if column.metric in row["metrics"]:
                value, scored = row["metrics"][column.metric]
                number = float(value) if scored and value is not None else None
                found[cell.persona, str(row["id"])] = (number, str(row["cluster"]))
    return found


def _kind(cells: Sequence[Cell], column: Column) -> tuple[str, str]:
    """Return pack and task version: what two numbers must share to be numbers of the same thing."""
    return str(cells[0].signature.get("pack", "")), task_labels(cells).get(column.task.removeprefix("persbench_"), "")


def _apart(own: Items, full: set[Key], *, same_kind: bool) -> str:
    if not same_kind:
        return "other data or another version of the task than most"
    if own.keys() != full:
        return f"{len(own)} of {len(full)} items"
    unscored = sum(value is None for value, _ in own.values())
    if unscored > MOST_UNSCORED * len(own):
        return f"{unscored} of {len(own)} items unscored"
    return ""


def _places(items: Mapping[str, Items], *, cost: bool) -> dict[str, int]:
    means = {name: _mean(own) * (1 if cost else -1) for name, own in items.items()}
    waiting = sorted(items, key=lambda name: (means[name], name))
    places: dict[str, int] = {}
    while waiting:
        leader, *others = waiting
        adjusted = holm([_p(items[other], items[leader]) for other in others])
        alike = [leader]
        for other, p in zip(others, adjusted, strict=True):
            # Where items are unscored, one with the lower mean may yet be ahead on those that both have.
            ahead = _gap(items[other], items[leader]) * (-1 if cost else 1) >= 0
            alike += [other] if p is None or p >= ALPHA or ahead else []
        places |= dict.fromkeys(alike, len(places) + 1)
        waiting = [name for name in others if name not in places]
    return places


def _gap(own: Items, other: Items) -> float:
    """Return the mean difference on the items that both have a value of; 0 where there is none."""
    gaps = [a - b for key, (a, _) in own.items() if a is not None and (b := other[key][0]) is not None]
    return sum(gaps) / len(gaps) if gaps else 0.0


def _mean(own: Items) -> float:
    scored = [value for value, _ in own.values() if value is not None]
    return sum(scored) / len(scored)


def _p(own: Items, leader: Items) -> float | None:
    keys = sorted(own)
    return permutation_p([own[key][0] for key in keys], [leader[key][0] for key in keys], [own[key][1] for key in keys])
