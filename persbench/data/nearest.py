"""The nearest of many candidates to each of many rows, by blocked matrix products with a bound on memory.

As in `persbench.near_duplicates`, a product in float32 decides only what it decides beyond its own rounding: the result
is that of comparing every row with every candidate without any rounding, whatever the blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from persbench.errors import PersbenchError
from persbench.near_duplicates import exact_cosines, rounding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from persbench.near_duplicates import Rows
    from persbench.scoring.overlap import Embedder

BLOCK: Final = 1024  # rows a side: two blocks of cosines and their masks are about 16 MB


class Embedded(NamedTuple):
    """Texts as vectors, each distinct text once.

    Attributes:
        vectors: Unit rows, shape (distinct texts, d).
        of: Which of them each text has, shape (texts,).
    """

    vectors: NDArray[np.float32]
    of: Rows

    def cosines(self, rows: Rows, others: Rows) -> NDArray[np.float32]:
        """Return the cosines of all rows with all others, shape (rows, others), as rounded as float32 is."""
        found: NDArray[np.float32] = self.vectors[self.of[rows]] @ self.vectors[self.of[others]].T
        return found

    def exact(self, rows: Rows, others: Rows) -> NDArray[np.float64]:
        """Return the cosines of row with other, one after another, each the true one rounded once."""
        return np.array(exact_cosines(self.vectors, self.of[rows], self.vectors, self.of[others]), dtype=np.float64)

    @property
    def slack(self) -> float:
        """How far `cosines` may be from the true ones."""
        return rounding(self.vectors.shape[1])


def embedded(texts: Sequence[str], embedder: Embedder) -> Embedded:
    """Embed texts, equal ones once: they then have the same vector to the last bit.

    Args:
        texts: At least one.
        embedder: Gives unit rows.

    Raises:
        PersbenchError: The embedder gave something else than numbers for a text.
    """
    known = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    vectors = np.asarray(embedder.encode(list(known)), dtype=np.float32)
    sound = np.isfinite(vectors).all(axis=1)
    if not sound.all():
        text = list(known)[int(np.flatnonzero(~sound)[0])]
        raise PersbenchError(f"the embedder gave no finite vector for {text[:60]!r}: look at it, or use another one.")
    return Embedded(vectors, np.array([known[text] for text in texts], dtype=np.intp))


def alike(replies: Embedded, rows: Rows, others: Rows, same: float) -> NDArray[np.bool_]:
    """Say of all rows and all others, shape (rows, others), whether their replies' cosine reaches `same`."""
    cosines = replies.cosines(rows, others)
    found: NDArray[np.bool_] = cosines >= same
    at, to = np.nonzero(np.abs(cosines - same) <= replies.slack)
    found[at, to] = replies.exact(rows[at], others[to]) >= same
    return found


def nearest(
    prompts: Embedded,
    replies: Embedded,
    rows: Rows,
    candidates: Rows,
    *,
    least: float,
    same: float,
    tie: float,
    block: int = BLOCK,
) -> list[tuple[int, float] | None]:
    """Find for each row the candidate whose prompt is nearest, among those whose reply is another one.

    Args:
        prompts: Of all rows and candidates.
        replies: The same.
        rows: Numbers in those two of the rows that look for a candidate.
        candidates: Numbers of the candidates. Of several as near the one that stands first here is taken.
        least: A cosine of prompts below this does not count.
        same: A candidate whose reply's cosine with the row's reaches this is none.
        tie: Cosines of prompts that are less than this below the best one are as near.
        block: Rows a side of a matrix product.

    Returns:
        For each row (candidate, cosine of the prompts), or None.
    """
    found: list[tuple[int, float] | None] = []
    for start in range(0, len(rows), block):
        part = rows[start : start + block]
        window = tie + 2 * prompts.slack
        top = np.full(len(part), least - prompts.slack, dtype=np.float64)
        hits: list[tuple[Rows, Rows, NDArray[np.float64]]] = []
        for first in range(0, len(candidates), block):
            others = candidates[first : first + block]
            cosines = prompts.cosines(part, others).astype(np.float64)
            cosines[alike(replies, part, others, same)] = -np.inf
            np.maximum(top, cosines.max(axis=1), out=top)
            at, to = np.nonzero(cosines >= (top - window)[:, None])
            hits.append((at, others[to], cosines[at, to]))
        found += _best(prompts, part, hits, top - window, least, tie)
    return found


def _best(
    prompts: Embedded,
    rows: Rows,
    hits: list[tuple[Rows, Rows, NDArray[np.float64]]],
    floor: NDArray[np.float64],
    least: float,
    tie: float,
) -> list[tuple[int, float] | None]:
    """Choose among the hits of each row (row, candidate, cosine as rounded) by exact cosines."""
    if not hits:
        return [None] * len(rows)
    at, to, cosines = (np.concatenate(parts) for parts in zip(*hits, strict=True))
    may_be = cosines >= floor[at]
    at, to = at[may_be], to[may_be]
    order = np.argsort(at, kind="stable")  # within a row the candidates keep their order
    ends = np.searchsorted(at[order], np.arange(len(rows) + 1))
    found: list[tuple[int, float] | None] = []
    for row, (begin, end) in enumerate(zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)):
        own = to[order[begin:end]]
        # Many candidates may have one and the same prompt, which is compared once.
        _, example, which = np.unique(prompts.of[own], return_index=True, return_inverse=True)
        exact = prompts.exact(np.full(len(example), rows[row]), own[example])[which]
        best = float(exact.max()) if own.size else -np.inf
        if best < least:
            found.append(None)
        else:
            chosen = int(np.argmax(exact > best - tie))
            found.append((int(own[chosen]), float(exact[chosen])))
    return found
