"""What the readers of raw text share: blocks, talks, limits, and the account of what was not read."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple
from unicodedata import normalize

from persbench.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# What str.splitlines and other programs take for the end of a line, and what ends a page or a paragraph.
_LINE_ENDS: Final = re.compile("\r\n?|[\x0b\x1c-\x1e\x85\u2028]")
_PARAGRAPH_ENDS: Final = re.compile("[\x0c\u2029]")
_INVISIBLE: Final = re.compile("[\u00ad\ufeff\ufffe\uffff]")
# Control characters, halves of surrogate pairs, and characters that reorder or hide text from a reader's eyes
# (a model would still read what they hide).
_CONTROL: Final = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)

# Before these a hyphen at the end of a line belongs to a word that waits for its end: "pre- and post-war".
SUSPENDING: Final = frozenset({"and", "or", "to", "nor", "und", "oder", "bis", "et", "ou", "y", "o", "e", "en", "of"})


@dataclass(frozen=True)
class Limits:
    """Bounds on what is read and how it is cut; a larger input is refused with a message that names the bound.

    Attributes:
        file_bytes: Largest file.
        characters: Most characters of text from all files of one call together; bounds the memory.
        line_characters: Longest line of a text file.
        document_bytes: Largest document inside an EPUB, unpacked.
        unpacked_bytes: Most bytes of all documents of an EPUB, unpacked.
        documents: Most documents of an EPUB.
        pages: Most pages of a PDF.
        shortest: Words below which a paragraph joins the next.
        longest: Words above which a paragraph or a turn is cut at the ends of sentences.
        turns: Turns of one unit of conversation (one more where the last would stand alone).
    """

    file_bytes: int = 100_000_000
    characters: int = 10_000_000
    line_characters: int = 1_000_000
    document_bytes: int = 5_000_000
    unpacked_bytes: int = 100_000_000
    documents: int = 5_000
    pages: int = 5_000
    shortest: int = 8
    longest: int = 200
    turns: int = 5


class LeftOut(NamedTuple):
    """Text that was read and left out.

    Attributes:
        where: file:line (or page, or section).
        reason: Why, in a few words.
    """

    where: str
    reason: str


class Line(NamedTuple):
    """A line of text as it stands, without its end; `number` is its line, page or section, 1-based."""

    number: int
    text: str


@dataclass(frozen=True)
class Block:
    """Lines that a file holds together, such as those between two blank lines.

    Attributes:
        lines: At least one.
        heading: The headings above it, outermost first, joined by " > "; empty where there are none.
        filled: Whether the format says that these lines are one paragraph; of plain text nobody knows.
    """

    lines: tuple[Line, ...]
    heading: str = ""
    filled: bool = False


class Turn(NamedTuple):
    """What one speaker says at a time; `stamp` is the date or time written before it, if any."""

    number: int
    speaker: str
    text: str
    stamp: str = ""


@dataclass(frozen=True)
class Talk:
    """A conversation, whole.

    Attributes:
        turns: In order.
        heading: As in `Block`.
    """

    turns: tuple[Turn, ...]
    heading: str = ""


class UnreadableError(Exception):
    """Reading of this file cannot go on; the message becomes a `Fault` of the file."""

    def __init__(self, message: str, expected: str = "", line: int | None = None) -> None:
        super().__init__(message)
        self.message, self.expected, self.line = message, expected, line


@dataclass
class Account:
    """What a reader says of one file, beside its text.

    Attributes:
        shown: The file as the user named it, for faults.
        source: Its name without folders, for units and what is left out.
        limits: The bounds.
        spent: Characters of text read so far, in files before this one too.
        size: Bytes of the file.
        faults: What is wrong with the file.
        left_out: What was left out, and why.
    """

    shown: str
    source: str
    limits: Limits
    spent: int = 0
    size: int = 0
    faults: list[Fault] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    _removed: Counter[int] = field(default_factory=Counter)

    def fault(self, line: int | None, message: str, expected: str = "") -> None:
        """Note one thing wrong with the file."""
        self.faults.append(Fault(self.shown, line, message, expected))

    def leave_out(self, number: int, reason: str) -> None:
        """Note that text was left out."""
        self.left_out.append(LeftOut(f"{self.source}:{number}", reason))

    def clean(self, text: str, number: int) -> str:
        r"""Return text in NFC with LF line ends and without control characters, and count it.

        A form feed or paragraph separator becomes a blank line. Soft hyphens and byte order marks go without a word,
        other invisible characters are counted for `close`.

        Args:
            text: Any text, of any number of lines.
            number: Its line, page or section.

        Raises:
            UnreadableError: The files hold more text than `limits.characters`.
        """
        self.spent += len(text)
        if self.spent > self.limits.characters:
            raise UnreadableError(
                f"more than {self.limits.characters:,} characters of text up to here, all files together",
                "less at a time: split the files, or choose the parts that matter",
                number,
            )
        if text.isascii() and text.isprintable():
            return text
        text = _PARAGRAPH_ENDS.sub("\n\n", _LINE_ENDS.sub("\n", _INVISIBLE.sub("", text)))
        text, removed = _CONTROL.subn("", text)
        if removed:
            self._removed[number] += removed
        return normalize("NFC", text)

    def close(self) -> None:
        """Note how many control characters were removed."""
        if self._removed:
            count = self._removed.total()
            self.leave_out(
                min(self._removed), f"{count:,} control character{'s' * (count > 1)} in the file, from here on"
            )


def split_blocks(lines: Iterable[Line], heading: str = "", *, filled: bool = False) -> Iterator[Block]:
    """Group lines into blocks at blank lines.

    Args:
        lines: Cleaned lines; one that holds line ends (a form feed stood there) counts as several of its number.
        heading: Of all blocks.
        filled: Of all blocks.

    Yields:
        Blocks in order, none of them empty.
    """
    held: list[Line] = []
    for number, text in lines:
        for part in text.split("\n"):
            if part.strip():
                held.append(Line(number, part))
            elif held:
                yield Block(tuple(held), heading, filled)
                held = []
    if held:
        yield Block(tuple(held), heading, filled)
