"""Who stands in a figure: every system with its settings, its name as drawn, and which few are named among many."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from persbench.records import OF_THE_PART
from persbench.report.board import system_order
from persbench.report.duplicates import in_one_evaluation
from persbench.report.figures.names import drawn_name, drawn_names, listed
from persbench.scoring.sanity import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persbench.report.cells import Cell
    from persbench.samples import Row

MOST_NAMED: Final = 9
# Facts that tell two entrants of one system apart, the most telling first; whatever else differs comes after these.
TELLING: Final = ("model", "pack", "recipe", "training_seed", "analysis", "limit", "dtype", "device", "backend")
NAMES: Final = ("model", "pack")  # facts that need no word before them
ALWAYS_NAMED: Final = "vanilla"


@dataclass(frozen=True)
class Entrant:
    """One system under one set of settings, over its personas.

    Attributes:
        label: System name, with the facts that tell it from others of that name.
        name: The label as drawn: printable, short, and no other's.
        system: System name.
        model: Model fact of its signature.
        cells: Its results, one cell a persona.
    """

    label: str
    name: str
    system: str
    model: str
    cells: tuple[Cell, ...]

    def rows(self, task: str) -> list[Row]:
        """Return its items of a task over all personas."""
        return [row for cell in self.cells for row in cell.tasks.get(task, [])]


def entrants(cells: Sequence[Cell]) -> list[Entrant]:
    """Return everyone who is drawn, in the order of the board; rules that look at the surface alone are left out.

    A metric that is not finite counts as unscored from here on.
    """
    ordered = sorted(cells, key=lambda cell: (cell.system, cell.persona, cell.source))
    groups = in_one_evaluation([_finite(cell) for cell in ordered if not cell.system.startswith(PREFIX)])
    by_system: dict[str, list[list[Cell]]] = defaultdict(list)
    for group in groups:
        by_system[group[0].system].append(group)
    place = {name: i for i, name in enumerate(system_order())}
    found = [
        Entrant(label, "", system, str(group[0].signature.get("model", "")), tuple(group))
        for system, alike in by_system.items()
        for label, group in zip(_labels(system, alike), alike, strict=True)
    ]
    found.sort(key=lambda one: (place.get(one.system, len(place)), one.system, one.label))
    found = _numbered(found)
    names = drawn_names(one.label for one in found)
    return [replace(one, name=names[one.label]) for one in found]


def _labels(system: str, groups: Sequence[Sequence[Cell]]) -> list[str]:
    """Add the facts in which evaluations of one system differ to its name, no more than it takes."""
    facts = [group[0].signature for group in groups]
    others = sorted({key for one in facts for key in one} - {*TELLING, *OF_THE_PART})
    labels = [system] * len(groups)
    for key in (*TELLING, *others):
        if len(set(labels)) == len(labels):
            break
        values = [_told(key, one.get(key)) for one in facts]
        if len({*zip(labels, values, strict=True)}) > len(set(labels)):
            labels = [f"{label}, {value}" for label, value in zip(labels, values, strict=True)]
    return labels


def _numbered(found: Sequence[Entrant]) -> list[Entrant]:
    """Number labels that are still alike: two settings that differ in no told fact, or a system called as another."""
    labels: set[str] = set()
    numbered = []
    for one in found:
        label, number = one.label, 1
        while label in labels:
            number += 1
            label = f"{one.label} #{number}"
        labels.add(label)
        numbered.append(replace(one, label=label))
    return numbered


def _told(key: str, value: Any) -> str:
    """Write a fact without the digest behind it; models and packs are known by their names alone."""
    if value is None:
        return f"no {key}"
    text = str(value).partition("@")[0] or str(value)
    return text if key in NAMES else f"{key} {text}"


def _finite(cell: Cell) -> Cell:
    return replace(cell, tasks={task: [_finite_row(row) for row in rows] for task, rows in cell.tasks.items()})


def _finite_row(row: Row) -> Row:
    metrics = row.get("metrics") if isinstance(row, dict) else None
    if not isinstance(metrics, dict):
        return row  # of another form: the figure that wants it says so
    wrong = [
        name
        for name, pair in metrics.items()
        if isinstance(pair, list | tuple) and any(isinstance(n, float) and not math.isfinite(n) for n in pair[:1])
    ]
    return row | {"metrics": metrics | {name: [None, False] for name in wrong}} if wrong else row


@dataclass(frozen=True)
class Choice:
    """Who is named in a figure, in the order of the board, who is not, and by which rule."""

    named: list[Entrant]
    rest: list[Entrant]
    rule: str


def choose(
    having: Sequence[Entrant],
    measure: Callable[[Entrant], float | None],
    measured: str,
    baseline: str,
    *,
    most: int = MOST_NAMED,
    rest: str = "are grey",
) -> Choice:
    """Name everybody where there is room, else the best baseline, the best without a persona, and the highest.

    Who was measured on fewer personas than others comes after these: its number is about less, and swings wider.

    Args:
        having: Who has something to show in this figure.
        measure: What the highest are highest in.
        measured: Its name.
        baseline: System name.
        most: How many can be named.
        rest: What befalls the others, for the rule's sentence.
    """
    if len(having) <= most:
        return Choice(list(having), [], "")

    def rank(one: Entrant) -> tuple[int, float, str]:
        value = measure(one)
        return -len(one.cells), math.inf if value is None else -value, one.label

    ranked = sorted(having, key=rank)
    always = [next((one for one in ranked if one.system == system), None) for system in (baseline, ALWAYS_NAMED)]
    taken = list(dict.fromkeys(one.label for one in always if one is not None))
    taken += [one.label for one in ranked if one.label not in taken][: most - len(taken)]
    named = [one for one in having if one.label in taken]
    told = [_called(one, having) for one in always if one is not None and one.label in taken]
    widest = "" if len({len(one.cells) for one in having}) == 1 else ", the widest measured first"
    those = listed([*dict.fromkeys(told), f"the highest others in {measured}{widest}"])
    rule = f"Named are {those}; {len(having) - len(named)} more {rest}."
    return Choice(named, [one for one in having if one.label not in taken], rule)


def _called(chosen: Entrant, having: Sequence[Entrant]) -> str:
    """Write which one of a system's name is meant."""
    name = drawn_name(chosen.system)
    return name if sum(one.system == chosen.system for one in having) == 1 else f"the highest {name}"
