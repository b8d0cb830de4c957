"""From a path to what a file says: its format is chosen by its ending, and nothing about it is taken on trust."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from persbench.build.formats.base import Account, UnreadableError
from persbench.errors import Fault, PersbenchError
from persbench.jsonl import file_problem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from persbench.build.formats.base import Block, Talk

# ending -> module of persbench.build.formats
FORMATS: Final = {
    ".txt": "plain", ".text": "plain",
    ".md": "markdown", ".markdown": "markdown",
    ".jsonl": "rows", ".ndjson": "rows",
    ".epub": "epub",
    ".pdf": "pdf",
}  # fmt: skip
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
NEEDED: Final = ("pypdf", "markdown_it", "lxml", "charset_normalizer", "sentencex")
# How files of other kinds begin, whatever they are called.
_SIGNATURES: Final = (
    (b"%PDF-", "a PDF", ("pdf",)),
    (b"PK\x03\x04", "a ZIP file (an EPUB, or a document of an office program)", ("epub",)),
    (b"{\\rtf", "an RTF document", ()),
    (b"\xd0\xcf\x11\xe0", "an old office document", ()),
    (b"\x1f\x8b", "a gzip archive", ()),
)
_ELSEWHERE: Final = {
    ".json": "JSON lines, one object a line (`jq -c '.[]' OLD.json > NEW.jsonl`)",
    ".docx": "plain text or Markdown (`pandoc OLD.docx -o NEW.md`)",
    ".html": "plain text or Markdown (`pandoc OLD.html -o NEW.md`)",
}


def require_extra() -> None:
    """Refuse to go on without the libraries of the extra `build`.

    Raises:
        PersbenchError: One is missing.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise PersbenchError(f"reading raw text needs {' and '.join(missing)}: pip install 'persbench[build]'")


def path_faults(paths: Sequence[Path]) -> list[Fault]:
    """Find what is wrong with the paths themselves: files named twice, or names that a unit could not carry.

    Args:
        paths: As given.

    Returns:
        One fault for each path that cannot stay.
    """
    faults = [Fault(shown(path), None, "a name that is no text", "another name") for path in paths if _unfit(path)]
    seen: dict[str, Path] = {}
    for path in paths:
        first = seen.get(path.name)
        seen.setdefault(path.name, path)
        if first is not None:
            same = first == path or _resolved(first) == _resolved(path)
            message = (
                "given twice" if same else f"has the name of {shown(first)}, and units are known by their file's name"
            )
            faults.append(Fault(shown(path), None, message, "it once" if same else "another name"))
    return faults


def shown(path: Path) -> str:
    """Return a path for messages; one that holds what a terminal should not see, with it escaped."""
    return str(path) if not _CONTROL.search(str(path)) else ascii(str(path))


def _unfit(path: Path) -> bool:
    return _CONTROL.search(path.name) is not None


def _resolved(path: Path) -> Path | None:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a circle of links
        return None


def read_source(path: Path, account: Account) -> list[Block | Talk]:
    """Read one file.

    Args:
        path: The file.
        account: Grows by what is left out and by the faults found.

    Returns:
        Its blocks and talks in order; what could be read of it, where there are faults.
    """
    found: list[Block | Talk] = []
    try:
        module = _module(path, account)
        for part in import_module(f"persbench.build.formats.{module}").read(path, account):
            found.append(part)  # noqa: PERF402 - what came before a fault is kept
    except UnreadableError as error:
        account.fault(error.line, error.message, error.expected)
    except OSError as error:
        account.fault(None, f"cannot be read: {error.strerror or error}")
    account.close()
    return found


def _module(path: Path, account: Account) -> str:
    """Return the reader of a file by its ending, having looked at the file from outside."""
    problem = file_problem(path)
    if problem == "a folder, not a file":
        raise UnreadableError(problem, f"its files one by one ({shown(path)}/*.txt)")
    if problem:
        raise UnreadableError(problem)
    ending = path.suffix.lower()
    module = FORMATS.get(ending)
    if module is None:
        expected = _ELSEWHERE.get(ending, f"one of {', '.join(FORMATS)}")
        raise UnreadableError(f"the ending {ending!r} is of no known format" if ending else "no ending", expected)
    account.size = size = path.stat().st_size
    if size > account.limits.file_bytes:
        raise UnreadableError(
            f"{size:,} bytes, more than {account.limits.file_bytes:,}", "the parts that matter, in smaller files"
        )
    if size == 0:
        raise UnreadableError("empty file", "text")
    with path.open("rb") as file:
        start = file.read(16)
    for signature, kind, readers in _SIGNATURES:
        if start.startswith(signature) and module not in readers:
            right = next((end for end, name in FORMATS.items() if name in readers), None)
            raise UnreadableError(f"not what its ending says, but {kind}", f"the ending {right}" if right else "text")
    return module
