"""Plain text: decoded with suspicion, line by line, and split into blocks at blank lines."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Final

from charset_normalizer import from_bytes

from persbench.build.formats.base import Account, Block, Line, UnreadableError, split_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE_BYTES: Final = 64_000
_BOILERPLATE: Final = re.compile(r"\s*\*{3} ?(START|END) OF (?:THE|THIS) PROJECT GUTENBERG EBOOK", re.IGNORECASE)


def read(path: Path, account: Account) -> Iterator[Block]:
    """Read a text file as blocks of lines.

    The licence text around a Project Gutenberg e-book is left out: it is nobody's life.

    Args:
        path: The file.
        account: Grows by what is left out.

    Yields:
        Blocks in order.

    Raises:
        UnreadableError: It is no text, in another encoding, or above a limit.
    """
    blocks = list(split_blocks(cleaned_lines(path, account)))
    marks = [_BOILERPLATE.match(block.lines[0].text) for block in blocks]
    inside = not any(mark and mark[1].upper() == "START" for mark in marks)
    around: list[Line] = []
    for block, mark in zip(blocks, marks, strict=True):
        if mark:
            inside = mark[1].upper() == "START"
        if inside and not mark:
            yield block
        else:
            around += block.lines
    if around:
        account.leave_out(around[0].number, f"{len(around):,} lines of licence and title around a Gutenberg e-book")


def cleaned_lines(path: Path, account: Account) -> Iterator[Line]:
    """Yield the lines of a text file, decoded (see `decoded_lines`) and cleaned (see `Account.clean`)."""
    for number, text in decoded_lines(path, account.limits.line_characters):
        yield Line(number, account.clean(text, number))


def decoded_lines(path: Path, longest: int) -> Iterator[Line]:
    """Decode a text file line by line, in bounded memory.

    UTF-8 is read, and UTF-16 and UTF-32 with a byte order mark. Anything else is refused and never guessed at: a wrong
    guess would put wrong letters into every unit without a word.

    Args:
        path: The file.
        longest: Most characters of a line.

    Yields:
        Lines without their ends, in order.

    Raises:
        UnreadableError: It is empty, no text, in another encoding, or holds a line above the limit.
    """
    with path.open("rb") as file:
        start = file.read(_SAMPLE_BYTES)
    if not start:
        raise UnreadableError("empty file", "text")
    encoding = next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8")
    if encoding.startswith("utf-8") and b"\0" in start:
        raise UnreadableError(_nul(start), "a text file in UTF-8")
    number = 0
    try:
        with path.open(encoding=encoding, newline=None) as file:
            while text := file.readline(longest + 1):
                number += 1
                if len(text) > longest and not text.endswith("\n"):
                    raise UnreadableError(
                        f"a line of more than {longest:,} characters", "paragraphs: break the text into lines", number
                    )
                if "\0" in text:
                    raise UnreadableError("a NUL character: this is not a text file", "a text file in UTF-8", number)
                yield Line(number, text.removesuffix("\n"))
    except UnicodeDecodeError as error:
        if encoding.startswith("utf-8"):
            raise _not_utf8(path, longest) from error
        raise UnreadableError(
            f"begins as {encoding.upper()} and is broken further on", "the file saved as UTF-8"
        ) from error


def _nul(start: bytes) -> str:
    every_other = max(start[::2].count(0), start[1::2].count(0))
    if every_other > len(start) // 5 and b"\0\0" not in start:
        return "UTF-16 without a byte order mark, by the look of it (save it again as UTF-8)"
    return "NUL bytes: this is not a text file"


def _not_utf8(path: Path, longest: int) -> UnreadableError:
    """Find the first line that is not UTF-8, and what the encoding might be."""
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(4 * longest), b""), start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                sample = line[max(0, error.start - _SAMPLE_BYTES // 2) :][:_SAMPLE_BYTES] + file.read(_SAMPLE_BYTES)
                found = from_bytes(sample).best()
                name = found.encoding if found else "latin-1"
                guess = f"perhaps {name}; try" if found else "if it is a text at all,"
                message = f"not UTF-8 (byte 0x{line[error.start]:02x} at position {error.start + 1} of the line)"
                expected = f"UTF-8: {guess} `iconv -f {name} -t utf-8 OLD > NEW` and read the result"
                return UnreadableError(message, expected, number)
    return UnreadableError("not UTF-8", "the file saved as UTF-8")
