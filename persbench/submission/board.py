"""The board's records: what stands there already, whether a submission agrees with it, and where it goes."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from filelock import FileLock, Timeout

from persbench.errors import PersbenchError
from persbench.provenance import digest
from persbench.records import OF_THE_PART, load_record, packed, record_name, write_new
from persbench.scoring.sanity import PREFIX
from persbench.submission.findings import COPIES, SETTINGS, Findings, named, plain
from persbench.submission.form import record_of
from persbench.submission.reading import MOST_FILES, UnreadableError, parsed, read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from persbench.packs.pack import PersonaData
    from persbench.records import CellRecord
    from persbench.samples import Row

SAME_MODEL: Final = ("model", "backend", "dtype", "device", "template", "neutral", "args")
MEAN_ANCHOR, ANY_ANCHOR = 0.01, 0.1
"""Nats per byte: how far anchors of the same model may lie apart, on average and anywhere; rounding moves them less."""
SAME_NUMBER: Final = 1e-6
MOST_ALIKE: Final = 0.9
"""Share of a task's log-likelihoods, in nats: two models never agree in so many, whatever was done to the others."""
PATIENCE: Final = 60.0
"""Seconds to wait for another submission's turn at the board: it compares what is new there, and writes."""
_GROUP: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Standing:
    """A record on the board, or one that is submitted with it.

    Attributes:
        record: The record.
        source: File, for messages.
        rows: Task name -> its samples that are in form.
    """

    record: CellRecord
    source: str
    rows: dict[str, list[Row]]

    @cached_property
    def answers(self) -> dict[str, dict[str, list[float]]]:
        """Task name -> document -> its log-likelihoods; without tasks that have none."""
        found = {
            name: {row["id"]: [x for part in _parts(row) for x in _likelihoods(part) if x is not None] for row in rows}
            for name, rows in self.rows.items()
        }
        return {name: rows for name, rows in found.items() if any(rows.values())}

    @property
    def speaker(self) -> tuple[object, ...]:
        """What model spoke, with what adapter."""
        return tuple(self.record.signature.get(fact) for fact in ("model", "adapter"))


def standing(folder: Path, notice: Callable[[str], None], seen: set[str]) -> Iterator[Standing]:
    """Yield the board's records one by one; one that cannot be read is passed over with a notice.

    Args:
        folder: Of the board.
        notice: Is told what is passed over.
        seen: Names of records that are left aside; gets those that were looked at.
    """
    paths = (
        [path for path in sorted(folder.rglob("*.json*")) if path.parent.name == "records"] if folder.is_dir() else []
    )
    if len(paths) > MOST_FILES:
        notice(f"{folder} holds {len(paths):,} records: the first {MOST_FILES:,} were compared with")
    for path in paths[:MOST_FILES]:
        name = path.relative_to(folder).as_posix()
        if name in seen:
            continue
        seen.add(name)
        try:
            faults = Findings()
            found = record_of(parsed(read_bytes(path)), faults)
        except UnreadableError as error:
            notice(f"{name} on the board {error}: passed over")
            continue
        if found is None or faults:
            notice(f"{name} on the board is no valid record: passed over")
        else:
            yield Standing(found.record, name, found.rows)


def shared_digest(record: CellRecord) -> str:
    """Return a digest of the system and the facts that all personas and tasks of its evaluation share."""
    return digest([record.system, {k: v for k, v in record.signature.items() if k not in OF_THE_PART}], 8)


def check_against(one: Standing, other: Standing, findings: Findings, alike: frozenset[str] = frozenset()) -> None:
    """Note where a submitted record repeats another, copies it under another name, or has other anchors.

    Args:
        one: The submitted record.
        other: A record on the board, or submitted before it.
        findings: Gets what is wrong.
        alike: Systems that send the same messages on this pack, as `prompted_alike` has them.
    """
    a, b = one.record, other.record
    if a.persona != b.persona:
        return
    twice = sorted(a.tasks.keys() & b.tasks.keys())
    same_adapter = a.signature.get("adapter") == b.signature.get("adapter")
    if twice and same_adapter and shared_digest(a) == shared_digest(b):
        findings.add(COPIES, f"{_who(a)} with these settings stands in {other.source}: {named(twice)}")
        return
    if PREFIX in (a.system[: len(PREFIX)], b.system[: len(PREFIX)]):
        return
    if not _may_agree(one, other, alike):
        same = sorted(
            name for name, found in one.answers.items() if _alike(found, other.answers.get(name, {})) >= MOST_ALIKE
        )
        if same:
            told = f"the log-likelihoods of {named(same)} are those of {plain(b.system)} in {other.source}"
            findings.add(COPIES, f"{_who(a)}: {told}")
    if all(a.signature.get(key) == b.signature.get(key) for key in SAME_MODEL):
        for name in twice:
            _check_anchors(one, other, name, findings)


