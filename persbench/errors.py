"""What persbench says when it cannot go on: faults with file and line, and names that nearly fit."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, order=True)
class Fault:
    """One thing wrong with an input.

    Attributes:
        file: Path as the user knows it (relative to the pack where there is one).
        line: 1-based line, or None where the fault is the file's own.
        message: What is wrong.
        expected: What would be right; empty if the message says so already.
    """

    file: str
    line: int | None
    message: str
    expected: str = ""

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.message}" + (f"; expected {self.expected}" if self.expected else "")


class PersbenchError(Exception):
    """A mistake that the user can mend: the message says what is wrong, where, and what to do.

    The command line prints the message without a traceback and exits with `exit_code`.
    """

    exit_code = 2


class FaultsError(PersbenchError):
    """All faults of one input at once.

    Attributes:
        faults: Every fault found, sorted by file and line.
    """

    def __init__(self, title: str, faults: Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = tuple(
            sorted(faults, key=lambda f: (f.file, f.line or 0, f.message)),
        )
        n = len(self.faults)
        lines = "\n".join(f"  {fault}" for fault in self.faults)
        super().__init__(f"{title}: {n} fault{'s' if n != 1 else ''}\n{lines}")


class UnknownNameError(PersbenchError):
    """A name that is not among the known ones; the message lists the nearest and all valid ones."""

    def __init__(self, kind: str, name: str, known: Sequence[str]) -> None:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f" Did you mean {', '.join(repr(n) for n in near)}?" if near else ""
        listed = ", ".join(known) if known else "none"
        super().__init__(f"unknown {kind} {name!r}.{hint} Known: {listed}.")
