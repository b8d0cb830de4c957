"""PDF: lines of text where a page draws them, grouped into paragraphs by the space around them."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from persbench.build.formats.base import SUSPENDING, Account, Block, Line, UnreadableError, split_blocks
from persbench.build.formats.running_heads import without_running_heads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from pypdf import PageObject

_GAP: Final = 1.35  # of the usual distance between two lines: more begins a paragraph
_INDENT: Final = 0.8  # of the size of the letters: a line set in by more begins a paragraph
_RESIZED: Final = 0.15  # of the size of the letters: a greater change is a heading or its end
_BULLET: Final = re.compile(r"\s*[•◦▪‣*·–-]")  # what follows it is set in, and goes on with it
_DIVIDED: Final = re.compile(r"(\w*[^\W\d_])[-\u2010]$")
_COMPOUND: Final = re.compile(r"\w+-\w+")
_ENDS: Final = re.compile(r"[.!?…:\"'”’»)\]。！？」』]\s*$")


@dataclass
class _Drawn:
    """A line of a page, and where its first letter stands, in points."""

    text: str
    left: float
    base: float
    size: float


def read(path: Path, account: Account) -> Iterator[Block]:
    """Read a PDF as blocks; lines are numbered by their page.

    Running heads and page numbers are left out by name, a word hyphenated at the end of a line is put together, and a
    paragraph goes on over the end of a page.

    Args:
        path: The file.
        account: Grows by what is left out, such as pages without text.

    Yields:
        Blocks in order.

    Raises:
        UnreadableError: It is broken, asks for a password, holds no text, or exceeds a limit.
    """
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it complains of every oddity; what matters is said here
    pages = [
        (number, lines)
        for number, drawn in enumerate(_pages(path, account), start=1)
        if (lines := _spaced(drawn, number, account))
    ]
    yield from split_blocks(_hyphens_joined(_flow(without_running_heads(pages, account))))


def _pages(path: Path, account: Account) -> Iterator[list[_Drawn]]:
    """Yield the lines of each page, in the order in which they are drawn."""
    reader, count = _opened(path)
    if count > account.limits.pages:
        raise UnreadableError(f"{count:,} pages, more than {account.limits.pages:,}", "a part of the book")
    empty: list[int] = []
    for number in range(1, count + 1):
        try:
            drawn = _drawn(reader.pages[number - 1])
        except Exception as error:  # noqa: BLE001 - as above
            account.fault(number, f"a broken page: {_said(error)}", "a file that a PDF viewer opens")
            drawn = []
        else:
            if not any(line.text.strip() for line in drawn):
                empty.append(number)
        yield drawn
    if len(empty) == count:
        raise UnreadableError(
            f"no text on its {count:,} page{'s' * (count > 1)}: scanned, by the look of it",
            "text: run it through OCR first (for example `ocrmypdf OLD NEW`)",
        )
    for number in empty:
        account.leave_out(number, "a page without text (blank, or a picture)")


def _opened(path: Path) -> tuple[PdfReader, int]:
    """Return the reader of a file and its number of pages."""
    try:
        reader = PdfReader(path, strict=False)
        locked = reader.is_encrypted and not reader.decrypt("")
        count = 0 if locked else len(reader.pages)
    except Exception as error:  # a broken file leaves pypdf by any exception there is
        if "cryptography" in str(error):
            raise UnreadableError("encrypted", "a copy saved without encryption (`qpdf --decrypt OLD NEW`)") from error
        raise UnreadableError(f"a broken PDF: {_said(error)}", "a file that a PDF viewer opens") from error
    if locked:
        raise UnreadableError("asks for a password", "a copy saved without one")
    if not count:
        raise UnreadableError("a PDF without pages", "a file that a PDF viewer opens")
    return reader, count


def _said(error: Exception) -> str:
    first = str(error).strip().splitlines()
    kind = "" if isinstance(error, PyPdfError) else f"{type(error).__name__} "
    return f"{kind}{first[0][:200] if first else 'unreadable'}"


def _drawn(page: PageObject) -> list[_Drawn]:
    lines: list[_Drawn] = []
    begun = False

    def visit(text: str, outer: Sequence[float], inner: Sequence[float], _font: Any, size: float) -> None:
        nonlocal begun
        for place, part in enumerate(text.split("\n")):
            if place:
                begun = False
            if not begun and part.strip():
                # Where the text space's origin comes to lie on the page.
                left = inner[4] * outer[0] + inner[5] * outer[2] + outer[4]
                base = inner[4] * outer[1] + inner[5] * outer[3] + outer[5]
                height = abs(size * (inner[3] or inner[1]) * (outer[3] or outer[1])) or 1.0
                lines.append(_Drawn(part, left, base, height))
                begun = True
            elif begun:
                lines[-1].text += part

    text = page.extract_text(visitor_text=visit)
    if "".join("".join(line.text for line in lines).split()) != "".join(text.split()):
        return [_Drawn(line, 0.0, 0.0, 1.0) for line in text.split("\n")]  # the places cannot be trusted
    return lines


def _spaced(drawn: Sequence[_Drawn], number: int, account: Account) -> list[Line]:
    """Return a page's lines with an empty one wherever a paragraph begins."""
    steps = [a.base - b.base for a, b in pairwise(drawn) if a.base > b.base]
    usual = median(steps) if steps else 0.0
    lines: list[Line] = []
    for place, line in enumerate(drawn):
        if place:
            before = drawn[place - 1]
            step = before.base - line.base
            far = bool(usual) and step > _GAP * usual
            resized = abs(line.size - before.size) > _RESIZED * max(line.size, before.size)
            set_in = step > 0 and line.left > before.left + _INDENT * line.size and not _BULLET.match(before.text)
            if far or resized or set_in:
                lines.append(Line(number, ""))
        if text := account.clean(line.text, number).strip():
            lines.append(Line(number, text))
    return lines


def _flow(pages: Sequence[Sequence[Line]]) -> Iterator[Line]:
    """Yield the lines of all pages, with an empty one between two pages unless a sentence goes on."""
    for lines in pages:
        filled = [place for place, line in enumerate(lines) if line.text]
        if filled:  # what stood around running heads is no end of a paragraph
            yield from lines[filled[0] : filled[-1] + 1]
            number, text = lines[filled[-1]]
            if _ENDS.search(text):
                yield Line(number, "")


def _hyphens_joined(lines: Iterable[Line]) -> list[Line]:
    """Put together words that a line end divides, unless the text writes the word with a hyphen elsewhere."""
    kept = list(lines)
    written = {word.lower() for _, text in kept for word in _COMPOUND.findall(text)}
    joined: list[Line] = []
    for number, text in kept:
        divided = _DIVIDED.search(joined[-1].text) if joined else None
        rest, _, after = text.partition(" ")
        if not divided or not rest[:1].islower() or rest in SUSPENDING:
            joined.append(Line(number, text))
            continue
        hyphen = "-" if _COMPOUND.match(f"{divided[1]}-{rest}".lower())[0] in written else ""  # type: ignore[index]
        joined[-1] = Line(joined[-1].number, f"{joined[-1].text[: divided.end(1)]}{hyphen}{rest}")
        if after:
            joined.append(Line(number, after))
    return joined
