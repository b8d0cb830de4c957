"""What befell a system's items on the way to their numbers: full contexts, broken dialogues, folded system messages."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.report.cells import Cell
    from persbench.samples import Row

MOST_REASONS = 3


def notes_of(cells: Sequence[Cell]) -> list[str]:
    """Say what a reader of a system's numbers must know beside them.

    Args:
        cells: One system on its personas.

    Returns:
        A sentence for each thing, task by task; nothing where all went as it should.
    """
    by_task: dict[str, list[Row]] = defaultdict(list)
    for cell in cells:
        for task, rows in cell.tasks.items():
            by_task[task] += rows
    found: list[str] = []
    for task, rows in sorted(by_task.items()):
        found += [f"{task}: {told}" for told in (each(rows) for each in EACH) if told]
    return found


def _dialogues(rows: Sequence[Row]) -> int:
    return sum(len(row.get("transcripts", ())) for row in rows)


def _dropped(rows: Sequence[Row]) -> str:
    dropped = [number for row in rows for number in row.get("dropped_turns", {}).values()]
    if not dropped:
        return ""
    return (
        f"the model's context ran full in {len(dropped)} of {_dialogues(rows)} dialogues, which lost their oldest "
        f"exchanges, at most {max(dropped)}"
    )


def _cut(rows: Sequence[Row]) -> str:
    cut = [row["left_out"] for row in rows if row.get("left_out")]
    if not cut:
        return ""
    told = f"in {len(cut)} of {len(rows)} items, at most {max(cut)}"
    return f"pieces of the prompt had no room in the model's context {told}"


def _broken(rows: Sequence[Row]) -> str:
    # A reason may quote a model or a server: only what can be printed in one line of it is.
    reasons = Counter(
        "".join(char if char.isprintable() else " " for char in reason)
        for row in rows
        for reason in row.get("faults", {}).values()
    )
    if not reasons:
        return ""
    told = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(MOST_REASONS))
    more = ", ..." if len(reasons) > MOST_REASONS else ""
    return (
        f"{sum(reasons.values())} of {_dialogues(rows)} dialogues broke off, and are unscored from there ({told}{more})"
    )


def _calm(rows: Sequence[Row]) -> str:
    broken = sum(bool(row.get("calm_fault")) for row in rows)
    if not broken:
        return ""
    return (
        f"the dialogue without a persona broke off in {broken} of {len(rows)} items, whose drift is unscored from there"
    )


def _folded(rows: Sequence[Row]) -> str:
    folded = sum("folded" in str(row.get("rendering", "")).split("/") for row in rows)
    if not folded:
        return ""
    return (
        f"the model's template takes no system message: it stands in the user's turn in {folded} of {len(rows)} items"
    )


EACH: Final = (_dropped, _cut, _broken, _calm, _folded)
