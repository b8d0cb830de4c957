"""Tables in narrow windows: cut by columns into parts that fit, where folding would break words and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table

Part = TypeVar("Part")


class FittingTable(Generic[Part]):
    """A table that is laid out when its width is known: whole, or in as few equal parts as fit, one below the other.

    Args:
        columns: What the columns to the right of the first are made of.
        build: Makes a table of some of them, its first column included; called with whether it is the first part.
    """

    def __init__(self, columns: Sequence[Part], build: Callable[[Sequence[Part], bool], Table]) -> None:
        self._columns = columns
        self._build = build

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the parts. Single columns that are still too wide are folded, as rich does."""
        most = max(len(self._columns), 1)
        wide = options.update_width(10_000)  # asks what a table would take, not what it can do with
        for number in range(1, most + 1):
            parts = self._parts(number)
            needed = max(console.measure(part, options=wide).maximum for part in parts)
            if number == most or needed <= options.max_width:
                for place, part in enumerate(parts):
                    yield from ([Text()] if place else [])
                    yield part
                return

    def _parts(self, number: int) -> list[Table]:
        size = max(-(-len(self._columns) // number), 1)
        starts = range(0, max(len(self._columns), 1), size)
        return [self._build(self._columns[start : start + size], start == 0) for start in starts]
