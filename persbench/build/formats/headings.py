"""The headings that stand above a block, as a reader meets them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from persbench.build.formats.base import Account


@dataclass
class Headings:
    """The open headings of a document, outermost first, and whether anything stands under them.

    A heading is no unit of its own: it is the context of what follows. One with nothing under it is named as left out.

    Attributes:
        account: Where headings with nothing under them are noted.
    """

    account: Account
    _open: list[tuple[int, int, str]] = field(default_factory=list)  # level, line, text
    _bare: bool = False

    def enter(self, level: int, number: int, text: str) -> None:
        """Begin a section.

        Args:
            level: 1 is the outermost.
            number: Its line or section.
            text: Its words; an empty heading only ends the section before it.
        """
        text = " ".join(text.split())
        if self._bare and level <= self._open[-1][0]:
            self.close()
        self._open = [entry for entry in self._open if entry[0] < level]
        if text:
            self._open.append((level, number, text))
        self._bare = bool(text)

    def above(self) -> str:
        """Return the headings above the text that now follows, joined by " > "."""
        self._bare = False
        return " > ".join(text for _, _, text in self._open)

    def close(self) -> None:
        """End the document: name the last heading if nothing stood under it."""
        if self._bare:
            _, number, text = self._open[-1]
            self.account.leave_out(number, f"a heading with nothing under it: {text[:80]}")
        self._bare = False
