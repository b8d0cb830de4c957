"""What is wrong with a submission: everything at once, by kind, with file, task, document and metric."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from persbench.errors import PersbenchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHOWN: Final = 20
_LONGEST: Final = 80

READING: Final = "files that cannot be read"
FORM: Final = "form"
NAMES: Final = "names"
PACK: Final = "pack"
TASKS: Final = "task versions"
SETTINGS: Final = "settings and signature"
DOCUMENTS: Final = "documents"
BOUNDS: Final = "numbers and texts out of bounds"
METRICS: Final = "metrics that do not follow from their samples"
TOTALS: Final = "totals that do not follow from the samples"
COPIES: Final = "on the board already"
TOOLS: Final = "what is missing here to check it"


class RefusedError(PersbenchError):
    """A submission with faults: the message says all of them, and nothing was written."""

    exit_code = 1


@dataclass
class Findings:
    """Faults by kind: the first of each kind in words, the others counted, so that no input makes it large.

    Attributes:
        told: Kind -> the first faults in words.
        number: Kind -> how many there are.
    """

    told: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    number: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, kind: str, message: str) -> None:
        """Note one fault."""
        self.number[kind] += 1
        if len(self.told[kind]) < SHOWN:
            self.told[kind].append(message)

    def __bool__(self) -> bool:
        return bool(self.number)

    def take(self, other: Findings, before: str = "") -> None:
        """Take over the faults of another, each with its place before it."""
        for kind, messages in other.told.items():
            for message in messages:
                self.add(kind, before + message)
            self.number[kind] += other.number[kind] - len(messages)

    @property
    def total(self) -> int:
        """Number of all faults."""
        return sum(self.number.values())

    def text(self) -> str:
        """Write the faults, a kind after the other."""
        lines: list[str] = []
        for kind, messages in self.told.items():
            lines.append(f"{kind} ({self.number[kind]:,})")
            lines += [f"  {message}" for message in messages]
            if self.number[kind] > len(messages):
                lines.append(f"  and {self.number[kind] - len(messages):,} more of this kind")
        return "\n".join(lines)


def shown(value: object, longest: int = _LONGEST) -> str:
    """Return something that a stranger wrote as one harmless line: controls and marks not seen are escaped, length cut.

    Args:
        value: A text or any plain value.
        longest: Most characters.
    """
    if not isinstance(value, (str, int, float, bool, type(None))):
        return f"a {type(value).__name__}"
    text = repr(value[: 4 * longest] if isinstance(value, str) else value)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def counted(number: int, what: str) -> str:
    """Write a number with what it counts, as `1 fault` and `2 faults`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def plain(value: object, longest: int = _LONGEST) -> str:
    """Return a name that a stranger wrote without quotation marks, as harmless as `shown`."""
    text = str(value)[: 4 * longest]
    seen = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return seen if len(seen) <= longest else f"{seen[: longest - 1]}…"


def named(found: Sequence[str] | Mapping[str, object], most: int = 5) -> str:
    """List a few names, and say how many more there are."""
    names = list(found)
    listed = ", ".join(shown(name) for name in names[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most:,} more"
