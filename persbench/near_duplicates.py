"""Near-duplicates among unit vectors, by blocked matrix products: exact, and bounded in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

BLOCK: Final = 2048  # rows a side: one block of cosines is 16 MB in float32


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
