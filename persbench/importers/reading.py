"""Reading a source as if a stranger had written it: streamed, bounded in memory, every fault with file and line."""

from __future__ import annotations

import codecs
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from persbench.errors import Fault
from persbench.importers.json_list import BrokenListError, Entries
from persbench.jsonl import MAX_LINE_BYTES, file_problem, parse_object, read_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_DOCUMENT_BYTES: Final = 64_000_000
MAX_FILES: Final = 100_000
MAX_DEPTH: Final = 6

_CHUNK: Final = 1 << 16
_UTF8: Final = "UTF-8 without a byte order mark (save the file again with that encoding)"
Row = dict[str, Any]


def files_below(folder: Path) -> dict[str, Path]:
    """List the files of a folder and of the folders in it.

    Hidden files and folders are passed over, links to folders are not followed, and no more than six floors are gone
    down.

    Args:
        folder: Where to begin.

    Returns:
        Name from the folder (with "/") to the file, sorted by name; at most `MAX_FILES`.
    """
    found: dict[str, Path] = {}
    for here, folders, names in os.walk(folder, followlinks=False):
        depth = len(Path(here).relative_to(folder).parts)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and depth < MAX_DEPTH)
        for name in sorted(names):
            path = Path(here) / name
            if not name.startswith(".") and len(found) < MAX_FILES:
                found[path.relative_to(folder).as_posix()] = path
    return dict(sorted(found.items()))


def text_lines(path: Path, shown: str, faults: list[Fault]) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text file, without their ends.

    Args:
        path: The file.
        shown: Its name in messages.
        faults: Grows by one fault where the file is no UTF-8 text or holds an endless line; the reading ends there.

    Yields:
        (1-based line number, line).
    """
    problem = file_problem(path)
    if problem is not None:
        faults.append(Fault(shown, None, problem))
        return
    number = 0
    try:
        with path.open("rb") as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                fault = _line_fault(line, number)
                if fault is not None:
                    faults.append(Fault(shown, number, *fault))
                    return
                yield number, line.decode("utf-8").rstrip("\r\n")
    except OSError as error:
        faults.append(Fault(shown, None, f"cannot be read: {error.strerror or error}"))
    if number == 0:
        faults.append(Fault(shown, None, "empty file", "text, or no such file"))


def _line_fault(line: bytes, number: int) -> tuple[str, str] | None:
    if number == 1 and line.startswith(codecs.BOM_UTF8):
        return "byte order mark at the start", _UTF8
    if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
        return f"line longer than {MAX_LINE_BYTES:,} bytes", "a paragraph a line"
    if b"\0" in line:
        return "NUL byte: this is not a text file", _UTF8
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"not UTF-8 (byte 0x{line[error.start]:02x} at position {error.start + 1})", _UTF8
    return None


def read_document(path: Path, shown: str, faults: list[Fault]) -> Row | None:
    """Read a file that is one JSON object.

    Args:
        path: The file; at most `MAX_DOCUMENT_BYTES`.
        shown: Its name in messages.
        faults: Grows by one fault where it is none.

    Returns:
        The object, or None.
    """
    problem = file_problem(path)
    try:
        if problem is None and path.stat().st_size > MAX_DOCUMENT_BYTES:
            problem = f"larger than {MAX_DOCUMENT_BYTES:,} bytes"
        if problem is None:
            raw = path.read_bytes()
            if not raw.strip():
                problem = "empty file"
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
    if problem is not None:
        faults.append(Fault(shown, None, problem, "one JSON object"))
        return None
    try:
        return parse_object(raw)
    except ValueError as error:
        cause = error.__cause__
        line = cause.lineno if isinstance(cause, json.JSONDecodeError) else None
        faults.append(Fault(shown, line, *error.args))
        return None


def read_rows(
    path: Path, shown: str, faults: list[Fault], progress: Callable[[int], Any] = int
) -> Iterator[tuple[int, Row]]:
    """Yield the objects of a file, be it JSON lines or one JSON list, whatever its name says.

    Args:
        path: The file; it is never in memory as a whole.
        shown: Its name in messages.
        faults: Grows by every line or entry that is no JSON object; a list that breaks off is given up there.
        progress: Called with 1 for each object.

    Yields:
        (1-based line on which the object begins, object).
    """
    rows = _listed(path, shown, faults) if _opens_list(path) else read_objects(path, shown, faults)
    for line, row in rows:
        progress(1)
        yield line, row


def _opens_list(path: Path) -> bool:
    if file_problem(path) is not None:
        return False
    try:
        with path.open("rb") as file:
            while piece := file.read(_CHUNK):
                if head := piece.strip():
                    return head.startswith(b"[")
    except OSError:
        return False  # the reader that follows says why
    return False


def _listed(path: Path, shown: str, faults: list[Fault]) -> Iterator[tuple[int, Row]]:
    try:
        with path.open("rb") as file:
            entries = Entries(file)
            try:
                for line, text in entries:
                    try:
                        yield line, parse_object(text.encode("utf-8", "surrogatepass"))
                    except ValueError as error:
                        faults.append(Fault(shown, line, *error.args))
            except BrokenListError as error:
                faults.append(Fault(shown, entries.line, *error.args))
    except OSError as error:
        faults.append(Fault(shown, None, f"cannot be read: {error.strerror or error}"))