def _may_agree(one: Standing, other: Standing, alike: frozenset[str]) -> bool:
    """Whether two may well give the same numbers: one speaker, prompted alike or run again with other batches."""
    systems = {one.record.system, other.record.system}
    return one.speaker == other.speaker and (len(systems) == 1 or systems <= alike)


def prompted_alike(data: PersonaData) -> frozenset[str]:
    """Return the systems that send the same messages for want of what sets them apart: dialogues, materials."""
    lacking = ({"icl"} if not data.train else set()) | ({"rag", "rag-paper"} if not data.materials else set())
    return frozenset({"prompt"} | lacking)


def _alike(own: dict[str, list[float]], other: dict[str, list[float]]) -> float:
    """Return the share of log-likelihoods that are the same, of the documents that both hold."""
    pairs = [pair for name in own.keys() & other.keys() for pair in zip(own[name], other[name], strict=False)]
    return sum(abs(a - b) <= SAME_NUMBER for a, b in pairs) / len(pairs) if pairs else 0.0


def _who(record: CellRecord) -> str:
    return f"{plain(record.system)} as {plain(record.persona)}"


def _likelihoods(part: dict[str, Any]) -> list[float | None]:
    return part.get("loglikelihoods") or []


def _parts(row: Row) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = row.get("branches") or [row]
    return parts


def _check_anchors(one: Standing, other: Standing, task: str, findings: Findings) -> None:
    """Compare anchors of one task: they are the untuned model's, whoever speaks."""
    known = {row["id"]: {part.get("label"): part.get("anchors") for part in _parts(row)} for row in other.rows[task]}
    apart = [
        abs(mine - theirs)
        for row in one.rows[task]
        for part in _parts(row)
        for mine, theirs in zip(
            part.get("anchors") or [], known.get(row["id"], {}).get(part.get("label")) or [], strict=False
        )
        if mine is not None and theirs is not None
    ]
    if apart and (sum(apart) / len(apart) > MEAN_ANCHOR or max(apart) > ANY_ANCHOR):
        told = f"lie up to {max(apart):.3f} nats per byte from those of the same untuned model in {other.source}"
        findings.add(SETTINGS, f"{_who(one.record)}: the anchors of {plain(task)} {told}")


@contextmanager
def board_to_oneself(folder: Path) -> Iterator[None]:
    """Keep other submissions from writing to a board: what it holds stays so, but for one's own, to the block's end.

    Raises:
        PersbenchError: Another one writes for a minute on end, or the board cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock").acquire(timeout=PATIENCE)
    except Timeout as error:
        raise PersbenchError(f"{folder} is in use: another command is writing to it. Repeat this one.") from error
    except OSError as error:
        raise PersbenchError(f"cannot write to {folder}: {error.strerror or error}. Name another --to.") from error
    with lock:
        yield


def place_of(folder: Path, record: CellRecord) -> Path:
    """Return where a record goes: a folder of its evaluation, so that nothing is ever replaced.

    Raises:
        PersbenchError: The record stands there already, or something else stands in its place.
    """
    name = _GROUP.sub("-", record.system.lower()).strip("-")
    group = f"{name}-{shared_digest(record)}"
    taken = folder / group / "records" / f"{record_name(record.system, record.persona)}.gz"
    if not taken.exists():
        return taken
    apart = folder / f"{group}-{record.key[:8]}" / "records" / taken.name
    for path in (taken, apart):
        if path.exists() and _key_of(path) == record.key:
            raise PersbenchError(
                f"{path} is this very record: it was submitted before, or just now by another command."
            )
    if apart.exists():
        raise PersbenchError(f"{apart} stands there already and is another record: move it away first.")
    return apart


def _key_of(path: Path) -> str | None:
    try:
        return load_record(path).key
    except PersbenchError:  # whoever reads the board says so
        return None


def store(folder: Path, records: Sequence[CellRecord]) -> list[Path]:
    """Write packed records, all or none; equal records give equal bytes.

    Raises:
        PersbenchError: One cannot be written; those written before it are taken back.
    """
    paths: list[Path] = []
    try:
        for record in records:
            path, content = place_of(folder, record), packed(record)
            while not write_new(path, content):  # another submission took the place in this moment
                path = place_of(folder, record)
            paths.append(path)
    except PersbenchError:
        for path in paths:
            path.unlink(missing_ok=True)
        raise
    return paths
