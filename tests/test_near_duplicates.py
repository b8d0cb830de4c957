"""Blocked de-duplication gives what the plain loop gives: on the threshold, among ties, at every size of block."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from persbench.near_duplicates import Near, exact_cosines, first_of_each, rounding

# Unit rows without any rounding: their cosines are 0, 1/4, 1/2, 3/4, 1 and the negatives, to the last bit.
EXACT: NDArray[np.float32] = np.array(
    [
        *np.eye(4),
        *([s / 2, t / 2, u / 2, v / 2] for s in (1, -1) for t in (1, -1) for u in (1, -1) for v in (1, -1)),
    ],
    dtype=np.float32,
)


def plain(vectors: NDArray[Any], threshold: float) -> tuple[list[int], list[Near]]:
    """The plain loop: every row against every row kept before it."""
    kept: list[int] = []
    dropped: list[Near] = []
    for row, vector in enumerate(vectors.tolist()):
        best: Near | None = None
        for earlier in kept:
            cosine = math.fsum(a * b for a, b in zip(vector, vectors[earlier].tolist(), strict=True))
            if cosine >= threshold and (best is None or cosine > best.cosine):
                best = Near(row, earlier, cosine)
        if best is None:
            kept.append(row)
        else:
            dropped.append(best)
    return kept, dropped


def unit(rows: NDArray[Any]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return found


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.integers(0, len(EXACT) - 1), max_size=30),
    threshold=st.sampled_from([-1.0, 0.0, 0.25, 0.5, 0.75, 1.0]),
    block=st.integers(1, 9),
)
def test_on_the_threshold_and_among_ties(rows: list[int], threshold: float, block: int) -> None:
    vectors = EXACT[rows]
    assert first_of_each(vectors, threshold=threshold, block=block) == plain(vectors, threshold)


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(0, 40),
    dimension=st.integers(1, 33),
    spread=st.sampled_from([0.0, 1e-7, 1e-4, 0.05, 1.0]),
    block=st.integers(1, 17),
    on_a_cosine=st.booleans(),
)
def test_near_copies(seed: int, rows: int, dimension: int, spread: float, block: int, on_a_cosine: bool) -> None:
    draw = np.random.default_rng(seed)
    sources = draw.normal(size=(5, dimension))
    vectors = unit(sources[draw.integers(5, size=rows)] + spread * draw.normal(size=(rows, dimension)))
    threshold = 0.95
    if on_a_cosine and rows > 1:  # a threshold that is, to the last bit, the cosine of two of the rows
        one, other = draw.choice(rows, size=2, replace=False)
        threshold = math.fsum(a * b for a, b in zip(vectors[one].tolist(), vectors[other].tolist(), strict=True))
    assert first_of_each(vectors, threshold=threshold, block=block) == plain(vectors, threshold)


def test_hundreds_of_rows_of_a_real_size() -> None:
    draw = np.random.default_rng(7)
    rows = draw.normal(size=(200, 768))
    rows[draw.integers(200, size=60)] = rows[draw.integers(200, size=60)]
    vectors = unit(rows + 0.1 * draw.normal(size=rows.shape) * draw.integers(2, size=(200, 1)))
    kept, dropped = plain(vectors, 0.95)
    assert len(dropped) > 20
    assert sorted([*kept, *(near.row for near in dropped)]) == list(range(200))
    for block in (32, 64, 2048):
        assert first_of_each(vectors, threshold=0.95, block=block) == (kept, dropped)


def test_a_row_near_a_dropped_one_alone_is_kept() -> None:
    angles = np.radians([0.0, 10.0, 20.0])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert first_of_each(vectors, threshold=0.95, block=1)[0] == [0, 2]


def test_the_nearest_kept_row_is_named_wherever_it_stands() -> None:
    """Row 2 is dropped for row 0 of an earlier block, and nearer to row 1 of its own; of equals the earlier counts."""
    angles = np.radians([0.0, 40.0, 25.0, 20.0])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    for block in (1, 2, 3, 4):
        kept, dropped = first_of_each(vectors[:3], threshold=0.8, block=block)
        assert (kept, [(near.row, near.kept) for near in dropped]) == ([0, 1], [(2, 1)])
    same = EXACT[[0, 1, 4]]  # as near to the one as to the other
    for block in (1, 2, 3):
        assert first_of_each(same, threshold=0.5, block=block) == ([0, 1], [Near(2, 0, 0.5)])


def test_nothing_and_one_row() -> None:
    assert first_of_each(np.zeros((0, 4), dtype=np.float32), threshold=0.9) == ([], [])
    assert first_of_each(EXACT[:1], threshold=-1.0) == ([0], [])


def test_a_product_of_matrices_stays_within_the_bound() -> None:
    draw = np.random.default_rng(3)
    for dimension in (2, 64, 768):
        left, right = (unit(draw.normal(size=(40, dimension))) for _ in range(2))
        at, to = np.divmod(np.arange(1600), 40)
        true = np.array(exact_cosines(left, at, right, to)).reshape(40, 40)
        assert np.abs(left @ right.T - true).max() <= rounding(dimension)
    assert true[3, 5] == math.fsum((left[3].astype(float) * right[5].astype(float)).tolist())
