"""One record, checked in full: what it says of itself, its documents, and every metric of every sample."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from persbench.harness.choosing import ChoiceTask
from persbench.harness.reply import NO_EMBEDDER
from persbench.scoring.sanity import PREFIX
from persbench.submission.facts import check_anchors, check_facts
from persbench.submission.findings import DOCUMENTS, PACK, TOOLS, Findings, named, shown
from persbench.submission.metrics import Recount, check_metrics, embedded_metrics
from persbench.submission.samples import branch_anchors
from persbench.submission.sanity import check_sanity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from persbench.harness.task_index import TaskFile
    from persbench.submission.examiner import Examiner
    from persbench.submission.facts import AnchorRow
    from persbench.submission.form import Formed

_MOST_BARE: Final = 0.05
_BARE: Final = "what is left does not measure the system"
_EMBEDDER: Final = (
    "`persbench model fetch` brings the default one, --embedder names another; --without-embedder leaves this check "
    "out, and the record is marked so"
)


def check_record(found: Formed, examiner: Examiner, findings: Findings) -> Recount:
    """Check one record in full: what it says of itself, its documents, and every metric of every sample.

    Args:
        found: Record and samples that are in form.
        examiner: Knows pack and tasks.
        findings: Gets what is wrong.
    """
    recount, record = Recount(), found.record
    before = findings.total
    check_facts(record, examiner, findings)
    if PACK in findings.number or record.persona not in {data.persona.id for data in examiner.pack.personas}:
        findings.add(DOCUMENTS, "its samples were not looked at: they are of another pack or persona")
        return recount
    # A task of another version counts otherwise: that it is another is told, and what it would count here is no fault.
    tasks = sorted(name for name, task in record.tasks.items() if _is_of_here(task, examiner.files.get(name)))
    lacking = [name for name in tasks if not _complete(found, name, examiner, findings)]
    if record.system.startswith(PREFIX):
        check_sanity(found, tasks, examiner, findings, recount)
        return recount
    anchors: list[AnchorRow] = []
    for name in tasks:
        anchors += _check_task(found, name, examiner, findings, recount)
    if not lacking and findings.total == before:
        check_anchors(record, anchors, findings)
    return recount


def _is_of_here(task: Mapping[str, object], file: TaskFile | None) -> bool:
    return file is not None and (task["version"], task["hash"]) == (file.version, file.hash)


def _complete(one: Formed, name: str, examiner: Examiner, findings: Findings) -> bool:
    """Whether a task has every document of the pack, each once."""
    persona = one.record.persona
    known = examiner.documents(name, persona)
    found = Counter(one.ids[name])
    faults = [
        ("lacks", [id_ for id_ in known if id_ not in found]),
        ("holds twice", [id_ for id_, number in found.items() if number > 1 and id_ in known]),
        ("holds what the pack has not:", [id_ for id_ in found if id_ not in known]),
    ]
    for told, ids in faults:
        if ids:
            of = f"{len(ids):,} of {len(known):,} documents"
            findings.add(DOCUMENTS, f"{_short(name)}, {persona}: {told} {of}: {named(ids)}")
    return not any(ids for _, ids in faults)


def _check_task(
    found: Formed, name: str, examiner: Examiner, findings: Findings, recount: Recount
) -> Iterable[AnchorRow]:
    """Check every sample of a task that is of the pack, and return the anchors of those that are right."""
    task, record = examiner.task(name), found.record
    if task is None:
        return []
    needs, embedder = embedded_metrics(task), str(record.signature.get("embedder"))
    here = True
    if needs:
        examiner.scored_with(task, embedder)
        here = embedder == NO_EMBEDDER or (embedder == examiner.embedder_name and not examiner.without_embedder)
        if not here and not examiner.without_embedder:
            told = f"{', '.join(sorted(needs))} were made with the embedder {shown(embedder)}"
            findings.add(TOOLS, f"{_short(name)}: {told}, which is not here: {_EMBEDDER}")
    known, anchors = examiner.documents(name, record.persona), list["AnchorRow"]()
    bare, unanchored = recount.bare, recount.unanchored
    for row in found.rows[name]:
        document = known.get(row["id"])
        if document is None:
            continue
        where = f"{_short(name)}, {record.persona}, document {row['id']}"
        doc = check_metrics(task, document, row, record.system, where, findings, recount, embedder=here)
        if doc is not None and isinstance(task, ChoiceTask):
            anchors += branch_anchors(doc)
    number = len(found.rows[name])
    # A run without anchors at all has raw scores alone, which the board shows; anchors of some are a choice of items.
    lacking = {"a log-likelihood": recount.bare - bare, "an anchor": (recount.unanchored - unanchored) % (number or 1)}
    for what, missing in lacking.items():
        if missing > number * _MOST_BARE:
            findings.add(DOCUMENTS, f"{_short(name)}: {missing} of {number} samples lack {what}: {_BARE}")
    return anchors


def _short(task: str) -> str:
    return task.removeprefix("persbench_")
