"""Traces of templates in written data: repeated openings, repeated sentences, repeated sentence skeletons."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final, TypeVar

from persbench.errors import Fault
from persbench.scoring.words import FUNCTION_WORDS, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from persbench.data.passages import Passage

OPENING_WORDS: Final = 3
OPENING_SHARE: Final = 0.03
SENTENCE_WORDS: Final = 6
SKELETON_WORDS: Final = 8
SKELETON_SHARE: Final = 0.01
SKELETON_FEWEST: Final = 3
EXEMPT: Final = ("traits.jsonl",)  # Likert statements share their form by design
Key = TypeVar("Key")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def template_traces(passages: Sequence[Passage]) -> list[Fault]:
    """Find texts that a template may have made.

    Args:
        passages: All texts of a pack.

    Returns:
        A fault for each opening of three words in more than 3% of a persona's replies, each sentence of six words or
        more that stands in two rows, and each skeleton (content words masked) of eight words or more in more than
        max(3, 1%) of a file's rows. Texts of one row count once: gold and foils are alike by design.
    """
    kept = [p for p in passages if p.file.rsplit("/", 1)[-1] not in EXEMPT]
    replies = [p for p in kept if p.part == "reply" and p.persona]
    return [
        *_openings(replies),
        *_sentences([p for p in kept if p.part != "note" or p.split == "train"]),
        *_skeletons(kept),
    ]


def sentences(text: str) -> list[str]:
    """Split a text at full stops, question and exclamation marks."""
    return [part for part in _SENTENCE_END.split(text) if part]


def skeleton(sentence: str) -> str:
    """Return the sentence with every word masked that is no function word: `I _ the _ to the _`."""
    return " ".join(word if word in FUNCTION_WORDS else "_" for word in words(sentence))


def _openings(replies: Sequence[Passage]) -> Iterator[Fault]:
    rows = defaultdict(set)
    for passage in replies:
        rows[passage.persona].add(passage.row)

    def opening(passage: Passage) -> Iterator[tuple[str, str]]:
        start = words(passage.text)[:OPENING_WORDS]
        if len(start) == OPENING_WORDS:
            yield passage.persona, " ".join(start)

    for (persona, text), found in _by_key(replies, opening).items():
        share = len(found) / len(rows[persona])
        if len(found) > 1 and share > OPENING_SHARE:
            yield _fault(found, f"{len(found)} of {persona}'s replies ({share:.0%}) begin with {text!r}", "at most 3%")


def _sentences(passages: Sequence[Passage]) -> Iterator[Fault]:
    def long_sentences(passage: Passage) -> Iterator[str]:
        for sentence in sentences(passage.text):
            if len(words(sentence)) >= SENTENCE_WORDS:
                yield " ".join(words(sentence))

    # A common training prompt is one prompt, put to everybody.
    own = [p for p in passages if not (p.file.endswith("train.jsonl") and p.part == "ask")]
    for text, found in _by_key(own, long_sentences).items():
        if len(found) > 1:
            yield _fault(found, f"the sentence {text[:60]!r} stands also at {_places(found[1:])}", "each sentence once")


def _skeletons(passages: Sequence[Passage]) -> Iterator[Fault]:
    files = defaultdict(set)
    for passage in passages:
        files[passage.file].add(passage.row)

    def skeletons(passage: Passage) -> Iterator[tuple[str, str]]:
        for sentence in sentences(passage.text):
            if len(words(sentence)) >= SKELETON_WORDS:
                yield passage.file, skeleton(sentence)

    for (file, text), found in _by_key(passages, skeletons).items():
        most = max(SKELETON_FEWEST, SKELETON_SHARE * len(files[file]))
        if len(found) > most:
            yield _fault(found, f"the sentence skeleton {text!r} stands in {len(found)} rows", f"at most {most:.0f}")


def _by_key(passages: Sequence[Passage], keys: Callable[[Passage], Iterator[Key]]) -> dict[Key, list[Passage]]:
    """Group passages by what they hold, one passage a row."""
    found: dict[Key, dict[tuple[str, int], Passage]] = defaultdict(dict)
    for passage in passages:
        for key in keys(passage):
            found[key].setdefault(passage.row, passage)
    return {key: list(rows.values()) for key, rows in found.items()}


def _fault(found: Sequence[Passage], message: str, expected: str) -> Fault:
    return Fault(found[0].file, found[0].line, message, expected)


def _places(found: Sequence[Passage]) -> str:
    shown = ", ".join(f"{p.file}:{p.line}" for p in found[:3])
    return shown + (f" and {len(found) - 3} more" if len(found) > 3 else "")  # noqa: PLR2004 - as many as shown
