"""What a training says while it runs: a bar over personas and steps where somebody looks, a line a phase elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console


class Report(Protocol):
    """Takes what a training has to say."""

    def notice(self, text: str) -> None:
        """Say something in passing."""
        ...

    def phase(self, persona: str, name: str, done: int, steps: int) -> None:
        """Begin a phase, or go on with it after so many steps."""
        ...

    def step(self, done: int, loss: float | None) -> None:
        """Say how far it is."""
        ...

    def persona_done(self) -> None:
        """End a persona."""
        ...


class Silent:
    """Says nothing, and keeps the notices.

    Attributes:
        notices: What was said in passing.
    """

    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        """See `Report`."""
        self.notices.append(text)

    def phase(self, persona: str, name: str, done: int, steps: int) -> None:
        """See `Report`."""

    def step(self, done: int, loss: float | None) -> None:
        """See `Report`."""

    def persona_done(self) -> None:
        """See `Report`."""


class Lines(Silent):
    """Writes a line a phase and a notice: for logs."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def notice(self, text: str) -> None:
        """See `Report`."""
        super().notice(text)
        self._console.print(text, style="yellow", highlight=False, markup=False, soft_wrap=True)

    def phase(self, persona: str, name: str, done: int, steps: int) -> None:
        """See `Report`."""
        begun = f", from step {done}" if done else ""
        self._console.print(f"{persona}: {name}, {steps} steps{begun}", highlight=False, markup=False)


class Bars(Lines):
    """Draws a bar over personas and one over the steps of a phase."""

    def __init__(self, console: Console, bars: Progress, personas: int) -> None:
        super().__init__(console)
        self._bars = bars
        self._all: TaskID | None = bars.add_task("personas", total=personas, loss="") if personas > 1 else None
        self._now: TaskID | None = None

    def phase(self, persona: str, name: str, done: int, steps: int) -> None:
        """See `Report`."""
        if self._now is not None:
            self._bars.remove_task(self._now)
        self._now = self._bars.add_task(f"{persona} {name}", total=steps, completed=done, loss="")

    def step(self, done: int, loss: float | None) -> None:
        """See `Report`."""
        if self._now is not None:
            told: dict[str, Any] = {} if loss is None else {"loss": f"loss {loss:.3f}"}
            self._bars.update(self._now, completed=done, **told)

    def persona_done(self) -> None:
        """See `Report`."""
        if self._all is not None:
            self._bars.advance(self._all)


@contextmanager
def reporting(console: Console, personas: int, *, speaks: bool = True) -> Iterator[Report]:
    """Choose how to report.

    Args:
        console: Where to.
        personas: How many are trained.
        speaks: False for a process beside the one that writes.
    """
    if not speaks:
        yield Silent()
    elif not console.is_terminal:
        yield Lines(console)
    else:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}"),
        )
        with Progress(*columns, TimeRemainingColumn(), console=console) as bars:
            yield Bars(console, bars, personas)
