"""Means with intervals that know that items of one question are not independent.

Intervals come from a cluster bootstrap: whole questions are drawn with replacement (Davison and Hinkley 1997, 3.8).
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from numpy.typing import NDArray

RESAMPLES = 10_000
SEED = 20_260
_CELLS = 2_000_000
"""Numbers held at once while resampling: 16 MB an array, three arrays."""
_KEPT = 25_000_000
"""Draws of so many numbers at most are kept for the next call, for eight last ones: up to 25 MB each, as a rule 2."""


@dataclass(frozen=True)
class Interval:
    """A mean over items with its percentile interval.

    Attributes:
        mean: Mean over the scored items; None if there are none.
        low: Lower end; None with fewer than two clusters, where nothing tells the spread between clusters.
        high: Upper end; None likewise. Equal to `mean` where all clusters have the same mean.
        n: Scored items.
        clusters: Clusters with at least one scored item.
        unscored: Items left out because they have no value.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int
    clusters: int
    unscored: int


def cluster_interval(
    values: Sequence[float | None],
    clusters: Sequence[Hashable],
    *,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
    seed: int = SEED,
) -> Interval:
    """Mean over items, with the percentile interval of a bootstrap over clusters.

    The statistic is sum over clusters by count over clusters, so every item weighs the same in the mean while whole
    clusters are drawn. The order of rows changes nothing, and an unscored item changes nothing but its own count.

    Args:
        values: One an item, None where unscored.
        clusters: The cluster of each item, as a rule its question. Clusters are drawn in the order of their `repr`:
            give strings, numbers or tuples of them.
        resamples: Bootstrap draws.
        confidence: Coverage of the interval, between 0 and 1 (for several comparisons see `bonferroni`).
        seed: Seed of the draws; the same seed draws the same clusters for every system on the same items.

    Returns:
        The mean and its interval.

    Raises:
        ValueError: Lengths differ, a value is NaN or infinite, resamples is below 1 or confidence out of range.
    """
    if resamples < 1 or not 0 < confidence < 1:
        raise ValueError(f"need resamples >= 1 and 0 < confidence < 1, not {resamples} and {confidence}")
    if len(values) != len(clusters):
        raise ValueError(f"{len(values)} values do not match {len(clusters)} clusters: there must be one an item")
    members: defaultdict[Hashable, list[float]] = defaultdict(list)
    for value, cluster in zip(values, clusters, strict=True):
        if value is not None:
            if not math.isfinite(value):
                raise ValueError(f"{value} in cluster {cluster!r}: a value that is not finite must be None, unscored")
            members[cluster].append(value)
    # fsum and sorting, not the order of rows, fix the result to the last bit
    groups = sorted((repr(cluster), math.fsum(group), len(group)) for cluster, group in members.items())
    n = sum(count for _, _, count in groups)
    unscored = len(values) - n
    if n == 0:
        return Interval(None, None, None, 0, 0, unscored)
    mean = math.fsum(value for group in members.values() for value in group) / n
    low: float | None = None
    high: float | None = None
    if len(groups) > 1:
        totals = np.array([total for _, total, _ in groups])
        counts = np.array([float(count) for _, _, count in groups])
        # where no draw can differ, rounding must not open an interval
        if np.ptp(totals / counts) <= 1e-12 * max(1.0, abs(mean)):
            low = high = mean
        else:
            low, high = _percentiles(totals.tobytes(), counts.tobytes(), resamples, confidence, seed)
    return Interval(mean, low, high, n, len(groups), unscored)


def bonferroni(confidence: float, comparisons: int) -> float:
    """Confidence for each of several intervals such that all hold together with at least `confidence`.

    The tails shrink as 1 / comparisons: of 10,000 resamples, 70 comparisons at 0.95 leave three or four in each.

    Args:
        confidence: Joint coverage, between 0 and 1.
        comparisons: Number of intervals, 1 or more.

    Returns:
        1 - (1 - confidence) / comparisons.

    Raises:
        ValueError: An argument is out of range.
    """
    if comparisons < 1 or not 0 < confidence < 1:
        raise ValueError(f"need 0 < confidence < 1 and comparisons >= 1, not {confidence} and {comparisons}")
    return 1 - (1 - confidence) / comparisons


@lru_cache(maxsize=4096)  # the tables and pages of one board share most of their intervals
def _percentiles(totals_: bytes, counts_: bytes, resamples: int, confidence: float, seed: int) -> tuple[float, float]:
    """Percentile interval of sum(totals) / sum(counts) over clusters: both of shape (clusters,), as bytes."""
    totals, counts = np.frombuffer(totals_), np.frombuffer(counts_)
    even = bool(np.ptp(counts) == 0)  # as a rule; what is drawn is then as many items every time
    parts = []
    for drawn in _draws(len(totals), resamples, seed):
        items = counts.sum() if even else counts.take(drawn).sum(axis=-1)  # whole numbers: exact in any order
        parts.append(totals.take(drawn).sum(axis=-1) / items)
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(parts), (tail, 1 - tail))
    return float(low), float(high)


def _draws(clusters: int, resamples: int, seed: int) -> Iterator[NDArray[np.integer[Any]]]:
    """Give the clusters drawn, resample by resample; batches of another size hold the same ones.

    A table's intervals are of few numbers of clusters, so the draws of one call mostly serve the next.
    """
    batch = max(1, _CELLS // clusters)
    if clusters * resamples <= _KEPT:
        drawn = _all_drawn(clusters, resamples, seed)
        yield from (drawn[start : start + batch] for start in range(0, resamples, batch))
    else:
        yield from _new_draws(clusters, resamples, seed)


def _new_draws(clusters: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    batch = max(1, _CELLS // clusters)
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, batch):
        yield rng.integers(0, clusters, (min(batch, resamples - start), clusters))


@lru_cache(maxsize=8)
def _all_drawn(clusters: int, resamples: int, seed: int) -> NDArray[np.integer[Any]]:
    """Return the same of all batches, as small numbers."""
    small = np.min_scalar_type(clusters)
    drawn = np.concatenate([batch.astype(small) for batch in _new_draws(clusters, resamples, seed)])
    drawn.flags.writeable = False
    return drawn
