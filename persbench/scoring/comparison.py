"""Comparing two systems on the same items: difference, test, adjustment, agreement of personas, detectable size.

Items of a cluster, as a rule a question, hang together: whole clusters are drawn or flipped. Unknown is None, never 0.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from persbench.scoring.stats import RESAMPLES, SEED, Interval, cluster_interval

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    Scores = Sequence[float | None]
    Clusters = Sequence[Hashable]

_CELLS = 2_000_000
"""Signs held at once: 16 MB an array, two arrays."""
_ROUNDING = 1e-12
"""Of the sum of all scores: below it two permuted sums differ by rounding alone, and are a tie."""


@dataclass(frozen=True)
class PairedDifference:
    """Mean of a - b over the items scored under both, the rest counted as unscored; and the p of `permutation_p`."""

    interval: Interval
    p: float | None


@dataclass(frozen=True)
class SignCount:
    """Numbers of personas by the sign of their difference, and without one.

    Attributes:
        same: Personas whose difference has the sign of the overall one; 0 where that is 0 or unknown.
    """

    positive: int
    negative: int
    zero: int
    unscored: int
    same: int

    @property
    def text(self) -> str:
        """`same` of the scored personas, "5/6"; with personas unscored "5/5 (1 unscored)"."""
        count = f"{self.same}/{self.positive + self.negative + self.zero}"
        return f"{count} ({self.unscored} unscored)" if self.unscored else count


@dataclass(frozen=True)
class Detectable:
    """The smallest true difference that a test on such items would find; counts as in `Interval`.

    Attributes:
        difference: In units of the values; None with fewer than two clusters.
        standard_error: Cluster-robust standard error of the mean; None likewise.
    """

    difference: float | None
    standard_error: float | None
    n: int
    clusters: int
    unscored: int


def paired_difference(
    a: Scores, b: Scores, clusters: Clusters, *, resamples: int = RESAMPLES, confidence: float = 0.95, seed: int = SEED
) -> PairedDifference:
    """Mean of a - b, positive where a scores higher, with its bootstrap interval and permutation p-value.

    The interval is `cluster_interval` on the differences (Davison and Hinkley 1997, 3.8): the pairing takes out what
    makes an item easy or hard for both. Interval and test are built apart, and may disagree near the border.

    Args:
        a: Scores of one system, shape (items,), None where unscored.
        b: Scores of the other on the same items in the same order, likewise.
        clusters: The cluster of each item, shape (items,), as for `cluster_interval`.
        resamples: Bootstrap draws, and permutations drawn where there are too many to count them all.
        confidence: Coverage of the interval, between 0 and 1.
        seed: Seed of both.

    Raises:
        ValueError: Lengths differ, a value is NaN or infinite, resamples is below 1 or confidence out of range.
    """
    interval = cluster_interval(_differences(a, b), clusters, resamples=resamples, confidence=confidence, seed=seed)
    return PairedDifference(interval, permutation_p(a, b, clusters, draws=resamples, seed=seed))


def permutation_p(
    a: Scores, b: Scores, clusters: Clusters, *, draws: int = RESAMPLES, seed: int = SEED
) -> float | None:
    """Two-sided paired permutation test of the mean of a - b, the systems swapped in whole clusters.

    With T_k the sum of a - b over the items of cluster k and s_k = +-1, p is the share of sign vectors s with
    |sum s_k T_k| >= |sum T_k| (Good 2005). All 2^K are counted where that is at most `draws`, K the clusters with
    T_k other than 0 (flipping the rest changes nothing); such a p is at least 2 / 2^K, 1/32 for six clusters. Else
    p = (count + 1) / (draws + 1) over drawn sign vectors, which is never 0 (Phipson and Smyth 2010).

    Args:
        a: As for `paired_difference`.
        b: Likewise.
        clusters: Likewise.
        draws: Sign vectors drawn, and the most that are counted one by one.
        seed: Seed of the draws. The order of rows, the names of clusters and which system is a change nothing.

    Returns:
        The p-value, 1 where the mean difference is 0; None with fewer than two clusters scored under both systems.

    Raises:
        ValueError: Lengths differ, a value is NaN or infinite, or draws is below 1.
    """
    if draws < 1:
        raise ValueError(f"need draws >= 1, not {draws}")
    totals = [total for total, _ in _cluster_totals(_differences(a, b), clusters)]
    if len(totals) <= 1:
        return None
    tie = _ROUNDING * math.fsum(abs(x) + abs(y) for x, y in zip(a, b, strict=True) if x is not None and y is not None)
    moving = [total for total in totals if abs(total) > tie]
    least = abs(math.fsum(moving)) - tie
    # signs are symmetric, so sizes are enough; sorted, they do not depend on the order of rows
    sizes = np.array(sorted(map(abs, moving)))
    if 2 ** len(sizes) <= draws:
        sums = np.zeros(1)
        for size in sizes:
            sums = np.concatenate([sums - size, sums + size])
        return float(np.mean(np.abs(sums) >= least))
    rng = np.random.default_rng(seed)
    batch = max(1, _CELLS // len(sizes))
    count = 0
    for start in range(0, draws, batch):
        signs = rng.choice([-1.0, 1.0], (min(batch, draws - start), len(sizes)))
        count += int(np.count_nonzero(np.abs(signs @ sizes) >= least))
    return (count + 1) / (draws + 1)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Step-down adjusted p-values: rejecting those up to alpha keeps the chance of any false alarm at most alpha.

    With m p-values in rising order, the adjusted j-th is max over i <= j of min(1, (m - i + 1) p_i) (Holm 1979).
    It needs no assumption on how the comparisons depend on each other.

    Args:
        p_values: One a comparison, shape (comparisons,). None where nothing could be tested; it does not count in m.

    Returns:
        Adjusted p-values in the order given, None where None was given.

    Raises:
        ValueError: A p-value is NaN or not between 0 and 1.
    """
    for place, p in enumerate(p_values):
        if p is not None and not 0 <= p <= 1:
            raise ValueError(f"p-value {p} at place {place}: it must lie between 0 and 1, or be None where untested")
    ranked = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(ranked):
        highest = max(highest, min(1.0, (len(ranked) - rank) * p))
        adjusted[place] = highest
    return adjusted


