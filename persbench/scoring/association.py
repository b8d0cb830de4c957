"""How far two measures of the same items go together: rank correlation and agreement beyond chance, with intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from persbench.scoring.resampling import DRAWS, weighted_interval
from persbench.scoring.stats import SEED, Interval

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from persbench.scoring.resampling import Statistic, Weights

    Clusters = Sequence[Hashable]

T = TypeVar("T")
_NOTHING = 1e-9
"""Below it, a spread is rounding alone."""


def spearman(
    a: Sequence[float | None], b: Sequence[float | None], clusters: Clusters, *, draws: int = DRAWS, seed: int = SEED
) -> Interval:
    """Spearman's rank correlation of two measures, ties at their mean rank (Spearman 1904).

    Args:
        a: One measure of each item, shape (items,), None where unscored.
        b: The other, likewise.
        clusters: The cluster of each item, as a rule its question.
        draws: Bootstrap draws over clusters.
        seed: Of the draws.

    Returns:
        The correlation, -1 to 1, with its interval; items that miss either measure are `unscored`. None where either
        measure never varies.

    Raises:
        ValueError: Lengths differ, or a value is NaN or infinite.
    """
    pairs, kept = _complete(a, b, clusters)
    for value in (value for pair in pairs for value in pair):
        if not math.isfinite(value):
            raise ValueError(f"{value}: what is not finite must be None, unscored")
    first, second = (_Levels([pair[i] for pair in pairs]) for i in range(2))

    def statistic(weights: Weights) -> NDArray[np.float64]:
        return _correlation(first.mean_ranks(weights), second.mean_ranks(weights), weights)

    return _interval(statistic, kept, len(a) - len(pairs), draws, seed)


def cohen_kappa(
    a: Sequence[T | None], b: Sequence[T | None], clusters: Clusters, *, draws: int = DRAWS, seed: int = SEED
) -> Interval:
    """Cohen's kappa of two labellings (Cohen 1960, doi:10.1177/001316446002000104).

    kappa = (P - Pe) / (1 - Pe), P the share of equal labels and Pe the sum over labels of the product of their shares.

    Args:
        a: One label of each item, shape (items,), None where unscored.
        b: The other, likewise.
        clusters: The cluster of each item.
        draws: Bootstrap draws over clusters.
        seed: Of the draws.

    Returns:
        Kappa, at most 1, with its interval; items that miss a label are `unscored`. None where both use one label
        alone.

    Raises:
        ValueError: Lengths differ.
    """
    pairs, kept = _complete(a, b, clusters)
    names = sorted({repr(label) for pair in pairs for label in pair})
    first, second = (
        np.array([[repr(pair[i]) == name for name in names] for pair in pairs], dtype=np.float64).reshape(
            len(pairs), len(names)
        )
        for i in range(2)
    )
    equal = (first * second).sum(axis=1)

    def statistic(weights: Weights) -> NDArray[np.float64]:
        n = weights.sum(axis=1)
        by_chance = ((weights @ first) * (weights @ second)).sum(axis=1) / n**2
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(1 - by_chance > _NOTHING, (weights @ equal / n - by_chance) / (1 - by_chance), np.nan)

    return _interval(statistic, kept, len(a) - len(pairs), draws, seed)


def _complete(
    a: Sequence[T | None], b: Sequence[T | None], clusters: Clusters
) -> tuple[list[tuple[T, T]], list[Hashable]]:
    """The items that have both, and their clusters."""
    if not len(a) == len(b) == len(clusters):
        raise ValueError(f"{len(a)} and {len(b)} values, {len(clusters)} clusters: there must be one an item")
    found = [((x, y), cluster) for x, y, cluster in zip(a, b, clusters, strict=True) if x is not None and y is not None]
    return [pair for pair, _ in found], [cluster for _, cluster in found]


def _interval(statistic: Statistic, kept: list[Hashable], unscored: int, draws: int, seed: int) -> Interval:
    n, clusters = len(kept), len(set(map(repr, kept)))
    if not n:
        return Interval(None, None, None, 0, 0, unscored)
    value = float(statistic(np.ones((1, n)))[0])
    if not math.isfinite(value):
        return Interval(None, None, None, n, clusters, unscored)
    ends = weighted_interval(statistic, kept, draws=draws, seed=seed)
    low, high = ends or (None, None)
    return Interval(value, low, high, n, clusters, unscored)


class _Levels:
    """Values in rising order, equal ones together, so that weighted ranks need one pass.

    Args:
        values: One an item.
    """

    def __init__(self, values: Sequence[float]) -> None:
        distinct, place = np.unique(np.array(values, dtype=np.float64), return_inverse=True)
        self.place = place.reshape(-1)
        self.order = np.argsort(self.place, kind="stable")
        self.starts = np.searchsorted(self.place[self.order], np.arange(len(distinct)))

    def mean_ranks(self, weights: Weights) -> NDArray[np.float64]:
        """Mean rank of each item among the drawn ones, shape (draws, items): all of one value share theirs."""
        counts = np.add.reduceat(weights[:, self.order], self.starts, axis=1)
        ranks: NDArray[np.float64] = (np.cumsum(counts, axis=1) - counts / 2)[:, self.place]
        return ranks


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64], weights: Weights) -> NDArray[np.float64]:
    """Pearson's correlation of weighted items, shape (draws,); NaN where either never varies."""
    n = weights.sum(axis=1, keepdims=True)
    a = a - (weights * a).sum(axis=1, keepdims=True) / n
    b = b - (weights * b).sum(axis=1, keepdims=True) / n
    spread = np.sqrt((weights * a**2).sum(axis=1) * (weights * b**2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > _NOTHING, (weights * a * b).sum(axis=1) / spread, np.nan)
