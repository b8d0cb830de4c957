"""Records: the JSON file of one finished cell, written whole or not at all, and read back with every fault named."""

from __future__ import annotations

import gzip
import json
import os
import re
import tempfile
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from persbench.errors import PersbenchError
from persbench.provenance import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FORMAT: Final = 1
SUBMISSION: Final = "submission"
"""What `run` says of a record that was submitted: who checked it, and what of it was `NOT_RECOMPUTED`."""
NOT_RECOMPUTED: Final = "not_recomputed"
LARGEST_UNPACKED: Final = 64 << 20
"""Bytes of a packed record, unpacked: one of the reference world's full set takes 1.2 MiB."""
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
OF_THE_PART: Final = ("anchors", "tasks", "adapter")
"""Facts of a signature in which parts of one evaluation differ: the persona, with an adapter of its own, and tasks."""


@dataclass(frozen=True)
class CellRecord:
    """One system on one persona.

    Attributes:
        system: System name, with its fingerprint in `signature`.
        persona: Persona id.
        key: Digest of everything that decides the numbers; a record with another key answers another question.
        signature: Facts printed beside every number of this cell.
        tasks: Task name -> {"version", "hash", "samples"}; each sample holds the document's id, persona, stage,
            cluster, kind, rendering, log-likelihoods or reply, anchors, chance levels and metrics as
            [value, scored].
        provenance: Versions, settings and model facts.
        run: Time stamps, durations and the state of the source tree: the part that two equal runs need not share.
        format: Version of this layout.
    """

    system: str
    persona: str
    key: str
    signature: dict[str, Any]
    tasks: dict[str, dict[str, Any]]
    provenance: dict[str, Any]
    run: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def not_recomputed(self) -> tuple[str, ...]:
        """Metrics that were taken over from a submission as they were, since computing them again takes an embedder."""
        mark = self.run.get(SUBMISSION) if isinstance(self.run, dict) else None
        names = mark.get(NOT_RECOMPUTED) if isinstance(mark, dict) else None
        return tuple(sorted(map(str, names))) if isinstance(names, list) else ()


