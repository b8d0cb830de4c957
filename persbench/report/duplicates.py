"""One cell of each system, persona and settings: what was run twice counts once, what was run in parts stands together.

lm-eval writes every run of the stock command beside the earlier ones, and several `--out` folders may lie in the one
that is reported on. Without this the same items would be pooled twice, and intervals come out too narrow.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from persbench.errors import Fault, PersbenchError
from persbench.provenance import digest
from persbench.records import OF_THE_PART

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from persbench.report.cells import Cell


def shared_facts(cell: Cell) -> dict[str, Any]:
    """Return the facts of a signature that all personas and tasks of one evaluation share."""
    return {key: value for key, value in cell.signature.items() if key not in OF_THE_PART}


def task_labels(cells: Iterable[Cell]) -> dict[str, str]:
    """Return task name -> its label in the signatures, as `attitude-1.0@6fb20b`."""
    labels = [label for cell in cells for label in str(cell.signature.get("tasks", "")).split(",") if label]
    return {label.partition("-")[0]: label for label in labels}


def in_one_evaluation(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Group cells of one system whose settings and task versions agree, over personas, in their order."""
    groups: dict[str, list[list[Cell]]] = defaultdict(list)
    for cell in cells:
        alike = groups[digest([cell.system, shared_facts(cell)], 16)]
        fitting = next((group for group in alike if _agree(group, cell)), None)
        if fitting is None:
            alike.append([cell])
        else:
            fitting.append(cell)
    return [group for alike in groups.values() for group in alike]


def _agree(group: Sequence[Cell], cell: Cell) -> bool:
    known, own = task_labels(group), task_labels([cell])
    adapters = {one.signature.get("adapter") for one in group if one.persona == cell.persona}
    same = not adapters or adapters == {cell.signature.get("adapter")}
    return same and all(known[name] == own[name] for name in known.keys() & own.keys())


def once_each(cells: Sequence[Cell]) -> tuple[list[Cell], list[Fault]]:
    """Join cells of the same system, persona and settings.

    Args:
        cells: As read from files.

    Returns:
        One cell each, with the tasks of all; where a task stands in several, the newest counts. And a fault for every
        older one that is left out.
    """
    joined: list[Cell] = []
    left_out: list[Fault] = []
    for group in in_one_evaluation(cells):
        by_persona: dict[str, list[Cell]] = defaultdict(list)
        for cell in group:
            by_persona[cell.persona].append(cell)
        for same in by_persona.values():
            cell, faults = _joined(sorted(same, key=lambda one: (one.made, one.source), reverse=True))
            joined.append(cell)
            left_out += faults
    return joined, left_out


def _joined(newest_first: Sequence[Cell]) -> tuple[Cell, list[Fault]]:
    first, *older = newest_first
    if not older:
        return first, []
    tasks, origin = dict(first.tasks), dict.fromkeys(first.tasks, first.source)
    faults: list[Fault] = []
    for cell in older:
        again = sorted(tasks.keys() & cell.tasks.keys())
        if again:
            names = ", ".join(again)
            told = f"{names} of {cell.system} as {cell.persona} was run again later: {origin[again[0]]} counts"
            faults.append(Fault(cell.source, None, told))
        tasks = cell.tasks | tasks
        origin = dict.fromkeys(cell.tasks, cell.source) | origin
    labels = task_labels(newest_first)
    facts = {"tasks": ",".join(labels[name] for name in sorted(labels))} if labels else {}
    anchors = [str(cell.signature["anchors"]) for cell in newest_first if "anchors" in cell.signature]
    facts |= {"anchors": digest(sorted(anchors), 8)} if anchors else {}
    marks = sorted({name for cell in newest_first if cell.source in origin.values() for name in cell.not_recomputed})
    whole = replace(
        first, tasks=dict(sorted(tasks.items())), signature=first.signature | facts, not_recomputed=tuple(marks)
    )
    return whole, faults


def require_one_setting(cells: Sequence[Cell]) -> None:
    """Refuse cells of which two are the same system on the same persona with other settings.

    Raises:
        PersbenchError: Says which facts differ; a comparison could not tell which of the two is meant.
    """
    seen: dict[tuple[str, str], Cell] = {}
    for cell in cells:
        other = seen.setdefault((cell.system, cell.persona), cell)
        if other is cell:
            continue
        facts = {key for one in (cell, other) for key in one.signature}
        changed = [
            f"{key} {other.signature.get(key)!r} and {cell.signature.get(key)!r}"
            for key in sorted(facts)
            if key != "anchors" and other.signature.get(key) != cell.signature.get(key)
        ]
        raise PersbenchError(
            f"{cell.system} as {cell.persona} stands there with two settings ({'; '.join(changed)}), in "
            f"{other.source or 'one file'} and {cell.source or 'another'}: give the folder of one evaluation, "
            "or move the other one away."
        )
