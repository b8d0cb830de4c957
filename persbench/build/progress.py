"""What a build says while it runs: a bar for each step where somebody looks, a line for each step elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rich.console import Console

    from persbench.annotators.dry_run import Planned
    from persbench.build.asking import Bars


@contextmanager
def silent(step: str, total: int) -> Iterator[Callable[[int], object]]:  # noqa: ARG001 - the form of `Bars`
    """Show nothing."""
    yield lambda _: None


@contextmanager
def showing(console: Console) -> Iterator[Bars]:
    """Show every step of a build.

    Args:
        console: Where to.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress:

        @contextmanager
        def bar(step: str, total: int) -> Iterator[Callable[[int], object]]:
            if not console.is_terminal:
                console.print(f"{step}: {total} calls", highlight=False, markup=False)
            task = progress.add_task(step, total=total)
            yield lambda done: progress.advance(task, done)
            progress.stop_task(task)

        yield bar


def plan_table(plan: Mapping[str, Planned]) -> Table:
    """Lay out what a build would ask."""
    table = Table("task", "calls", "stored already", "prompt tokens", "answer tokens, at most")
    for column in table.columns[1:]:
        column.justify = "right"
    for task, planned in plan.items():
        table.add_row(task, *(f"{n:,}" for n in _numbers(planned)))
    table.add_section()
    totals = [sum(numbers) for numbers in zip(*map(_numbers, plan.values()), strict=True)]
    table.add_row("all", *(f"{n:,}" for n in totals))
    return table


def _numbers(planned: Planned) -> tuple[int, int, int, int]:
    return planned.calls, planned.cached, planned.prompt_tokens, planned.completion_tokens


def built_table(report: Mapping[str, Any]) -> Table:
    """Lay out what a build made and what it left out."""
    table = Table("made", "rows", "left out in", "because", "how many")
    for column in (1, 4):
        table.columns[column].justify = "right"
    made = [(stem, f"{n:,}") for stem, n in report["rows"].items()]
    lost = [(step, reason, f"{n:,}") for step, reasons in report["drops"].items() for reason, n in reasons.items()]
    for i in range(max(len(made), len(lost))):
        left = made[i] if i < len(made) else ("", "")
        right = lost[i] if i < len(lost) else ("", "", "")
        table.add_row(*left, *right)
    return table
