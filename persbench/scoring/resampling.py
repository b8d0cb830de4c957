"""The cluster bootstrap for numbers that are no mean over items: agreement, correlation, strengths.

Means have `stats.cluster_interval`. Here the clusters drawn become weights of the items, and a statistic of weighted
items is computed for all draws at once (Davison and Hinkley 1997, 3.8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from persbench.scoring.stats import SEED

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from numpy.typing import NDArray

    Weights = NDArray[np.float64]
    Statistic = Callable[[Weights], NDArray[np.float64]]

DRAWS = 2_000
MOST_UNDEFINED = 0.05
"""Share of draws without a value above which there is no interval."""
_CELLS = 2_000_000


def weighted_interval(
    statistic: Statistic,
    clusters: Sequence[Hashable],
    *,
    draws: int = DRAWS,
    confidence: float = 0.95,
    seed: int = SEED,
) -> tuple[float, float] | None:
    """Percentile interval of a statistic over clusters drawn with replacement.

    Args:
        statistic: Weights of shape (draws, items), how often each item was drawn, to values of shape (draws,); NaN
            where a draw gives none.
        clusters: The cluster of each item, shape (items,): strings, numbers or tuples of them.
        draws: Bootstrap draws.
        confidence: Coverage, between 0 and 1.
        seed: The same seed draws the same clusters, whatever the order of the items.

    Returns:
        Both ends; None with fewer than two clusters, or where over `MOST_UNDEFINED` of the draws have no value.

    Raises:
        ValueError: `draws` is below 1 or `confidence` is out of range.
    """
    values = weighted_draws(lambda weights: statistic(weights)[:, None], clusters, draws=draws, seed=seed)
    return percentiles(values[:, 0], confidence) if values.size else None


def weighted_draws(
    statistics: Statistic, clusters: Sequence[Hashable], *, draws: int = DRAWS, seed: int = SEED
) -> NDArray[np.float64]:
    """Several statistics of the same draws.

    Args:
        statistics: As of `weighted_interval`, to values of shape (draws, statistics).
        clusters: Likewise.
        draws: Likewise.
        seed: Likewise.

    Returns:
        Shape (draws, statistics); (0, 0) with fewer than two clusters, where nothing tells a spread.

    Raises:
        ValueError: `draws` is below 1.
    """
    if draws < 1:
        raise ValueError(f"need at least one draw, not {draws}")
    names = sorted(set(map(repr, clusters)))
    if len(names) <= 1:
        return np.zeros((0, 0))
    place = {name: i for i, name in enumerate(names)}
    of_item = np.array([place[repr(cluster)] for cluster in clusters])
    rng = np.random.default_rng(seed)
    even = np.full(len(names), 1 / len(names))
    batch = max(1, _CELLS // max(len(of_item), 1))
    parts = []
    for start in range(0, draws, batch):
        drawn = rng.multinomial(len(names), even, size=min(batch, draws - start))
        parts.append(statistics(drawn[:, of_item].astype(np.float64)))
    return np.concatenate(parts)


def percentiles(values: NDArray[np.float64], confidence: float = 0.95) -> tuple[float, float] | None:
    """Both ends of the middle `confidence` of the values, NaN left out; None where too many are.

    Raises:
        ValueError: `confidence` is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"need 0 < confidence < 1, not {confidence}")
    known = values[np.isfinite(values)]
    if not known.size or known.size < (1 - MOST_UNDEFINED) * values.size:
        return None
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
