"""What an import found besides what it took over: what was left out and why, what it noticed, what it left aside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

NAMED: Final = 1000
SHOWN: Final = 160


@dataclass
class Group:
    """One reason with all that it met.

    Attributes:
        count: How often.
        names: What it was, as `file:line what`; the first thousand.
    """

    count: int = 0
    names: list[str] = field(default_factory=list)


@dataclass
class Findings:
    """What an import found.

    Attributes:
        dropped: Reason to what was left out of the pack for it.
        noticed: Reason to what was taken over all the same.
        aside: Files of the source that nothing was taken from, with the reason.
        notes: What somebody should know who reads the pack.
    """

    dropped: dict[str, Group] = field(default_factory=dict)
    noticed: dict[str, Group] = field(default_factory=dict)
    aside: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def drop(self, reason: str, place: str, what: object = None) -> None:
        """Count and name something that was left out.

        Args:
            reason: Why, in words that fit others too.
            place: Where it stands, as file or file:line.
            what: An id or a name, if it has one.
        """
        _count(self.dropped, reason, place, what)

    def notice(self, reason: str, place: str, what: object = None) -> None:
        """Count and name something that was taken over, and that somebody may want to look at."""
        _count(self.noticed, reason, place, what)

    def note(self, text: str) -> None:
        """Say something once."""
        if text not in self.notes:
            self.notes.append(text)


def _count(groups: dict[str, Group], reason: str, place: str, what: object) -> None:
    group = groups.setdefault(reason, Group())
    group.count += 1
    if len(group.names) < NAMED:
        group.names.append(printable(place) if what is None else f"{printable(place)} {printable(str(what))}")


def printable(text: str) -> str:
    """Return a stranger's text as it can be shown on any terminal and on one line, shortened in the middle."""
    short = text if len(text) <= SHOWN else f"{text[: SHOWN // 2]}...{text[-SHOWN // 2 :]}"
    return short if short.isprintable() else ascii(short)[1:-1]
