"""A submission from its files to the board: read, checked in every number, and stored or refused as a whole.

Sanity systems are the same whoever runs them: of these only what the board lacks is stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from persbench import __version__
from persbench.errors import PersbenchError
from persbench.provenance import versions
from persbench.records import NOT_RECOMPUTED, SUBMISSION
from persbench.stock_results import RESULTS
from persbench.submission.board import (
    Standing,
    board_to_oneself,
    check_against,
    prompted_alike,
    standing,
    store,
)
from persbench.submission.check import check_record
from persbench.submission.findings import (
    METRICS,
    READING,
    Findings,
    RefusedError,
    counted,
    named,
    plain,
)
from persbench.submission.form import record_of
from persbench.submission.reading import MOST_FILES, UnreadableError, parsed, read_bytes
from persbench.submission.sanity import repeated_sanity
from persbench.submission.stock import stock_records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from persbench.records import CellRecord
    from persbench.samples import Row
    from persbench.submission.examiner import Examiner
    from persbench.submission.metrics import Recount

    Notice = Callable[[str], None]
    Alike = dict[str, frozenset[str]]  # systems that send the same messages, by persona

LARGEST_SUBMISSION: Final = 512 << 20
"""Bytes, unpacked: four hundred records of the reference world's full set."""
DECIDING: Final = ("lm-eval", "sacrebleu", "rouge-score", "scikit-learn", "numpy")


@dataclass
class Checked:
    """One record that was found right.

    Attributes:
        record: The record, marked with what was not computed again.
        source: The file it came from.
        recount: What was computed again.
        rows: Task name -> its samples that are in form.
    """

    record: CellRecord
    source: str
    recount: Recount
    rows: dict[str, list[Row]]

    @cached_property
    def standing(self) -> Standing:
        """It, as it is held against others."""
        return Standing(self.record, self.source, self.rows)

    @property
    def samples(self) -> int:
        """Number of its samples."""
        return sum(map(len, self.rows.values()))


@dataclass
class Submission:
    """What was found in the files.

    Attributes:
        checked: Every record that is to be stored, if there is no fault anywhere.
        findings: Every fault of every file.
        stored: Where the records went.
        size: Bytes of all records read, unpacked.
    """

    checked: list[Checked] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)
    stored: list[Path] = field(default_factory=list)
    size: int = 0


def files_of(records: Path) -> list[Path]:
    """Return the files of a submission: records, and lm-eval's results.

    Raises:
        PersbenchError: There is none, or too many.
    """
    if not records.exists():
        raise PersbenchError(f"no {records}: name a record, or the folder that `persbench run --out` wrote.")
    if not records.is_dir():
        return [records]
    found = sorted(
        path
        for path in records.rglob("*.json*")
        if path.name.endswith((".json", ".json.gz"))
        and (path.parent.name == "records" or path.name.startswith(RESULTS))
    )
    if not found:
        raise PersbenchError(
            f"{records} holds no records. `persbench run --out {records}` writes them; the stock `lm_eval run` needs "
            "--output_path and --log_samples."
        )
    if len(found) > MOST_FILES:
        raise PersbenchError(f"{records} holds {len(found):,} files; at most {MOST_FILES:,} are submitted at once.")
    return found


