"""Files from strangers, read with bounded memory: size, unpacked size, number of values and depth are limited."""

from __future__ import annotations

import json
import re
import stat
import zlib
from typing import TYPE_CHECKING, Any, Final

from persbench.errors import PersbenchError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB: Final = 2**20
# A record of the reference world's full set takes 1.2 MiB and holds 60,000 values.
LARGEST: Final = 64 * MIB
"""Bytes of a file, and of what a packed one unpacks to."""
MOST_VALUES: Final = 1_000_000
"""Values of one JSON text: Python needs about a hundred bytes for each, however short its text."""
LONGEST_LINE: Final = 8 * MIB
MOST_FILES: Final = 2_000
LONGEST_INTEGER: Final = 18
"""Digits: what stands in a record is counted or measured, and a longer one is no number of the machine."""
_CHUNK: Final = MIB
_GZIP: Final = 16 + zlib.MAX_WBITS
_NUMBER: Final = re.compile(r"[0-9]{400}")


class UnreadableError(PersbenchError):
    """A file that is not read on, with the reason."""


def require_file(path: Path) -> None:
    """Refuse what is no plain file, or a huge one.

    Raises:
        UnreadableError: It is.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror or error}") from error
    if not stat.S_ISREG(found.st_mode):
        raise UnreadableError("no plain file")
    if found.st_size > LARGEST:
        raise UnreadableError(f"{found.st_size / MIB:,.0f} MiB; a file has at most {LARGEST // MIB}")


def read_bytes(path: Path) -> bytes:
    """Read a file, unpacked where its name ends in `.gz`.

    Raises:
        UnreadableError: No plain file, larger than `LARGEST` before or after unpacking, or broken.
    """
    require_file(path)
    try:
        if path.suffix != ".gz":
            return path.read_bytes()
        return b"".join(_unpacked(path))
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror or error}") from error


def _unpacked(path: Path) -> Iterator[bytes]:
    """Unpack piece by piece, and stop at the limit however much would follow."""
    total, engine = 0, zlib.decompressobj(_GZIP)
    with path.open("rb") as file:
        rest = b""
        while True:
            packed = rest or file.read(_CHUNK)
            if not packed and engine.eof:
                break
            if packed and engine.eof:  # another member behind the first
                engine = zlib.decompressobj(_GZIP)
            try:
                piece = engine.decompress(packed, _CHUNK)
            except zlib.error as error:
                raise UnreadableError(f"broken gzip ({error})") from error
            if not packed and not piece and not engine.eof:
                raise UnreadableError("the gzip file ends before its end: it was cut off")
            rest = engine.unconsumed_tail or engine.unused_data
            total += len(piece)
            if total > LARGEST:
                raise UnreadableError(f"unpacks to more than {LARGEST // MIB} MiB")
            yield piece


def parsed(raw: bytes) -> Any:
    """Read JSON as plain values; NaN and infinities pass, to be told by the place where they stand.

    Raises:
        UnreadableError: Not JSON, not UTF-8, too many values, too deep, a key twice, or text that cannot be written.
    """
    if raw.count(b",") + raw.count(b"[") + raw.count(b"{") > MOST_VALUES:
        raise UnreadableError(f"holds more than {MOST_VALUES:,} values: no evaluation has so many")
    try:
        content = json.loads(raw.decode("utf-8"), object_pairs_hook=_once, parse_int=_integer)
        json.dumps(content, ensure_ascii=False).encode()  # half a surrogate pair can be read, and never written
    except RecursionError:
        raise UnreadableError("JSON nested too deep") from None
    except UnicodeEncodeError:
        raise UnreadableError("holds half a surrogate pair (\\ud800 to \\udfff), which is no text") from None
    except ValueError as error:
        raise UnreadableError(f"not readable JSON ({_NUMBER.sub('…', str(error))[:200]})") from error
    return content


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_INTEGER:
        raise ValueError(f"a whole number of {len(digits):,} digits")
    return int(digits)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:80]!r} stands twice in one object")
    return found


def lines_of(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield (1-based line number, value) of a file of JSON lines.

    Raises:
        UnreadableError: The file is none to be read, a line is too long, or is no JSON; says which.
    """
    require_file(path)
    number = 0
    try:
        with path.open("rb") as file:
            while raw := file.readline(LONGEST_LINE + 1):
                number += 1
                if len(raw) > LONGEST_LINE:
                    raise UnreadableError(f"line {number} is longer than {LONGEST_LINE // MIB} MiB")  # noqa: TRY301
                if raw.strip():
                    yield number, parsed(raw)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror or error}") from error
    except UnreadableError as error:
        told = str(error)
        raise UnreadableError(told if told.startswith("line ") else f"line {number}: {told}") from error
