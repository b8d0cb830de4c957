"""The blocked search for the nearest candidate gives what comparing row by row gives: on thresholds, among ties."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from persbench.data.nearest import Embedded, embedded, nearest
from persbench.errors import PersbenchError

# Unit rows without any rounding: their cosines are multiples of 1/4, to the last bit.
EXACT = np.array(
    [*np.eye(4), *([s / 2, t / 2, u / 2, 1 / 2] for s in (1, -1) for t in (1, -1) for u in (1, -1))], dtype=np.float32
)
Found = list[tuple[int, float] | None]


def cosine(texts: Embedded, one: int, other: int) -> float:
    left, right = (texts.vectors[texts.of[i]].tolist() for i in (one, other))
    return math.fsum(a * b for a, b in zip(left, right, strict=True))


def plain(prompts: Embedded, replies: Embedded, rows: Any, candidates: Any, least: float, same: float) -> Found:
    """Row by row, candidate by candidate."""
    found: Found = []
    for row in rows.tolist():
        near = [(cosine(prompts, row, c), c) for c in candidates.tolist() if cosine(replies, row, c) < same]
        best = max((each for each, _ in near), default=-2.0)
        found.append(next(((c, each) for each, c in near if each > best - 1e-6), None) if best >= least else None)
    return found


def texts(vectors: NDArray[Any], of: Sequence[int] | None = None) -> Embedded:
    return Embedded(vectors.astype(np.float32), np.array(range(len(vectors)) if of is None else of, dtype=np.intp))


def split(n: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    order = np.random.default_rng(seed).permutation(n)
    return order[: n // 3], order[n // 3 :]


@settings(max_examples=150, deadline=None)
@given(
    kinds=st.lists(st.tuples(st.integers(0, len(EXACT) - 1), st.integers(0, len(EXACT) - 1)), max_size=30),
    least=st.sampled_from([-1.0, 0.25, 0.5, 0.75]),
    same=st.sampled_from([0.5, 0.75, 1.0, 2.0]),
    block=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_on_thresholds_and_among_ties(
    kinds: list[tuple[int, int]], least: float, same: float, block: int, seed: int
) -> None:
    prompts, replies = texts(EXACT, [p for p, _ in kinds]), texts(EXACT, [r for _, r in kinds])
    rows, candidates = split(len(kinds), seed)
    found = nearest(prompts, replies, rows, candidates, least=least, same=same, tie=1e-6, block=block)
    assert found == plain(prompts, replies, rows, candidates, least, same)


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(2, 40),
    spread=st.sampled_from([0.0, 1e-7, 5e-7, 1e-3, 1.0]),
    block=st.integers(1, 17),
    on_a_cosine=st.booleans(),
)
def test_near_copies_and_near_ties(seed: int, count: int, spread: float, block: int, on_a_cosine: bool) -> None:
    draw = np.random.default_rng(seed)

    def few() -> Embedded:
        sources = draw.normal(size=(4, 24))
        rows = sources[draw.integers(4, size=count)] + spread * draw.normal(size=(count, 24))
        return texts(rows / np.linalg.norm(rows, axis=1, keepdims=True))

    prompts, replies = few(), few()
    rows, candidates = split(count, seed)
    least, same = 0.35, 0.95
    if on_a_cosine and rows.size:  # thresholds that are, to the last bit, cosines of two of the texts
        least, same = (cosine(each, rows[0], draw.choice(candidates)) for each in (prompts, replies))
    found = nearest(prompts, replies, rows, candidates, least=least, same=same, tie=1e-6, block=block)
    assert found == plain(prompts, replies, rows, candidates, least, same)


def test_without_candidates_there_is_none() -> None:
    rows = np.array([0, 1], dtype=np.intp)
    for asking, candidates, found in ((rows, rows[:0], [None, None]), (rows[:0], rows, [])):
        assert nearest(texts(EXACT), texts(EXACT), asking, candidates, least=0.0, same=1.0, tie=1e-6) == found


class Counting:
    """Gives each text a vector by its length, and remembers what it was asked."""

    def __init__(self, scale: float = 1.0) -> None:
        self.asked: list[str] = []
        self.scale = scale

    def encode(self, texts: list[str], /) -> NDArray[np.float32]:
        self.asked += texts
        return np.array([[1.0, 0.0] if len(t) < 4 else [self.scale, 0.0] for t in texts], dtype=np.float32)


def test_equal_texts_are_embedded_once() -> None:
    embedder = Counting()
    assert embedded(["a", "b", "a"], embedder).of.tolist() == [0, 1, 0]
    assert embedder.asked == ["a", "b"]


def test_a_vector_without_numbers_is_told_and_not_compared() -> None:
    with pytest.raises(PersbenchError, match="no finite vector for 'long text'"):
        embedded(["a", "long text"], Counting(float("nan")))
