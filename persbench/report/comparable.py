"""Whether two systems were measured on the same thing, and in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from persbench.report.duplicates import in_one_evaluation, task_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from persbench.report.cells import Cell

FACTS: Final = ("pack", "model", "dtype", "template", "neutral", "limit")
"""What both sides of a comparison must share, beside the version of the task."""


def not_comparable(own: Sequence[Cell], other: Sequence[Cell], task: str) -> str:
    """Say what sets two systems apart that were to be compared; empty if nothing does.

    A fact that one side says in part, such as a model without its fingerprint, is held against that part.

    Args:
        own: Cells of one system.
        other: Cells of another.
        task: The task that is to be compared.
    """
    listed = [cell for cell in [*own, *other] if task in cell.tasks]
    short = task.removeprefix("persbench_")
    facts = {fact: {_said(cell, fact) for cell in listed} for fact in FACTS}
    facts["task"] = {task_labels([cell]).get(short, "") for cell in listed}
    told = [f"{fact} {', '.join(sorted(values - {''}))}" for fact, values in facts.items() if not _agree(values)]
    for side in (own, other):
        parts = in_one_evaluation([cell for cell in side if task in cell.tasks])
        if len(parts) > 1 and not told:
            told.append(f"{side[0].system} in {len(parts)} settings ({_split(parts)})")
    return "; ".join(told)


def _said(cell: Cell, fact: str) -> str:
    value = cell.signature.get(fact, "")
    return "none" if value is None else str(value)


def _split(parts: Sequence[Sequence[Cell]]) -> str:
    """Say which personas stand in which setting."""
    return " and ".join(", ".join(sorted(cell.persona for cell in part)) for part in parts)


def _agree(values: Iterable[str]) -> bool:
    names, prints = zip(*[value.partition("@")[::2] for value in values], strict=True) if values else ((), ())
    return all(len(set(part) - {""}) <= 1 for part in (names, prints))
