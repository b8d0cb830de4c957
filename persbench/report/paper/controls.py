"""The controls of the protocol: rules that look at the surface alone, and a system that knows no persona."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from persbench.report.board import columns
from persbench.report.paper.claims import headlines
from persbench.report.paper.grouping import facts_of
from persbench.report.paper.tables import NOT_MEASURED
from persbench.report.table import number
from persbench.scoring.sanity import PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.report.board import Entry, Line
    from persbench.report.cells import Cell

BLIND: Final = ("content_acc", "attitude_acc", "knowledge_acc")  # where a system without a persona must be at chance


def surface_wins(lines: Sequence[Line], pack: str) -> dict[str, str]:
    """Say which headlines say nothing, because a rule that looks at the surface alone stands above chance there.

    Args:
        lines: Of the board, sanity systems among them.
        pack: Of the systems; what a rule finds on another pack says nothing of this one.
    """
    found: dict[str, str] = {}
    for line in lines:
        if line.signature.get("pack", pack) != pack:
            continue
        for metric in headlines():
            entry = line.entries.get(metric)
            if entry is None or not entry.off_chance or entry.chance is None or entry.value.low is None:
                continue
            if entry.value.low > entry.chance:
                told = f"{line.system} is above chance ({number(entry.value.mean)} against {number(entry.chance)})"
                found.setdefault(metric, f"{told}: this headline says nothing")
    return found


def controls(lines: Sequence[Line], cells: Sequence[Cell]) -> list[str]:
    """Say what the controls of the protocol found: surface rules above chance, a blind system that is not at chance.

    Args:
        lines: Of the board.
        cells: All of its cells.
    """
    names = {metric.metric: metric.name for metric in columns("board")}
    systems = [cell for cell in cells if not cell.system.startswith(PREFIX)]
    told = [f"{names[metric]}: {why}." for metric, why in surface_wins(lines, facts_of(systems, "pack")).items()]
    rules = [cell for cell in cells if cell.system.startswith(PREFIX)]
    if not rules:
        told.append(f"Sanity systems: {NOT_MEASURED}.")
    elif facts_of(rules, "pack") != facts_of(systems, "pack"):
        told.append(f"Sanity systems were measured on another pack: {facts_of(rules, 'pack')}.")
    everybody = {cell.persona for cell in systems}
    blind = [line for line in lines if line.system == "vanilla" and set(line.personas) == everybody]
    if not blind:
        told.append(f"vanilla, which knows no persona, over all personas: {NOT_MEASURED}.")
    for line in blind:
        told += [_not_blind(names[metric], line.entries[metric]) for metric in BLIND if metric in line.entries]
    return [each for each in told if each]


def _not_blind(metric: str, entry: Entry) -> str:
    value = entry.value
    if value.mean is None or value.low is None or value.high is None or entry.chance is None:
        return ""
    if value.low <= entry.chance <= value.high:
        return ""
    return (
        f"{metric}: vanilla, which knows no persona, is not at chance ({number(value.mean)} against "
        f"{number(entry.chance)}): a cue is in the data, and the comparisons are to be read against it."
    )