def submit(
    records: Path, board: Path, examiner: Examiner, notice: Notice, progress: Notice = lambda _: None
) -> Submission:
    """Check a submission, and store it if it has no fault.

    Args:
        records: A record, or a folder of them.
        board: Folder of the board's records.
        examiner: Knows pack and tasks.
        notice: Called with what should be known and refuses nothing.
        progress: Called with the name of each file before it is checked.

    Raises:
        RefusedError: All faults at once; nothing was written then.
        PersbenchError: No such files, nothing that the board lacks, or the board cannot be written.
    """
    done, home = Submission(), records if records.is_dir() else records.parent
    for path in files_of(records):
        name = path.relative_to(home).as_posix()
        progress(name)
        found = Findings()
        done.checked += _checked(path, name, examiner, found, done)
        done.findings.take(found, f"{plain(name)}: ")
    changed = [one.source for one in done.checked if _of_changed_source(one.record)]
    if changed:
        notice(f"made from a changed source tree, as no signature can tell: {named(changed)}")
    alike, seen = {data.persona.id: prompted_alike(data) for data in examiner.pack.personas}, set[str]()
    _compare_with_each_other(done, alike)
    _compare_with_board(done, board, alike, notice, seen)
    _refuse_faults(records, done)
    with board_to_oneself(board):
        # What another command has stored since.
        _compare_with_board(done, board, alike, notice, seen)
        _refuse_faults(records, done)
        if not done.checked:
            raise PersbenchError(f"{records} holds sanity systems alone, and {board} has them already: nothing to add.")
        done.stored = store(board, [one.record for one in done.checked])
    return done


def _refuse_faults(records: Path, done: Submission) -> None:
    if done.findings:
        raise RefusedError(_refusal(records, done))


def _of_changed_source(record: CellRecord) -> bool:
    source = record.run.get("source")
    return isinstance(source, dict) and bool(source.get("dirty"))


def _checked(path: Path, name: str, examiner: Examiner, findings: Findings, done: Submission) -> list[Checked]:
    """Read one file and check every record in it."""
    if path.name.startswith(RESULTS):
        read = stock_records(path, examiner, findings)
    else:
        try:
            raw = read_bytes(path)
            done.size += len(raw)
            if done.size > LARGEST_SUBMISSION:
                findings.add(READING, f"all together take more than {LARGEST_SUBMISSION >> 20} MiB: submit fewer")
                return []
            found = record_of(parsed(raw), findings)
        except UnreadableError as error:
            findings.add(READING, str(error))
            return []
        read = [] if found is None else [found]
    checked: list[Checked] = []
    for one in read:
        recount = check_record(one, examiner, findings)
        mark = {SUBMISSION: {"checked_by": f"persbench {__version__}", NOT_RECOMPUTED: sorted(recount.left_out)}}
        record = replace(one.record, run=one.record.run | mark)
        checked.append(Checked(record, name, recount, one.rows))
    return checked


def _compare_with_each_other(done: Submission, alike: Alike) -> None:
    kept: list[Checked] = []
    for one in done.checked:
        if any(repeated_sanity(one.record, other.record) for other in kept):
            continue
        for other in kept:
            check_against(one.standing, other.standing, done.findings, alike.get(one.record.persona, frozenset()))
        kept.append(one)
    done.checked = kept


def _compare_with_board(done: Submission, board: Path, alike: Alike, notice: Notice, seen: set[str]) -> None:
    """Hold every record against those of the board not looked at yet; sanity records that it has are left aside."""
    before = len(done.checked)
    for other in standing(board, notice, seen):
        done.checked = [one for one in done.checked if not repeated_sanity(one.record, other.record)]
        for one in done.checked:
            check_against(one.standing, other, done.findings, alike.get(one.record.persona, frozenset()))
    if known := before - len(done.checked):
        notice(f"{counted(known, 'record')} of sanity systems left aside: the board has them")


def _refusal(records: Path, done: Submission) -> str:
    lines = [
        f"{records} is refused, and nothing was written: {counted(done.findings.total, 'fault')}",
        done.findings.text(),
    ]
    if METRICS in done.findings.number:
        here = versions()
        made: list[dict[str, Any]] = [one.record.provenance.get("versions") or {} for one in done.checked]
        other = {
            f"{name} {plain(said)} (here {here.get(name)})"
            for found in made
            if isinstance(found, dict)
            for name in DECIDING
            if (said := found.get(name)) is not None and said != here.get(name)
        }
        if other:
            lines.append(f"made with other versions, which may give other numbers: {', '.join(sorted(other))}")
    return "\n".join(lines)