def cell_key(signature: Mapping[str, Any], persona: str, tasks: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the key of a cell: a digest of everything that decides its numbers.

    Args:
        signature: Its facts; `anchors`, which are known only after the run, are left aside.
        persona: Persona id.
        tasks: Task name -> {"version", "hash", ...}.
    """
    facts = {name: value for name, value in signature.items() if name != "anchors"}
    versions = sorted((name, task["version"], task["hash"]) for name, task in tasks.items())
    return digest([facts, persona, versions], 16)


def record_name(system: str, persona: str) -> str:
    """Return the name of a record's file, `.json`; packed, `.gz` stands behind it."""
    return f"{system.replace(':', '-')}__{persona}.json"


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part, even after a crash.

    Raises:
        PersbenchError: The file cannot be written (no space, no right); nothing is left behind.
    """
    _write(path, data, _replaced)


def write_new(path: Path, data: bytes) -> bool:
    """Write a file as `write_atomic` does, unless something stands there: nothing is ever replaced.

    Returns:
        Whether it was written.

    Raises:
        PersbenchError: The file cannot be written.
    """
    return _write(path, data, _linked)


def _replaced(temporary: Path, path: Path) -> bool:
    temporary.replace(path)
    return True


def _linked(temporary: Path, path: Path) -> bool:
    try:
        path.hardlink_to(temporary)  # fails where something stands, also in the same moment
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    return True


def _write(path: Path, data: bytes, put: Callable[[Path, Path], bool]) -> bool:
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o666 & ~_umask())  # temporary files are private, results are not
        return put(Path(temporary), path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise PersbenchError(
            f"cannot write {path}: {error.strerror or error}. What was finished before is kept: "
            "make room or choose another --out, and repeat the command."
        ) from error


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def save_record(path: Path, record: CellRecord) -> None:
    """Write a record, and read it back to be sure that it was written.

    Raises:
        PersbenchError: It could not be written, or does not read back as it was.
    """
    text = _layout(asdict(record))
    write_atomic(path, text.encode())
    if asdict(load_record(path)) != json.loads(text):
        raise PersbenchError(f"{path} does not read back as it was written: check the disk, and repeat the command.")


def packed(record: CellRecord) -> bytes:
    """Return a record as a board keeps it, packed by gzip: equal records give equal bytes, whenever it is done."""
    return gzip.compress(_layout(asdict(record)).encode(), mtime=0)


def _layout(content: dict[str, Any]) -> str:
    """Write JSON with one line a field and one line a sample: small, and readable in a diff."""

    def dump(value: object) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)

    def task(name: str, found: dict[str, Any]) -> str:
        head = "".join(f"{dump(key)}: {dump(value)}, " for key, value in found.items() if key != "samples")
        samples = ",\n".join(map(dump, found["samples"]))
        return f'{dump(name)}: {{{head}"samples": [\n{samples}\n]}}'

    tasks = ",\n".join(task(name, found) for name, found in content["tasks"].items())
    fields = [f"{dump(key)}: {f'{{{tasks}}}' if key == 'tasks' else dump(value)}" for key, value in content.items()]
    return "{\n" + ",\n".join(fields) + "\n}\n"


def plain_json(raw: str | bytes) -> Any:
    r"""Read JSON whose texts can be written again: half a surrogate pair (`\ud800`) can be read, and never written.

    Raises:
        ValueError: It is not JSON, or holds such a half.
        RecursionError: It is nested too deep.
    """
    content = json.loads(raw)
    if _SURROGATE.search(raw if isinstance(raw, bytes) else raw.encode(errors="replace")):
        json.dumps(content, ensure_ascii=False).encode()
    return content


def load_record(path: Path) -> CellRecord:
    """Read a record; one whose name ends in `.gz` is unpacked on the way.

    Raises:
        PersbenchError: Missing, half-written, of another format, or not a record; says what to do.
    """
    try:
        content = plain_json(_unpacked(path) if path.suffix == ".gz" else path.read_bytes())
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise PersbenchError(
            f"{path}: not a readable record ({error}). Delete it and repeat the run: only this cell is lost."
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise PersbenchError(
            f"{path}: record format {found!r}, expected {FORMAT}. Run the cell again with this version of persbench."
        )
    try:
        record = CellRecord(**content)
    except TypeError as error:
        raise PersbenchError(f"{path}: not a persbench record ({error}). Delete it and repeat the run.") from error
    if faults := _misshapen(record):
        raise PersbenchError(
            f"{path}: not a persbench record (of another form: {', '.join(faults)}). Delete it and repeat the run."
        )
    return record


def _unpacked(path: Path) -> bytes:
    """Unpack a file no further than a record can be long: a short one may hold any length of zeros.

    Raises:
        ValueError: It goes on.
    """
    with gzip.open(path) as stream:
        raw = stream.read(LARGEST_UNPACKED + 1)
    if len(raw) > LARGEST_UNPACKED:
        raise ValueError(f"it unpacks to more than {LARGEST_UNPACKED >> 20} MiB")
    return raw


def _misshapen(record: CellRecord) -> list[str]:
    """Name the fields that are of another type than everybody who reads a record takes for granted."""
    kinds = {"system": str, "persona": str, "key": str, "signature": dict, "tasks": dict, "provenance": dict}
    faults = [name for name, kind in (kinds | {"run": dict}).items() if not isinstance(getattr(record, name), kind)]
    if "tasks" in faults:
        return faults
    return faults + [f"tasks.{name[:80]!r}" for name, task in record.tasks.items() if not _is_task(task)]


def _is_task(task: object) -> bool:
    if not isinstance(task, dict):
        return False
    samples = task.get("samples")
    named = isinstance(task.get("version"), str) and isinstance(task.get("hash"), str)
    return named and isinstance(samples, list) and all(isinstance(one, dict) for one in samples)
