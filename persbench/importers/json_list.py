"""The entries of a JSON list one at a time, however large the list is."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, BinaryIO, Final

from persbench.jsonl import MAX_LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK: Final = 1 << 16
_BLANK: Final = re.compile(r"[ \t\r\n]*")
_CUT: Final = 16  # a literal or an escape that the buffer's end cuts begins so near to it
_UTF8: Final = "UTF-8 without a byte order mark (save the file again with that encoding)"


class BrokenListError(ValueError):
    """The list cannot be read on from here; args are (what is wrong, what is expected)."""


class Entries:
    """The entries of a JSON list as text, one at a time, with a buffer of one entry and one piece of the file."""

    def __init__(self, file: BinaryIO) -> None:
        self.line = 1
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8")()
        self._buffer, self._at, self._ended = "", 0, False
        self._json = json.JSONDecoder()

    def __iter__(self) -> Iterator[tuple[int, str]]:
        self._take("[")
        if self._next() == "]":
            self._take("]")
        else:
            while True:
                line, text = self._entry()
                yield line, text
                if self._next() == "]":
                    self._take("]")
                    break
                self._take(",")
        if self._next():
            raise BrokenListError("more after the end of the list", "one list")

    def _entry(self) -> tuple[int, str]:
        if self._next() != "{":
            raise BrokenListError("an entry that is no object", "a list of objects {...}")
        while True:
            try:
                _, end = self._json.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError as error:
                if error.pos < len(self._buffer) - _CUT and not error.msg.startswith("Unterminated"):
                    self._move(error.pos)
                    raise BrokenListError(f"broken JSON: {error.msg}", "a whole list of objects") from error
                if len(self._buffer) - self._at > MAX_LINE_BYTES:
                    raise BrokenListError(
                        f"entry longer than {MAX_LINE_BYTES:,} characters", "small entries"
                    ) from error
                if not self._more(max(_CHUNK, len(self._buffer) - self._at)):
                    raise BrokenListError(f"the file breaks off: {error.msg}", "a whole list of objects") from error
            except (RecursionError, ValueError) as error:
                raise BrokenListError("JSON nested too deeply, or a number out of range", "flat objects") from error
            else:
                line, text = self.line, self._buffer[self._at : end]
                self._move(end)
                return line, text

    def _next(self) -> str:
        """Return the next character that is not blank; empty at the end of the file."""
        while True:
            blank = _BLANK.match(self._buffer, self._at)
            self._move(blank.end() if blank else self._at)
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more(_CHUNK):
                return ""

    def _take(self, wanted: str) -> None:
        found = self._next()
        if found != wanted:
            shown = json.dumps(found) if found else "the end of the file"
            raise BrokenListError(f"broken JSON: {shown} where {wanted!r} belongs", "a whole list of objects")
        self._move(self._at + 1)

    def _move(self, to: int) -> None:
        self.line += self._buffer.count("\n", self._at, to)
        self._at = to

    def _more(self, size: int) -> bool:
        if self._ended:
            return False
        raw = self._file.read(size)
        self._ended = not raw
        if b"\0" in raw:
            raise BrokenListError("NUL byte: this is not a text file", _UTF8)
        try:
            text = self._decode.decode(raw, final=self._ended)
        except UnicodeDecodeError as error:
            raise BrokenListError(f"not UTF-8 (byte 0x{error.object[error.start]:02x})", _UTF8) from error
        self._buffer, self._at = self._buffer[self._at :] + text, 0
        return bool(raw)
