"""From a judge's verdicts to numbers, system by system: each with its interval, its n and what stayed unscored."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from persbench.judging.ranking import average_ranks, bradley_terry
from persbench.judging.records import consistency_shares
from persbench.scoring.resistance import REPLY_CLASSES
from persbench.scoring.stats import cluster_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from persbench.judging.cases import Kind
    from persbench.judging.records import JudgedRow
    from persbench.scoring.stats import Interval

    Rows = Mapping[Kind, Sequence[JudgedRow]]
    BySystem = dict[str, dict[str, Interval]]

_AGAINST: Final = {"prompt_to_line": "prompt", "line_to_line": "line", "answered": "answer"}
_PRESSURE: Final = "persbench_pressure"


def judged_values(rows: Rows) -> BySystem:
    """Compute every judged number.

    Args:
        rows: Kind of judgement -> rows of one judge on one run.

    Returns:
        System -> metric of `columns.yaml` under `judged` -> number.
    """
    found: BySystem = defaultdict(dict)
    parts: dict[Kind, Callable[[Rows], dict[str, dict[str, Interval]]]] = {
        "agree": _agreement,
        "rank": _ranks,
        "resist": _resistance,
        "contradict": _consistency,
    }
    for kind, part in parts.items():
        if rows.get(kind):
            for metric, by_system in part(rows).items():
                for system, value in by_system.items():
                    found[system][metric] = value
    return dict(found)


def _agreement(rows: Rows) -> dict[str, dict[str, Interval]]:
    """Agreement over all questions, and over those sorted as knowledge and as attitude.

    A question whose sort is unscored is unscored in both parts: nobody knows which it belongs to.
    """
    sorts = {_question(row): row.value for row in rows.get("sort", ())}
    found = {"agree": _means(rows["agree"], score)}
    if sorts:
        for name in ("knowledge", "attitude"):
            own = [row for row in rows["agree"] if sorts.get(_question(row)) in (name, None)]

            def value(row: JudgedRow) -> float | None:
                return None if sorts.get(_question(row)) is None else score(row)

            found[f"agree_{name}"] = _means(own, value)
    return found


def _question(row: JudgedRow) -> tuple[str, str, str]:
    return row.persona, row.stage, row.cluster


def score(row: JudgedRow) -> float | None:
    """Return a row's score as a number; None where it is unscored."""
    return float(row.value) if isinstance(row.value, int) else None


def _resistance(rows: Rows) -> dict[str, dict[str, Interval]]:
    def is_class(name: str) -> Callable[[JudgedRow], float | None]:
        return lambda row: None if row.value is None else float(row.value == name)

    return {name: _means(rows["resist"], is_class(name)) for name in REPLY_CLASSES}


def _ranks(rows: Rows) -> dict[str, dict[str, Interval]]:
    rankings = [row.value if isinstance(row.value, dict) else None for row in rows["rank"]]
    clusters = [row.cluster for row in rows["rank"]]
    due = [row.systems for row in rows["rank"]]
    return {"average_rank": average_ranks(rankings, clusters), "strength": bradley_terry(rankings, clusters, due=due)}


def _consistency(rows: Rows) -> dict[str, dict[str, Interval]]:
    """Shares of verdicts without a contradiction, each dialogue weighing the same."""
    clusters = {row.place["dialogue"]: row.cluster for row in rows["contradict"]}
    found: dict[str, dict[str, Interval]] = {}
    for metric, against in _AGAINST.items():
        groups: dict[tuple[str, str], list[tuple[float | None, str, int]]] = defaultdict(list)
        for (system, task, dialogue, script), share in consistency_shares(rows["contradict"], against).items():
            if not task.startswith(_PRESSURE) or script == "pressure":
                name = f"pressed_{metric}" if task.startswith(_PRESSURE) else metric
                groups[name, system].append((share.value, clusters[dialogue], share.unscored))
        for (name, system), shares in groups.items():
            value = cluster_interval([each for each, *_ in shares], [cluster for _, cluster, _ in shares])
            found.setdefault(name, {})[system] = replace(value, unscored=sum(count for *_, count in shares))
    return found


def _means(rows: Sequence[JudgedRow], value: Callable[[JudgedRow], float | None]) -> dict[str, Interval]:
    by_system: dict[str, list[JudgedRow]] = defaultdict(list)
    for row in rows:
        by_system[row.systems[0]].append(row)
    return {
        system: cluster_interval([value(row) for row in own], [row.cluster for row in own])
        for system, own in by_system.items()
    }
