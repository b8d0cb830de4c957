"""From a sample to what the task scores: the pack's document with the answers that the sample holds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from persbench.harness.analysis import TOKENS
from persbench.harness.choosing import ChoiceTask
from persbench.harness.dialogue_tasks import LiveTask
from persbench.harness.documents.base import branch, branches_of, user
from persbench.harness.reply import DistinctionTask, InductionReplyTask
from persbench.harness.twins import TwinTask, put_letters
from persbench.submission.findings import plain, shown
from persbench.submission.talks import check_talks, reached

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persbench.harness.documents import Document
    from persbench.harness.tasks import PersonaTask
    from persbench.samples import Row

    Note = Callable[[str], None]

OF_THE_PACK: Final = ("labels", "own", "chance", "pack_hash", "statement", "target", "probes")
BOOK: Final = ("id", "persona", "stage", "cluster", "kind", *OF_THE_PACK)
EVERYWHERE: Final = frozenset({"system", "rendering", "metrics", "left_out"})
RENDERINGS: Final = frozenset({"chat", "folded", "plain", "chat/folded", "folded/plain", "chat/plain"})
LONGEST_TOKEN: Final = 128
"""Characters: no token of a usual vocabulary is longer (runs of spaces and dashes are the longest)."""
LOWEST: Final = -100.0
"""Nats per byte; a random choice among 200,000 one-byte tokens costs 12.2."""
ABOVE_ZERO: Final = 1e-6


def fields_of(task: PersonaTask, document: Document) -> tuple[set[str], set[str]]:
    """Return the fields that a sample of a task must have, and those that it may have beside them."""
    must = {key for key in BOOK if key in document} | {"system", "rendering", "metrics"}
    may = set(EVERYWHERE)
    if isinstance(task, LiveTask):
        must |= {"transcripts", "faults", "dropped_turns"}
        may |= {"calm_fault"}
    if isinstance(task, TwinTask):
        return must | {"replies", "chosen"}, may | {"analyses"}
    if isinstance(task, ChoiceTask):
        many = isinstance(task, LiveTask) or "branches" in document
        must |= {"bytes", "branches"} if many else {"bytes", "loglikelihoods", "anchors"}
        return must, may if many else may | {"analysis"}
    must |= {"replies"} if isinstance(task, DistinctionTask) else {"reply"}
    if isinstance(task, InductionReplyTask):
        must.add("sorted_as")
    return must, may | {"analyses"}


def misfits(task: PersonaTask, document: Document, row: Row, system: str, note: Note) -> None:
    """Note what a sample says otherwise than the pack: its bookkeeping, and the fields that its task has."""
    must, may = fields_of(task, document)
    for key in sorted(must - row.keys()):
        note(f"has no {key}")
    for key in sorted(row.keys() - must - may):
        note(f"has {plain(key)}, which this task does not have")
    for key in BOOK:
        if key in document and key in row and row[key] != document[key]:
            note(f"{key} is {_told(row[key])}, and {_told(document[key])} in the pack")
    if row.get("system") != system:
        note(f"system is {shown(row.get('system'))}, and the record's {shown(system)}")
    if row.get("rendering") not in RENDERINGS:
        note(f"rendering is {shown(row.get('rendering'))}; expected one of {', '.join(sorted(RENDERINGS))}")
    if "bytes" in must and row.get("bytes") != lengths_of(document):
        note(f"bytes are {shown(str(row.get('bytes')))}, and the candidates of the pack have {lengths_of(document)}")


def _told(value: Any) -> str:
    return shown(value if isinstance(value, (str, int, float)) else str(value))


def lengths_of(document: Document) -> list[int]:
    """Return the lengths of a document's candidates in UTF-8 bytes."""
    return [len(text.encode()) for text in document["candidates"]]


def answered(task: PersonaTask, document: Document, row: Row, note: Note) -> tuple[Document, list[Any]] | None:
    """Put a sample's answers into its document.

    Args:
        task: The task.
        document: From the pack; left as it is.
        row: The sample, in form.
        note: Gets what is wrong with the answers: their number, their bounds.

    Returns:
        The document with branches and anchors, and the model's results in the order of its requests: what
        `score_results` takes. None where the answers do not fit the document.
    """
    doc = dict(document)
    if isinstance(task, LiveTask):
        settings = dict((task.config.metadata or {})["reply"])
        if not check_talks(document, row, _longest(settings), note):
            return None
    elif "branches" in document:
        doc["branches"] = [dict(one) for one in document["branches"]]
    if isinstance(task, TwinTask):
        return _letters(task, doc, row, note)
    if isinstance(task, ChoiceTask):
        return _choices(task, doc, row, note)
    replies = [row["reply"]] if "reply" in row else list(row["replies"])
    if not _replies_fit(task, replies, 2 if isinstance(task, DistinctionTask) else 1, row, note):
        return None
    return doc, replies


