"""Records of sanity systems: rules on texts that are here, so that every score of theirs is made again from nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from persbench.harness.sanity_cells import SURFACE_TASKS, rules_of, sanity_rows
from persbench.scoring.sanity import PREFIX
from persbench.submission.board import shared_digest
from persbench.submission.findings import DOCUMENTS, METRICS, NAMES, Findings, named, plain, shown
from persbench.submission.metrics import EXACT, Recount

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.records import CellRecord
    from persbench.samples import Row
    from persbench.submission.examiner import Examiner
    from persbench.submission.form import Formed


def repeated_sanity(record: CellRecord, other: CellRecord) -> bool:
    """Whether a record of a sanity system has tasks that another has: no model has a part in them, they are the same.

    Args:
        record: The record that would be stored.
        other: One on the board, or stored with it.
    """
    return (
        record.system.startswith(PREFIX)
        and record.persona == other.persona
        and not _versions(record).isdisjoint(_versions(other))
        and shared_digest(record) == shared_digest(other)
    )


def _versions(record: CellRecord) -> set[tuple[str, str, str]]:
    return {(name, task["version"], task["hash"]) for name, task in record.tasks.items()}


def check_sanity(one: Formed, tasks: Sequence[str], examiner: Examiner, findings: Findings, recount: Recount) -> None:
    """Hold a record of a sanity system against its rule.

    Args:
        one: The record, on the examiner's pack.
        tasks: Names of its tasks that are of the examiner's version.
        examiner: Knows the pack and the tasks.
        findings: Gets what is wrong.
        recount: Counts what was computed again.
    """
    record, rules = one.record, rules_of(examiner.pack)
    rule = rules.get(record.system.removeprefix(PREFIX))
    if rule is None:
        findings.add(NAMES, f"{shown(record.system)} is no sanity system; the rules are {named(sorted(rules), 20)}")
        return
    strange = sorted(record.tasks.keys() - SURFACE_TASKS.keys())
    if strange:
        findings.add(DOCUMENTS, f"a rule cannot answer {named(strange)}")
    files = [examiner.files[name] for name in tasks if name in SURFACE_TASKS]
    found = sanity_rows(rule, files, examiner.pack, examiner.pack.persona(record.persona))
    for name, rows in found.items():
        again = {row["id"]: row for row in rows}
        for row in (row for row in one.rows[name] if row["id"] in again):
            where = f"{name.removeprefix('persbench_')}, {record.persona}, document {row['id']}"
            _compare(row, again[row["id"]], where, findings, recount)


def _compare(row: Row, again: Row, where: str, findings: Findings, recount: Recount) -> None:
    for key in sorted((row.keys() | again.keys()) - {"metrics"}):
        if not _alike(row.get(key), again.get(key)):
            told = f"{shown(str(row.get(key)))} in the record and {shown(str(again.get(key)))} by its rule"
            findings.add(METRICS if key in ("scores", "branches") else DOCUMENTS, f"{where}: {plain(key)} is {told}")
    for name in sorted(row["metrics"].keys() | again["metrics"].keys()):
        stored, made = row["metrics"].get(name), again["metrics"].get(name)
        if _alike(stored, made):
            recount.same += 1
            recount.unscored += not stored[1]
        else:
            findings.add(
                METRICS, f"{where}: {plain(name)} is {shown(str(stored))} in the record and {made} by its rule"
            )


def _alike(a: object, b: object) -> bool:
    """Whether plain values are equal, numbers up to rounding."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_alike(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_alike, a, b))
    if isinstance(a, float) or isinstance(b, float):
        numbers = isinstance(a, (int, float)) and isinstance(b, (int, float)) and type(a) is not bool is not type(b)
        return numbers and math.isclose(a, b, rel_tol=EXACT, abs_tol=EXACT)  # type: ignore[arg-type]
    return type(a) is type(b) and a == b
