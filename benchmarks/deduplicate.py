"""Time de-duplication and pair mining by blocked products against plain loops, and compare what they find.

    python benchmarks/deduplicate.py                   # a few minutes on two cores, nearly all of it the plain loops
    python benchmarks/deduplicate.py --rows 3000 --loop-rows 1000

The vectors are drawn: `--copies` of them are near-copies of others at cosines around the threshold (0.90 to 1), so that
there is something to drop and something to keep. De-duplication is called as the trainer calls it, with an embedder
that has the vectors already; mining looks for the nearest prompt of every row among all rows, with another response.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

import numpy as np
from peak import Peak
from rich.progress import track

from persbench.data.deduplicate import ROUNDING, SIMILAR, deduplicated
from persbench.data.nearest import Embedded, nearest
from persbench.data.pairs import NEAR, SAME, TIE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

LIMIT = SIMILAR - ROUNDING
Result = tuple[list[int], list[tuple[int, int]]]


def drawn(rows: int, dimension: int, copies: float, seed: int) -> NDArray[np.float32]:
    """Draw unit rows of which a share are near-copies of earlier ones."""
    draw = np.random.default_rng(seed)
    vectors = draw.standard_normal((rows, dimension), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for row in np.flatnonzero(draw.random(rows) < copies)[1:]:
        cosine = draw.uniform(0.90, 1.0)
        vectors[row] = cosine * vectors[draw.integers(row)] + np.sqrt(1 - cosine**2) * vectors[row]
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def by_pairs(vectors: NDArray[np.float32]) -> Result:
    """The plain loop: each row against each row kept before it, one product a pair."""
    kept: list[int] = []
    dropped: list[tuple[int, int]] = []
    for row in track(range(len(vectors)), "a product a pair", transient=True):
        vector, best, near = vectors[row], -2.0, -1
        for earlier in kept:
            cosine = vector @ vectors[earlier]
            if cosine > best:
                best, near = cosine, earlier
        if best >= LIMIT:
            dropped.append((row, near))
        else:
            kept.append(row)
    return kept, dropped


def by_rows(vectors: NDArray[np.float32]) -> Result:
    """A loop with one product a row, over all rows kept before it."""
    kept: list[int] = []
    dropped: list[tuple[int, int]] = []
    for row in track(range(len(vectors)), "a product a row", transient=True):
        cosines = vectors[kept] @ vectors[row]
        if kept and cosines.max() >= LIMIT:
            dropped.append((row, kept[int(cosines.argmax())]))
        else:
            kept.append(row)
    return kept, dropped


class Given:
    """An embedder that has the vectors already."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self._vectors = vectors

    def encode(self, texts: list[str], /) -> NDArray[np.float32]:
        return self._vectors[: len(texts)]


def blocked(vectors: NDArray[np.float32]) -> Result:
    """What persbench does."""
    kept, dropped = deduplicated(range(len(vectors)), Given(vectors), prompt=str, name=str)
    return kept, [(int(drop.id), int(drop.kept)) for drop in dropped]


def mined(prompts: Embedded, replies: Embedded, rows: NDArray[np.intp]) -> list[int]:
    """The nearest prompt of each row, by persbench."""
    every = np.arange(len(prompts.of))
    found = nearest(prompts, replies, rows, every, least=NEAR, same=SAME, tie=TIE)
    return [-1 if each is None else each[0] for each in found]


def mined_by_rows(prompts: NDArray[np.float32], replies: NDArray[np.float32], rows: Sequence[int]) -> list[int]:
    """The same for some rows, in float64."""
    found = []
    for row in rows:
        cosines = prompts.astype(np.float64) @ prompts[row].astype(np.float64)
        cosines[replies.astype(np.float64) @ replies[row].astype(np.float64) >= SAME] = -2.0
        best = cosines.max()
        found.append(int(np.argmax(cosines > best - TIE)) if best >= NEAR else -1)
    return found


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    result = work()
    return time.perf_counter() - begun, result


def told(what: str, times: Sequence[float], memory: float | None = None) -> None:
    spread = f" ({min(times):.2f}-{max(times):.2f})" if len(times) > 1 else ""
    peak = "" if memory is None else f", {memory / 2**20:.0f} MB at its peak over what was there"
    print(f"{what}: {statistics.median(times):.2f} s{spread}{peak}", flush=True)


def measured(work: Callable[[], Any], rounds: int) -> tuple[list[float], float, Any]:
    """Run some work in rounds: seconds of each, peak memory over what was there, its result."""
    times, peak, result = [], 0.0, None
    for _ in range(rounds):
        with Peak() as memory:
            took, result = seconds(work)
        times.append(took)
        peak = max(peak, memory.most - memory.start)
    return times, peak, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=14_509, help="as many as the paper's training dialogues")
    parser.add_argument("--loop-rows", type=int, default=8_000, help="rows for the loop with a product a pair")
    parser.add_argument("--dimension", type=int, default=768)
    parser.add_argument("--copies", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    vectors = drawn(options.rows, options.dimension, options.copies, options.seed)
    blocked(vectors[:2000])  # threads start, code is loaded

    times, peak, whole = measured(lambda: blocked(vectors), options.rounds)
    told(f"blocked, {len(vectors)} rows, {len(whole[1])} dropped", times, peak)
    took, found = seconds(lambda: by_rows(vectors))
    told("a product a row", [took])
    print(f"  same rows kept, same nearest rows: {found == whole}; ratio {took / statistics.median(times):.0f}")

    few = vectors[: options.loop_rows]
    times, peak, found = measured(lambda: blocked(few), options.rounds)
    told(f"blocked, {len(few)} rows, {len(found[1])} dropped", times, peak)
    took, plain = seconds(lambda: by_pairs(few))
    told("a product a pair (the plain loop)", [took])
    print(f"  same rows kept, same nearest rows: {plain == found}; ratio {took / statistics.median(times):.0f}")

    numbers = np.arange(len(vectors))
    prompts, replies = (Embedded(drawn(len(vectors), options.dimension, 0.5, 1 + i), numbers) for i in range(2))
    times, peak, nearest_rows = measured(lambda: mined(prompts, replies, numbers), min(2, options.rounds))
    told(f"mining, {len(vectors)} rows, {sum(n >= 0 for n in nearest_rows)} with a partner", times, peak)
    sample = np.random.default_rng(0).choice(len(vectors), size=min(100, len(vectors)), replace=False).tolist()
    same = mined_by_rows(prompts.vectors, replies.vectors, sample) == [nearest_rows[row] for row in sample]
    print(f"  same partners for {len(sample)} rows: {same}")


if __name__ == "__main__":
    main()
