"""Records of an earlier version of a task, scored by the present one from what they hold: no model is asked again.

That is right where a version changed how answers are counted, and not what is asked: the documents are held against the
pack as those of a submission are, and a record whose answers do not fit them is refused. What answers are counted by,
cluster and chance levels, is the pack's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from persbench.errors import PersbenchError
from persbench.harness.twins import TwinTask
from persbench.records import cell_key, packed, save_record, write_atomic
from persbench.submission.findings import Findings, plain, shown
from persbench.submission.form import record_of
from persbench.submission.metrics import embedded_metrics
from persbench.submission.reading import UnreadableError, parsed, read_bytes
from persbench.submission.samples import answered, misfits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from persbench.harness.tasks import PersonaTask
    from persbench.records import CellRecord
    from persbench.samples import Row
    from persbench.submission.examiner import Examiner

RESCORED = "rescored"
"""What `run` says of a record that was scored again: task name -> the version it was made with."""
COUNTED_BY = ("cluster", "chance")
"""What says how an answer is counted, and nothing of what was asked."""


def rescored(record: CellRecord, rows: dict[str, list[Row]], examiner: Examiner) -> tuple[CellRecord, int]:
    """Score the tasks of a record whose version is not the present one.

    Args:
        record: Of the examiner's pack.
        rows: Its samples, in form.
        examiner: Knows pack and tasks.

    Returns:
        The record with present versions, and how many values changed, a sample that is counted by another cluster or
        chance level as one; the same record and 0 if there was nothing to do.

    Raises:
        PersbenchError: It is of another pack, knows a task that is not here, or holds answers that do not fit.
    """
    who, pack = f"{plain(record.system)} as {plain(record.persona)}", examiner.pack
    if record.signature.get("pack") != f"{pack.world.id}-{pack.world.version}@{pack.hash[:12]}":
        raise PersbenchError(
            f"{who} was measured on {plain(str(record.signature.get('pack')))}: name that with --pack."
        )
    if unknown := sorted(record.tasks.keys() - examiner.files.keys()):
        raise PersbenchError(f"{who} holds {', '.join(map(plain, unknown))}, which this persbench does not have.")
    if record.key != cell_key(record.signature, record.persona, record.tasks):
        raise PersbenchError(f"{who}: its key does not follow from its signature and tasks, so it was changed by hand.")
    tasks, earlier, changed = dict(record.tasks), {}, 0
    for name, content in record.tasks.items():
        file = examiner.files[name]
        if (content["version"], content["hash"]) == (file.version, file.hash):
            continue
        earlier[name] = f"{content['version']}@{content['hash'][:6]}"
        samples = _scored(record, name, rows[name], examiner)
        changed += sum(_changed(old, row) for old, row in zip(rows[name], samples, strict=True))
        tasks[name] = {"version": file.version, "hash": file.hash, "samples": samples}
    if not earlier:
        return record, 0
    run = record.run | {RESCORED: rescored_before(record) | earlier}
    key = cell_key(record.signature, record.persona, tasks)
    return replace(record, tasks=tasks, run=run, key=key), changed


def rescored_before(record: CellRecord) -> dict[str, str]:
    """Return what a record says of having been scored again: task name -> version it was made with."""
    said = record.run.get(RESCORED)
    return {str(name): str(was) for name, was in said.items()} if isinstance(said, dict) else {}


def _changed(old: Row, row: Row) -> int:
    """Count the values of a sample that are others now; what it is counted by is one of them."""
    values = sum(old["metrics"].get(key) != new for key, new in row["metrics"].items())
    return int(values + any(old[key] != row[key] for key in COUNTED_BY))


def _scored(record: CellRecord, name: str, rows: Sequence[Row], examiner: Examiner) -> list[Row]:
    task = examiner.task(name)
    documents = examiner.documents(name, record.persona)
    if task is None:
        raise PersbenchError(f"the pack has nothing for {name}.")
    _use_embedder(task, name, record, examiner)
    findings, found = Findings(), []
    for held in rows:
        if held["id"] not in documents:
            findings.add(name, f"{plain(held['id'])} is not in the pack")
            continue
        row = held | {key: documents[held["id"]][key] for key in COUNTED_BY}
        before, where = findings.total, plain(row["id"])

        def note(told: str, where: str = where) -> None:
            findings.add(name, f"{where}: {told}")

        if isinstance(task, TwinTask) and row.get("left_out"):
            note("pieces were left out of its prompt, and before version 1.1 options decided which: run it again")
        misfits(task, documents[row["id"]], row, record.system, note)
        fitting = answered(task, documents[row["id"]], row, note) if findings.total == before else None
        if fitting is not None:
            doc, results = fitting
            try:
                again = {key: [*pair] for key, pair in task.score_results(doc, results).items()}
            except (ValueError, KeyError, IndexError, TypeError, ArithmeticError) as error:
                note(f"cannot be scored ({type(error).__name__}: {shown(str(error))})")
                continue
            sorted_anew: dict[str, Any] = {key: doc[key] for key in ("chosen", "sorted_as") if key in doc}
            found.append(row | sorted_anew | {"metrics": again})
    if findings:
        who = f"{plain(record.system)} as {plain(record.persona)}"
        raise PersbenchError(f"{who} cannot be scored again:\n{findings.text()}")
    return found


def _use_embedder(task: PersonaTask, name: str, record: CellRecord, examiner: Examiner) -> None:
    """Let a task that needs an embedder score with the record's.

    Raises:
        PersbenchError: It is another than the examiner's.
    """
    if embedded_metrics(task):
        embedder = str(record.signature.get("embedder"))
        if embedder != examiner.embedder_name:
            raise PersbenchError(f"{name} was scored with the embedder {plain(embedder)}: name it with --embedder.")
        examiner.scored_with(task, embedder)


def rescore_file(path: Path, examiner: Examiner) -> tuple[CellRecord, int]:
    """Bring one record to the present versions of its tasks, in its place.

    Raises:
        PersbenchError: It cannot be read or written, or `rescored` says why it cannot be done; the file is as it was.
    """
    findings = Findings()
    try:
        formed = record_of(parsed(read_bytes(path)), findings)
    except UnreadableError as error:
        raise PersbenchError(f"{path} {error}") from error
    if formed is None or findings:
        raise PersbenchError(f"{path} is no valid record:\n{findings.text()}")
    record, changed = rescored(formed.record, formed.rows, examiner)
    if record is not formed.record:
        if path.suffix == ".gz":
            write_atomic(path, packed(record))
        else:
            save_record(path, record)
    return record, changed
