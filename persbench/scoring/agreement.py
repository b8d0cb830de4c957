"""Whether raters agree: Krippendorff's alpha, for any number of raters and with missing ratings.

Computed here because the package of that name is under the GPL, and because all bootstrap draws are computed at once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from persbench.scoring.resampling import DRAWS, weighted_interval
from persbench.scoring.stats import SEED, Interval

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from persbench.scoring.resampling import Weights

Level = Literal["nominal", "ordinal", "interval"]
_NOTHING: Final = 1e-9


def krippendorff_alpha(
    ratings: Sequence[float | None],
    units: Sequence[Hashable],
    raters: Sequence[Hashable],
    *,
    level: Level = "ordinal",
    draws: int = DRAWS,
    seed: int = SEED,
) -> Interval:
    """Krippendorff's alpha: 1 - disagreement within units / disagreement among all ratings.

    1 is full agreement, 0 what ratings dealt out by chance would give. Disagreement of two ratings is 0 or 1 (nominal),
    the square of the ratings that stand between them (ordinal), or the squared difference (interval); a unit with a
    single rating says nothing (Krippendorff 2011, Computing Krippendorff's Alpha-Reliability).

    The interval draws whole raters. A rater drawn twice is not held against themselves: only ratings of two different
    raters make a pair, which for one draw of each is the formula as published.

    Args:
        ratings: One a rating, shape (ratings,), None where there is none.
        units: What was rated, shape (ratings,).
        raters: Who rated, shape (ratings,): strings, numbers or tuples of them.
        level: How ratings are measured.
        draws: Bootstrap draws over raters.
        seed: Of the draws.

    Returns:
        Alpha with its interval; `n` counts ratings in units with at least two, `clusters` their raters, `unscored`
        all other rows. None where no unit has two ratings or all ratings are alike.

    Raises:
        ValueError: Lengths differ, a rating is NaN or infinite, or a rater rates a unit twice.
    """
    if not len(ratings) == len(units) == len(raters):
        raise ValueError(f"{len(ratings)} ratings, {len(units)} units, {len(raters)} raters: there must be one each")
    rows = [
        (value, repr(unit), repr(rater))
        for value, unit, rater in zip(ratings, units, raters, strict=True)
        if value is not None
    ]
    if wrong := [value for value, _, _ in rows if not math.isfinite(value)]:
        raise ValueError(f"{wrong[0]}: what is not finite must be None, unscored")
    if len({row[1:] for row in rows}) < len(rows):
        raise ValueError("a rater rates a unit twice: give one rating each")
    times: dict[str, int] = {}
    for _, unit, _ in rows:
        times[unit] = times.get(unit, 0) + 1
    # A row order of its own, so that the order in which ratings come changes no bit.
    rows = sorted((row for row in rows if times[row[1]] > 1), key=lambda row: row[1:])
    clusters = [rater for _, _, rater in rows]
    unscored = len(ratings) - len(rows)
    if not rows:
        return Interval(None, None, None, 0, 0, unscored)
    table = _Table([value for value, _, _ in rows], [unit for _, unit, _ in rows], level)
    alpha = float(table.alphas(np.ones((1, len(rows))))[0])
    if not math.isfinite(alpha):
        return Interval(None, None, None, len(rows), len(set(clusters)), unscored)
    ends = weighted_interval(table.alphas, clusters, draws=draws, seed=seed)
    low, high = ends or (None, None)
    return Interval(alpha, low, high, len(rows), len(set(clusters)), unscored)


class _Table:
    """Ratings as the table of units and values that every draw weighs anew.

    Args:
        values: One a rating.
        units: Likewise.
        level: How ratings are measured.
    """

    def __init__(self, values: Sequence[float], units: Sequence[str], level: Level) -> None:
        self._points, column = np.unique(np.array(values, dtype=np.float64), return_inverse=True)
        names, row = np.unique(np.array(units), return_inverse=True)
        self._level = level
        self._units = np.eye(len(names))[row]
        self._values = np.eye(len(self._points))[column]

    def alphas(self, weights: Weights) -> NDArray[np.float64]:
        """Alpha of each draw, shape (draws,); NaN where no two raters share a unit, or nothing varies."""
        # Ratings of one rater are drawn together, so that the square of a weight is what pairs a rater with themselves.
        counts = np.einsum("di,iu,iv->duv", weights, self._units, self._values, optimize=True)
        mass = counts.sum(axis=2)
        pairs = mass**2 - weights**2 @ self._units
        # A rating in a unit of m counts for m, shared out over its pairs.
        share = np.divide(mass, pairs, out=np.zeros_like(mass), where=pairs > _NOTHING)
        used = np.where(pairs > _NOTHING, mass, 0.0)
        kept = counts * (pairs > _NOTHING)[:, :, None]
        totals = kept.sum(axis=1)
        apart = self._distances(totals)
        within = np.einsum("du,duv,duw,dvw->d", share, kept, kept, apart, optimize=True)
        among = np.einsum("dv,dw,dvw->d", totals, totals, apart, optimize=True)
        n = used.sum(axis=1)
        is_used = np.einsum("du,iu->di", (pairs > _NOTHING).astype(np.float64), self._units)
        possible = n**2 - (weights**2 * is_used).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(among > _NOTHING, 1 - (within / n) / (among / possible), np.nan)

    def _distances(self, totals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Squared distance of every two values, shape (draws, values, values)."""
        size = len(self._points)
        if self._level == "nominal":
            return np.broadcast_to(1 - np.eye(size), (len(totals), size, size))
        if self._level == "interval":
            apart = (self._points[:, None] - self._points[None, :]) ** 2
            return np.broadcast_to(apart, (len(totals), size, size))
        # Ratings up to the middle of each value: the difference is all that stands between, both ends at half.
        middle = np.cumsum(totals, axis=1) - totals / 2
        squared: NDArray[np.float64] = (middle[:, :, None] - middle[:, None, :]) ** 2
        return squared