def sign_count(differences: Scores, overall: float | None = None) -> SignCount:
    """How many personas share the sign of the overall difference.

    Args:
        differences: One a persona, shape (personas,), None where unscored.
        overall: The difference that the count stands beside; None for the mean of `differences`. Not the majority's
            sign: one persona may outweigh five, and "5/6" beside that mean would look like support.

    Raises:
        ValueError: A difference is NaN or infinite.
    """
    scored = [value for value in _checked(differences, "differences") if value is not None]
    _checked([overall], "overall")
    direction = math.fsum(scored) if overall is None else overall
    # A mean of thirds that cancel is no sign.
    positive, negative = sum(value > _ROUNDING for value in scored), sum(value < -_ROUNDING for value in scored)
    same = positive if direction > _ROUNDING else negative if direction < -_ROUNDING else 0
    zero, unscored = len(scored) - positive - negative, len(differences) - len(scored)
    return SignCount(positive, negative, zero, unscored, same)


def minimal_detectable_difference(
    values: Scores, clusters: Clusters, *, alpha: float = 0.05, power: float = 0.8, comparisons: int = 1
) -> Detectable:
    """The true mean that a two-sided test at `alpha` would find with chance `power` on items that spread like these.

    (z[1 - alpha / (2 comparisons)] + z[power]) * se (Bloom 1995), z the normal quantile. The standard error is the
    cluster-robust one of a ratio of sums, se = sqrt(sum_k (T_k - mean * n_k)^2 * K / (K - 1)) / n, with T_k and n_k
    the sum and count of cluster k of K (Cochran 1977, 6; Cameron and Miller 2015). With one item a cluster it is
    the usual s / sqrt(n). With few clusters, under thirty or so, the normal quantile is too small and this a lower
    bound; a spread of 0 gives 0, which tells that these items do not vary, not that any effect would be found.

    Args:
        values: Differences of two systems, or scores of one, shape (items,), None where unscored.
        clusters: The cluster of each item, shape (items,).
        alpha: Chance of a false alarm over all comparisons, between 0 and 1.
        power: Chance of finding the difference, between 0 and 1.
        comparisons: Number of tests that share alpha (Bonferroni's bound: `holm` finds at least as much).

    Raises:
        ValueError: Lengths differ, a value is NaN or infinite, or a setting is out of range.
    """
    if not 0 < alpha < 1 or not 0 < power < 1 or comparisons < 1:
        raise ValueError(f"need alpha and power in (0, 1), comparisons >= 1, not {alpha}, {power} and {comparisons}")
    groups = _cluster_totals(_checked(values, "values"), clusters)
    n, k = sum(count for _, count in groups), len(groups)
    if k <= 1:
        return Detectable(None, None, n, k, unscored=len(values) - n)
    mean = math.fsum(total for total, _ in groups) / n
    squares = math.fsum((total - mean * count) ** 2 for total, count in groups)
    error = math.sqrt(squares * k / (k - 1)) / n
    factor = NormalDist().inv_cdf(1 - alpha / (2 * comparisons)) + NormalDist().inv_cdf(power)
    return Detectable(factor * error, error, n, k, unscored=len(values) - n)


def _differences(a: Scores, b: Scores) -> list[float | None]:
    """The differences a - b where both are scored, else None."""
    if len(a) != len(b):
        raise ValueError(f"{len(a)} scores of a do not match {len(b)} of b: give the same items in the same order")
    pairs = zip(_checked(a, "a"), _checked(b, "b"), strict=True)
    return [None if x is None or y is None else x - y for x, y in pairs]


def _checked(values: Scores, name: str) -> Scores:
    """The values, none of them NaN or infinite: beside an unscored partner such a mistake would pass unseen."""
    for place, value in enumerate(values):
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{value} at place {place} of {name}: what is not finite must be None, unscored")
    return values


def _cluster_totals(values: Scores, clusters: Clusters) -> list[tuple[float, int]]:
    """Sum and count of each cluster with a scored item; fsum makes the sums independent of the order of rows."""
    if len(values) != len(clusters):
        raise ValueError(f"{len(values)} values do not match {len(clusters)} clusters: there must be one an item")
    members: defaultdict[Hashable, list[float]] = defaultdict(list)
    for value, cluster in zip(values, clusters, strict=True):
        if value is not None:
            members[cluster].append(value)
    return [(math.fsum(group), len(group)) for group in members.values()]
