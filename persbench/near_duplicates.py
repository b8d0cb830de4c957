"""Near-duplicates among unit vectors, by blocked matrix products: exact, and bounded in memory.

A product of matrices in float32 rounds differently with the size of its blocks, so that a cosine that stands on a
threshold may fall on either side of it. `first_of_each` therefore takes what such a product says only where it says it
by more than its rounding can be, and computes the few cosines left over exactly.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Rows = NDArray[np.intp]

BLOCK: Final = 1024  # rows a side: one block of cosines is 4 MB in float32, and stays near the processor
FEW: Final = 256  # pairs whose exact cosines are computed together


class Near(NamedTuple):
    """A row that repeats an earlier one.

    Attributes:
        row: Its number.
        kept: Number of the nearest of the rows kept before it.
        cosine: Of the two.
    """

    row: int
    kept: int
    cosine: float


def similar_pairs(
    left: NDArray[np.float32], right: NDArray[np.float32] | None = None, *, threshold: float
) -> Iterator[tuple[int, int, float]]:
    """Find all pairs of rows whose cosine reaches a threshold.

    Args:
        left: Unit rows, shape (n, d).
        right: Unit rows, shape (m, d); None compares `left` with itself, each pair once and no row with itself.
        threshold: Smallest cosine that counts, -1 to 1.

    Yields:
        (row of left, row of right, cosine), in order of rows.
    """
    other = left if right is None else right
    for i in range(0, len(left), BLOCK):
        for j in range(0 if right is not None else i, len(other), BLOCK):
            cosines = left[i : i + BLOCK] @ other[j : j + BLOCK].T
            for a, b in np.argwhere(cosines >= threshold):
                if right is not None or i + a < j + b:
                    yield int(i + a), int(j + b), float(cosines[a, b])


def exact_cosines(left: Vectors, at: Rows, right: Vectors, to: Rows) -> list[float]:
    """Return dot products of pairs of rows, each the true sum rounded once: the same on every machine.

    Args:
        left: Shape (n, d).
        at: Which rows of it, shape (pairs,).
        right: Shape (m, d).
        to: Which rows of that, shape (pairs,).
    """
    found: list[float] = []
    for start in range(0, len(at), FEW):
        part = slice(start, start + FEW)
        # A product of two float32 numbers fits into a float64 without rounding, and fsum rounds once.
        products = left[at[part]].astype(np.float64) * right[to[part]]
        found += map(math.fsum, products.tolist())
    return found


def rounding(dimension: int) -> float:
    """Bound how far a dot product of two unit rows in float32 may be from the true one, in whatever order it is summed.

    Twice d u / (1 - d u) with u = 2^-24 (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1):
    the factor is for rows that are units but for a rounding of their own.
    """
    share = dimension * 2.0**-24
    return 2 * share / (1 - share)


def first_of_each(vectors: Vectors, *, threshold: float, block: int = BLOCK) -> tuple[list[int], list[Near]]:
    """Keep the first of each kind: a row is dropped if its cosine with a row kept before it reaches a threshold.

    The result is that of the plain loop (each row against each row kept before it, cosines without rounding) for every
    `block`. Memory beside `vectors`: a copy of the rows kept, about `6 * block ** 2` bytes for the cosines of a block,
    and some 30 bytes for each pair in it that reaches the threshold.

    Args:
        vectors: Unit rows, shape (n, d), in the order in which they are considered.
        threshold: Smallest cosine that drops a row.
        block: Rows a side of a matrix product.

    Returns:
        Numbers of the rows kept, ascending; and the rows dropped, each with the nearest row kept before it (of several
        as near the earliest).
    """
    kept = np.empty(vectors.shape, dtype=np.float32)  # memory is taken up only as it is filled
    numbers: list[int] = []
    dropped: list[Near] = []
    slack = rounding(vectors.shape[1])
    for start in range(0, len(vectors), block):
        rows = np.ascontiguousarray(vectors[start : start + block], dtype=np.float32)
        nearest: dict[int, Near] = {}
        for first in range(0, len(numbers), block):
            others = kept[first : min(first + block, len(numbers))]
            for row, other, cosine in _nearest(rows, others, threshold, slack):
                _nearer(nearest, row, Near(start + row, numbers[first + other], cosine))
        alive = _settle(rows, start, nearest, threshold, slack)
        dropped += (nearest[row] for row in np.flatnonzero(~alive).tolist())
        kept[len(numbers) : len(numbers) + int(alive.sum())] = rows[alive]
        numbers += (start + np.flatnonzero(alive)).tolist()
    return numbers, dropped


def _nearer(nearest: dict[int, Near], row: int, found: Near) -> None:
    if row not in nearest or found.cosine > nearest[row].cosine:
        nearest[row] = found


def _nearest(rows: Vectors, others: Vectors, threshold: float, slack: float) -> Iterator[tuple[int, int, float]]:
    """Yield (row, other, cosine) at the threshold, with the nearest other of each row among them, in order of rows."""
    cosines = rows @ others.T
    hits = np.flatnonzero(cosines >= threshold - slack)  # several times faster than `nonzero` in two dimensions
    at, to = np.divmod(hits, max(len(others), 1))
    near = cosines[at, to]
    top = np.full(len(rows), -np.inf, dtype=np.float32)
    np.maximum.at(top, at, near)
    may_be = near >= top[at] - 2 * slack  # the others cannot be their row's nearest, whatever the rounding
    at, to = at[may_be], to[may_be]
    for row, other, cosine in zip(at.tolist(), to.tolist(), exact_cosines(rows, at, others, to), strict=True):
        if cosine >= threshold:
            yield row, other, cosine


def _settle(rows: Vectors, start: int, nearest: dict[int, Near], threshold: float, slack: float) -> NDArray[np.bool_]:
    """Say which rows of a block are kept, one after another, and note the nearest kept row of each that is not."""
    alive = np.ones(len(rows), dtype=np.bool_)
    alive[list(nearest)] = False
    cosines = rows @ rows.T
    hits = np.tril(cosines >= threshold - slack, -1)
    for row in np.flatnonzero(hits.any(axis=1)).tolist():
        before = np.flatnonzero(hits[row, :row] & alive[:row])
        if not before.size:
            continue
        near = cosines[row, before]
        before = before[near >= near.max() - 2 * slack]
        itself = np.full(len(before), row)
        for other, cosine in zip(before.tolist(), exact_cosines(rows, itself, rows, before), strict=True):
            if cosine >= threshold:
                _nearer(nearest, row, Near(start + row, start + other, cosine))
                alive[row] = False
    return alive
