"""JSON lines, read as if a stranger had written them: every broken line becomes a fault, and the reading goes on."""

from __future__ import annotations

import json
import math
import re
import stat
from typing import TYPE_CHECKING, BinaryIO

from persbench.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_LINE_BYTES = 1_000_000
MAX_SKIPPED_BYTES = 64_000_000
MAX_FAULTS = 100

_CHUNK = 1 << 16
_BOM = b"\xef\xbb\xbf"
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_UTF8 = "UTF-8 without a byte order mark (save the file again with that encoding)"


class _RefusedError(ValueError):
    """Something that the json module would let through and we do not."""


def file_problem(path: Path) -> str | None:
    """Say why a path cannot be read as a file, without opening it (opening a named pipe would wait for ever).

    Args:
        path: The path to look at; links are followed.

    Returns:
        A few words such as "a folder, not a file", or None if it is an ordinary file.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "a link to nothing" if path.is_symlink() else "missing file"
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        return f"cannot be read: {getattr(error, 'strerror', None) or error}"
    if stat.S_ISDIR(mode):
        return "a folder, not a file"
    if not stat.S_ISREG(mode):
        return "not an ordinary file"
    return None


def read_objects(path: Path, shown: str, faults: list[Fault]) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield the JSON objects of a file with their line numbers, and gather what is wrong with the other lines.

    Memory stays bounded whatever the file holds: of a line above `MAX_LINE_BYTES` nothing is kept, and a file with more
    than `MAX_FAULTS` faults is given up. No exception leaves this function for anything that a file can hold.

    Args:
        path: The file.
        shown: Its name in messages.
        faults: Grows by one fault for each line that is not one JSON object in UTF-8.

    Yields:
        (1-based line number, object) for each sound line, in the file's order.
    """
    problem = file_problem(path)
    if problem is not None:
        faults.append(Fault(shown, None, problem))
        return
    try:
        with path.open("rb") as file:
            yield from _read_lines(file, shown, faults)
    except OSError as error:
        faults.append(Fault(shown, None, f"cannot be read: {error.strerror or error}"))


def _read_lines(file: BinaryIO, shown: str, faults: list[Fault]) -> Iterator[tuple[int, dict[str, object]]]:
    before = len(faults)
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if number == 1 and line.startswith(_BOM):
            faults.append(Fault(shown, 1, "byte order mark at the start", _UTF8))
            line = line[len(_BOM) :]
        if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            ended = _skip_line(file)
            tail = "" if ended else ", and the rest of the file was not read"
            faults.append(
                Fault(shown, number, f"line longer than {MAX_LINE_BYTES:,} bytes{tail}", "one JSON object a line")
            )
            if not ended:
                return
        else:
            try:
                yield number, parse_object(line)
            except ValueError as error:
                faults.append(Fault(shown, number, *error.args))
        if b"\0" in line:
            return  # a binary file: its further "lines" mean nothing
        if len(faults) - before >= MAX_FAULTS:
            faults.append(Fault(shown, number, f"{MAX_FAULTS} faults up to here: the rest of the file was not read"))
            return
    if number == 0:
        faults.append(Fault(shown, None, "empty file", "at least one JSON object, or no such file"))


def _skip_line(file: BinaryIO) -> bool:
    """Read on to the end of the line in small pieces; False if it does not end within `MAX_SKIPPED_BYTES`."""
    for _ in range(MAX_SKIPPED_BYTES // _CHUNK):
        piece = file.readline(_CHUNK)
        if not piece or piece.endswith(b"\n"):
            return True
    return False


def parse_object(line: bytes) -> dict[str, object]:
    """Parse one line as a JSON object, more strictly than the json module.

    Args:
        line: The bytes of the line, with or without its newline.

    Returns:
        The object.

    Raises:
        ValueError: The line is no JSON object in UTF-8, or it holds NaN, Infinity, a number out of range, a key twice
            in one object, or half a surrogate pair. Its args are (what is wrong, what is expected).
    """
    if b"\0" in line:
        raise _RefusedError("NUL byte: this is not a text file", _UTF8)
    try:
        text = line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        message = f"not UTF-8 (byte 0x{line[error.start]:02x} at position {error.start + 1})"
        raise _RefusedError(message, _UTF8) from error
    if not text.strip():
        raise _RefusedError("empty line", "one JSON object a line")
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_integer
        )
        if _SURROGATE_ESCAPE.search(text):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        message = f"broken JSON at column {error.colno}: {error.msg}"
        raise _RefusedError(message, "one JSON object a line") from error
    except UnicodeEncodeError as error:
        message = "half a surrogate pair (\\ud800 to \\udfff)"
        raise _RefusedError(message, "whole characters") from error
    except RecursionError as error:
        message = "JSON nested too deeply"
        raise _RefusedError(message, "one flat object a line") from error
    if not isinstance(value, dict):
        message = f"not an object but {_kind(value)}"
        raise _RefusedError(message, "{...} on every line")
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            message = f"key {json.dumps(key)} twice in one object"
            raise _RefusedError(message, "each key once")
        found[key] = value
    return found


def _refuse_constant(literal: str) -> object:
    raise _RefusedError(f"{literal} is not JSON", "a finite number")


def _finite(literal: str) -> float:
    value = float(literal)
    if not math.isfinite(value):
        raise _RefusedError("number out of range", "a finite number")
    return value


def _integer(literal: str) -> int:
    # Python refuses to turn very long literals into integers, with a ValueError that says nothing to a writer of data.
    if len(literal) > 20:  # noqa: PLR2004 (64 bits, with a sign)
        raise _RefusedError("number out of range", "at most 64 bits")
    return int(literal)


def _kind(value: object) -> str:
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return "a string"
    if value is None or isinstance(value, bool):
        return str(json.dumps(value))
    return "a number"
