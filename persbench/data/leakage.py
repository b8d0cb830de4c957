"""Leakage: what training texts share with test texts, by eight-word runs and by meaning; near-duplicates in a file."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from persbench.errors import Fault
from persbench.near_duplicates import similar_pairs
from persbench.scoring.words import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from persbench.data.passages import Passage
    from persbench.scoring.overlap import Embedder

RUN: Final = 8
SIMILAR: Final = 0.90


def shared_runs(passages: Sequence[Passage]) -> list[Fault]:
    """Find training texts that hold eight words in a row of a test text.

    Args:
        passages: All texts of a pack, of every persona.

    Returns:
        One fault a training text, naming a test text and the words.
    """
    tested: dict[tuple[str, ...], Passage] = {}
    for passage in passages:
        if passage.split == "test":
            for run in _runs(passage.text):
                tested.setdefault(run, passage)
    faults = []
    for passage in passages:
        if passage.split == "train":
            shared = next((run for run in _runs(passage.text) if run in tested), None)
            if shared is not None:
                at = tested[shared]
                faults.append(
                    Fault(
                        passage.file,
                        passage.line,
                        f"{passage.field} shares {' '.join(shared)!r} with the test text {at.file}:{at.line}",
                        "no eight words in a row that stand in a test file",
                    )
                )
    return faults


def near_duplicates(passages: Sequence[Passage], embedder: Embedder) -> list[Fault]:
    """Find training texts that say nearly what a test text says, and rows of one file that say nearly the same.

    Args:
        passages: All texts of a pack.
        embedder: Gives unit rows; a cosine of 0.90 or more is a near-duplicate.

    Returns:
        One fault a pair. Prompts are compared with prompts and replies with replies; materials with materials.
    """
    faults: list[Fault] = []
    for part in ("ask", "reply", "note"):
        found = [p for p in passages if p.part == part]
        texts = sorted({p.text for p in found})
        if texts:
            faults += _similar(found, texts, embedder)
    return faults


def _similar(passages: Sequence[Passage], texts: list[str], embedder: Embedder) -> Iterator[Fault]:
    by_text: dict[str, list[Passage]] = defaultdict(list)
    for passage in passages:
        by_text[passage.text].append(passage)
    rows = embedder.encode(texts)
    pairs = [(texts[i], texts[j], cosine) for i, j, cosine in similar_pairs(rows, threshold=SIMILAR)]
    for left, right, cosine in [*((t, t, 1.0) for t in texts if len(by_text[t]) > 1), *pairs]:
        yield from _pair_faults(by_text[left], by_text[right], cosine)


def _pair_faults(left: Sequence[Passage], right: Sequence[Passage], cosine: float) -> Iterator[Fault]:
    """Report the pairs of two near-equal texts that must not be: train with test, and rows of one file."""
    for a in left:
        for b in right:
            crossing = {a.split, b.split} == {"train", "test"}
            together = a.file == b.file and a.row < b.row and not _common_prompt(a, b)
            if not (crossing or together) or a.row == b.row or (left is right and a.row > b.row):
                continue
            first, second = (a, b) if not crossing or a.split == "train" else (b, a)
            what = "the test text" if crossing else "another row of its file,"
            yield Fault(
                first.file,
                first.line,
                f"{first.field} is nearly {what} {second.file}:{second.line} (cosine {cosine:.2f})",
                f"cosine below {SIMILAR}",
            )


def _common_prompt(a: Passage, b: Passage) -> bool:
    """Whether both are the same training prompt, put to one persona at both stages, as common prompts are."""
    return a.field == b.field == "prompt" and a.text == b.text and a.stage != b.stage


def _runs(text: str) -> Iterator[tuple[str, ...]]:
    found = words(text)
    return (tuple(found[i : i + RUN]) for i in range(len(found) - RUN + 1))
