"""What long asking shows: a bar for each step where somebody looks, a line elsewhere; and what it would cost."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from rich.console import Console

    from persbench.annotators.dry_run import Planned


class Bars(Protocol):
    """Shows how far a step has come."""

    def __call__(self, step: str, total: int, /) -> AbstractContextManager[Callable[[int], object]]:
        """Open the bar of a step of `total` calls; what it gives is told how many more are done."""
        ...


@contextmanager
def silent(step: str, total: int) -> Iterator[Callable[[int], object]]:  # noqa: ARG001 - the form of `Bars`
    """Show nothing."""
    yield lambda _: None


@contextmanager
def showing(console: Console, counted: str) -> Iterator[Bars]:
    """Show every step.

    Args:
        console: Where to.
        counted: What is counted, in the plural.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(counted))
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, *times, console=console, disable=not console.is_terminal) as progress:

        @contextmanager
        def bar(step: str, total: int) -> Iterator[Callable[[int], object]]:
            if not console.is_terminal:
                console.print(f"{step}: {total:,} {counted}", highlight=False, markup=False)
            task = progress.add_task(step, total=total)
            yield lambda done: progress.advance(task, done)
            progress.stop_task(task)

        yield bar


def plan_table(plan: Mapping[str, Planned]) -> Table:
    """Lay out what would be asked."""
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
