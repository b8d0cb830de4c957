"""Cells by system, in the order of the board, and the facts that they share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persbench.report.board import system_order
from persbench.scoring.sanity import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from persbench.report.cells import Cell


def by_system(cells: Iterable[Cell]) -> dict[str, list[Cell]]:
    """Return the cells of each system, sanity systems left out, by persona."""
    found: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: cell.persona):
        if not cell.system.startswith(PREFIX):
            found.setdefault(cell.system, []).append(cell)
    return found


def in_board_order(systems: Iterable[str], first: Sequence[str] = ()) -> list[str]:
    """Return systems in the order of the board, then as named in `first`, then by name."""
    known = list(dict.fromkeys([*system_order(), *first]))
    place = {name: i for i, name in enumerate(known)}
    return sorted(set(systems), key=lambda name: (place.get(name, len(place)), name))


def facts_of(cells: Iterable[Cell], fact: str) -> str:
    """Return the values of one fact of all signatures, comma-separated; "unknown" where no signature has it."""
    values = {str(cell.signature[fact]) for cell in cells if cell.signature.get(fact) not in (None, "")}
    return ", ".join(sorted(values)) or "unknown"