def branch_anchors(doc: Document) -> list[tuple[str, str, float]]:
    """Return (question, candidate, nats per byte) of every anchor of an answered choice."""
    return [
        (one["ask"], text, value)
        for one in branches_of(doc)
        if one.get("anchors")
        for text, value in zip(doc["candidates"], one["anchors"], strict=True)
    ]


def _choices(task: PersonaTask, doc: Document, row: Row, note: Note) -> tuple[Document, list[Any]] | None:
    """Put log-likelihoods and anchors into a choice among candidates."""
    parts: list[dict[str, Any]] = row.get("branches", [row])
    labels = [part.get("label") for part in parts]
    if isinstance(task, LiveTask):
        expected = reached(doc, row)
        doc["branches"] = [branch(label, ask, []) for label, ask in expected.items()]
        if labels != list(expected) and not _cut_short(labels, list(expected), row):
            note(f"has the branches {shown(str(labels))}, and its dialogues reached {shown(str(list(expected)))}")
            return None
        doc["branches"] = [one for one in doc["branches"] if one["label"] in labels]
    elif "branches" in doc and labels != [one["label"] for one in doc["branches"]]:
        told = [one["label"] for one in doc["branches"]]
        note(f"has the branches {shown(str(labels))}, and the document {shown(str(told))}")
        return None
    lengths, results, fits = lengths_of(doc), [], True
    for part, one in zip(parts, branches_of(doc), strict=True):
        where = f"{part['label']}: " if "label" in part else ""
        for name in ("loglikelihoods", "anchors", "calm"):
            numbers = part.get(name)
            if numbers is not None or name == "loglikelihoods":
                scale = [1] * len(lengths) if name == "anchors" else lengths
                fits &= _bounded(numbers, scale, f"{where}{name}", note)
        one["anchors"] = part.get("anchors")
        if part.get("calm") is not None:
            one["calm"] = [math.nan if ll is None else ll for ll in part["calm"]]
        results += [(math.nan if ll is None else ll, False) for ll in part.get("loglikelihoods") or []]
        fits &= _analysis_fits(part.get("analysis"), where, note)
    return (doc, results) if fits else None


def _cut_short(labels: Sequence[str | None], expected: Sequence[str], row: Row) -> bool:
    """Whether probes are missing only because a model's context was full, which leaves its mark on the sample."""
    marked = bool(row.get("dropped_turns")) or bool(row.get("left_out"))
    return marked and bool(labels) and [label for label in expected if label in labels] == list(labels)


def _letters(task: TwinTask, doc: Document, row: Row, note: Note) -> tuple[Document, list[Any]] | None:
    """Put the letters that were replied into a choice among lettered options."""
    if isinstance(task, LiveTask):
        doc["branches"] = [branch(label, ask, user(ask)) for label, ask in reached(doc, row).items()]
    put_letters(doc)
    if not _replies_fit(task, row["replies"], len(doc["branches"]), row, note):
        return None
    return doc, list(row["replies"])


def _replies_fit(task: PersonaTask, replies: Sequence[str], wanted: int, row: Row, note: Note) -> bool:
    if len(replies) != wanted:
        note(f"has {len(replies)} replies; expected {wanted}")
        return False
    longest, fits = _longest(task.config.generation_kwargs), True
    if max(map(len, replies)) > longest:
        note(f"a reply of {max(map(len, replies)):,} characters; the task's limit leaves at most {longest:,}")
        fits = False
    analyses = row.get("analyses")
    if analyses is not None and len(analyses) != wanted:
        note(f"has {len(analyses)} analyses of {wanted} replies")
        fits = False
    return fits and all(_analysis_fits(one, "", note) for one in analyses or [])


def _longest(settings: dict[str, Any]) -> int:
    """Return the most characters of a reply: a thinking system may use up the room of its analysis, too."""
    return (int(settings["max_gen_toks"]) + TOKENS) * LONGEST_TOKEN


def _analysis_fits(analysis: str | None, where: str, note: Note) -> bool:
    longest = TOKENS * LONGEST_TOKEN * 2
    if analysis is not None and len(analysis) > longest:
        note(f"{where}an analysis of {len(analysis):,} characters; at most {longest:,}")
        return False
    return True


def _bounded(numbers: list[float | None] | None, scale: Sequence[int], name: str, note: Note) -> bool:
    """Whether there is one log-likelihood a candidate, none above zero and none below what a model can give."""
    if numbers is None or len(numbers) != len(scale):
        note(f"{name}: {len(numbers or [])} numbers for {len(scale)} candidates")
        return False
    for number, length in zip(numbers, scale, strict=True):
        if number is not None and not LOWEST * length <= number <= ABOVE_ZERO:
            note(f"{name}: {number:.6g} cannot be; expected {LOWEST * length:g} to 0 nats")
            return False
    return True
