"""What judging shows while it runs: a bar for each kind where somebody looks, a line for each kind elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from persbench.judging.run import Bars


@contextmanager
def showing(console: Console) -> Iterator[Bars]:
    """Show the cases that are asked about, kind by kind.

    Args:
        console: Where to.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("cases"))
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, *times, console=console, disable=not console.is_terminal) as progress:

        @contextmanager
        def bar(kind: str, total: int) -> Iterator[Callable[[int], object]]:
            if not console.is_terminal:
                console.print(f"{kind}: {total:,} cases to ask about", highlight=False, markup=False)
            task = progress.add_task(kind, total=total)
            yield lambda done: progress.advance(task, done)
            progress.stop_task(task)

        yield bar
