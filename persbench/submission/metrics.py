"""Every metric of every sample, computed again from what the sample holds by the functions that scored the run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from persbench.harness.choosing import ChoiceTask
from persbench.harness.reply import InductionReplyTask, ReplyTask, embedder_named
from persbench.harness.twins import TwinTask
from persbench.scoring.overlap import cosines
from persbench.scoring.resistance import REPLY_CLASSES
from persbench.submission.findings import BOUNDS, DOCUMENTS, METRICS, Findings, named, shown
from persbench.submission.samples import answered, misfits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from persbench.harness.documents import Document
    from persbench.harness.tasks import Pair, PersonaTask
    from persbench.samples import Row

EXACT: Final = 1e-9
"""Arithmetic on stored numbers gives the same number, on any machine."""
EMBEDDED: Final = 1e-4
"""Embeddings differ in their last bits between machines."""
NEAR_TIE: Final = 2 * EMBEDDED


@dataclass
class Recount:
    """What was computed again.

    Attributes:
        same: Metrics of samples that were computed again and agree.
        unscored: How many of these have no value.
        left_out: Names of metrics that were not computed again.
        bare: Samples of choices without a log-likelihood somewhere.
        unanchored: Samples of choices without an anchor somewhere.
    """

    same: int = 0
    unscored: int = 0
    left_out: set[str] = field(default_factory=set)
    bare: int = 0
    unanchored: int = 0


def embedded_metrics(task: PersonaTask) -> set[str]:
    """Return the metrics of a task that need an embedder."""
    if isinstance(task, ReplyTask):
        return {name for name in task.METRICS if name.startswith("cosine_")}
    return {f"reply_{name}" for name in REPLY_CLASSES} if isinstance(task, InductionReplyTask) else set()


def check_metrics(
    task: PersonaTask,
    document: Document,
    row: Row,
    system: str,
    where: str,
    findings: Findings,
    recount: Recount,
    *,
    embedder: bool,
) -> Document | None:
    """Check one sample in full.

    Args:
        task: Its task, set to the embedder of the record.
        document: Its document from the pack.
        row: The sample, in form.
        system: Whom the sample must name.
        where: Its place, for messages.
        findings: Gets what is wrong.
        recount: Counts what was computed again.
        embedder: Whether what needs an embedder can be computed again here.

    Returns:
        The document with the sample's answers; None where they do not fit it.
    """
    before = findings.total
    misfits(task, document, row, system, lambda told: findings.add(DOCUMENTS, f"{where}: {told}"))
    if findings.total > before:
        return None
    found = answered(task, document, row, lambda told: findings.add(BOUNDS, f"{where}: {told}"))
    if found is None:
        return None
    doc, results = found
    try:
        # A reply that opened with an analysis was split before it was stored: what stands there is what is scored.
        scored = task.score_results(doc, results)
    except (ValueError, KeyError, IndexError, TypeError, ArithmeticError) as error:
        findings.add(METRICS, f"{where}: cannot be scored ({type(error).__name__}: {shown(str(error))})")
        return None
    left_out = set() if embedder else embedded_metrics(task)
    recount.left_out |= left_out
    if row["metrics"].keys() != scored.keys():
        other = sorted(row["metrics"].keys() ^ scored.keys())
        findings.add(METRICS, f"{where}: has not the metrics of its task: {named(other)} differ")
        return None
    compared = {name: pair for name, pair in scored.items() if name not in left_out}
    _compare(task, doc, results, row, compared, where, findings, recount)
    for key in () if left_out else ("chosen", "sorted_as"):
        if key in doc and row[key] != doc[key]:
            findings.add(
                METRICS, f"{where}: {key} is {shown(str(row[key]))} and {shown(str(doc[key]))} from its replies"
            )
    if "bytes" in row:
        parts = row.get("branches") or [row]
        recount.bare += any(None in part["loglikelihoods"] for part in parts)
        recount.unanchored += any(None in (part.get("anchors") or [None]) for part in parts)
    return doc


def _compare(
    task: PersonaTask,
    doc: Document,
    results: list[Any],
    row: Row,
    scored: Mapping[str, Pair],
    where: str,
    findings: Findings,
    recount: Recount,
) -> None:
    """Hold the metrics that a sample bears against those that follow from it."""
    for name, pair in scored.items():
        if _agrees(task, doc, results, name, row["metrics"][name], pair):
            recount.same += 1
            recount.unscored += not pair[1]
        else:
            stored, again = (_value(one) for one in (row["metrics"][name], pair))
            findings.add(METRICS, f"{where}: {name} is {stored} in the record and {again} from its {source_of(task)}")


def source_of(task: PersonaTask) -> str:
    """Name what a task's metrics are made from."""
    return "log-likelihoods" if isinstance(task, ChoiceTask) and not isinstance(task, TwinTask) else "replies"


def _agrees(task: PersonaTask, doc: Document, results: list[Any], name: str, stored: list[Any], again: Pair) -> bool:
    value: float | None = stored[0]
    scored: bool = stored[1]
    if scored != again[1] or value is None or again[0] is None:
        return scored is again[1] and value is None and again[0] is None
    if name == "cosine_lift":
        return abs(value - again[0]) <= EMBEDDED
    if math.isclose(value, again[0], rel_tol=EXACT, abs_tol=EXACT):
        return True
    return name == "cosine_nearest" and _near_tie(task, doc, str(results[0]).strip())


def _near_tie(task: PersonaTask, doc: Document, text: str) -> bool:
    """Whether two answers are so equally near a reply that the last bits of an embedding decide."""
    embedder = embedder_named((task.config.metadata or {}).get("embedder"))
    scores = cosines(embedder, text, doc["candidates"]) if embedder else None
    if scores is None:
        return False
    best, second = sorted(scores, reverse=True)[:2]
    return best - second <= NEAR_TIE


def _value(pair: Any) -> str:
    value, scored = pair
    return f"{value:.12g}" if scored and value is not None else "unscored"
