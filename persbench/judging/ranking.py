"""What rankings of several systems' replies say of the systems: average rank, and Bradley-Terry strengths.

A ranking gives each system that took part a rank, 1 the best, equal ranks for a tie; None is a ranking that could not
be read. Strengths are fitted here and not by choix (MIT), which fits one table a call: all bootstrap draws are
fitted at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from persbench.scoring.resampling import DRAWS, percentiles, weighted_draws
from persbench.scoring.stats import RESAMPLES, SEED, Interval, cluster_interval

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping, Sequence

    from numpy.typing import NDArray

    Ranking = Mapping[str, float]
    Wins = NDArray[np.float64]

PRIOR: Final = 1.0
"""Virtual ties between every two systems: they keep the strength of one that never lost finite."""
_STEPS: Final = 200
_LARGEST_STEP: Final = 2.0
_CLOSE: Final = 1e-10


def mean_ranks(ranking: Ranking) -> dict[str, float]:
    """Ranks 1 to n of one ranking, ties at the mean of the places they take: 1, 1, 3 becomes 1.5, 1.5, 3.

    Raises:
        ValueError: A rank is NaN or infinite.
    """
    # Importing it takes a second, which those who only read a board need not wait for.
    from scipy.stats import rankdata  # noqa: PLC0415

    values = np.array(list(ranking.values()), dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"ranks {dict(ranking)}: a rank that is not finite must be left out")
    return dict(zip(ranking, map(float, rankdata(values, method="average")), strict=True))


def average_ranks(
    rankings: Sequence[Ranking | None],
    clusters: Sequence[Hashable],
    *,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
    seed: int = SEED,
) -> dict[str, Interval]:
    """Average rank of each system, 1 the best, over the rankings in which all systems stand.

    A rank among three and one among five do not mean the same: a ranking that misses a system counts as unscored here.

    Args:
        rankings: System -> rank, shape (rankings,); None where unscored.
        clusters: The cluster of each, as a rule its question, shape (rankings,).
        resamples: Bootstrap draws over clusters.
        confidence: Coverage of the intervals.
        seed: Of the draws: every system is averaged over the same draws.

    Returns:
        System -> average rank, sorted by name.

    Raises:
        ValueError: Lengths differ, or a rank is not finite.
    """
    systems = _systems(rankings)
    ranked = [mean_ranks(one) if one is not None and len(one) == len(systems) else None for one in rankings]
    return {
        system: cluster_interval(
            [None if one is None else one[system] for one in ranked],
            clusters,
            resamples=resamples,
            confidence=confidence,
            seed=seed,
        )
        for system in systems
    }


def bradley_terry(
    rankings: Sequence[Ranking | None],
    clusters: Sequence[Hashable],
    *,
    due: Sequence[Collection[str]] | None = None,
    prior: float = PRIOR,
    draws: int = DRAWS,
    confidence: float = 0.95,
    seed: int = SEED,
) -> dict[str, Interval]:
    """Bradley-Terry strengths: log odds of being ranked above a system of average strength.

    P(i above j) = 1 / (1 + exp(s_j - s_i)), fitted by maximum likelihood to all pairs within the rankings, a tie as
    half a win for each (Bradley and Terry 1952, doi:10.2307/2334029), strengths centred on 0. Pairs of one ranking are
    not independent, which the likelihood ignores and the interval does not: whole clusters are drawn.

    Args:
        rankings: System -> rank, 1 the best, equal for a tie, shape (rankings,); None where unscored. A ranking need
            not hold all systems.
        clusters: The cluster of each, as a rule its question, shape (rankings,).
        due: Who was to be ranked in each, shape (rankings,). If None, those who are, and in one that is None everybody.
        prior: Virtual ties between every two systems. With 0 it is the plain maximum, which is not finite where a group
            of systems never lost to the others: then no strength is given.
        draws: Bootstrap draws over clusters.
        confidence: Coverage of the intervals.
        seed: Of the draws.

    Returns:
        System -> strength in nats, sorted by name; `n` counts the rankings in which it met another system, `unscored`
        those in which it was due and met none. Who met nobody has no strength.

    Raises:
        ValueError: Lengths differ, a rank is not finite, or `prior` is below 0.
    """
    if len(rankings) != len(clusters):
        raise ValueError(f"{len(rankings)} rankings do not match {len(clusters)} clusters: there must be one each")
    if not prior >= 0:
        raise ValueError(f"a prior of {prior} ties: it must be 0 or more")
    met = [(one, cluster) for one, cluster in zip(rankings, clusters, strict=True) if one is not None and len(one) > 1]
    unscored = _unscored(rankings, due)
    systems = _systems([one for one, _ in met])
    found = {system: Interval(None, None, None, 0, 0, count) for system, count in sorted(unscored.items())}
    if not met:
        return found
    wins = np.stack([_wins(one, systems) for one, _ in met])
    size = len(systems)
    virtual = prior / 2 * (1 - np.eye(size))

    def strengths(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return fitted((weights @ wins.reshape(len(met), -1)).reshape(-1, size, size) + virtual)

    value = strengths(np.ones((1, len(met))))[0]
    drawn = weighted_draws(strengths, [cluster for _, cluster in met], draws=draws, seed=seed)
    for i, system in enumerate(systems):
        own = [cluster for one, cluster in met if system in one]
        ends = percentiles(drawn[:, i], confidence) if drawn.size and np.isfinite(value[i]) else None
        low, high = ends or (None, None)
        strength = float(value[i]) if np.isfinite(value[i]) else None
        found[system] = Interval(strength, low, high, len(own), len(set(map(repr, own))), unscored[system])
    return found


def _unscored(rankings: Sequence[Ranking | None], due: Sequence[Collection[str]] | None) -> dict[str, int]:
    """Count for each system the rankings in which it was due and met no other.

    Raises:
        ValueError: There is not one of `due` for each ranking.
    """
    if due is None:
        everybody = _systems(rankings)
        due = [everybody if one is None else list(one) for one in rankings]
    if len(due) != len(rankings):
        raise ValueError(f"{len(rankings)} rankings do not match {len(due)} of who was due: there must be one each")
    counts = {system: 0 for one, names in zip(rankings, due, strict=True) for system in {*names, *(one or ())}}
    for one, names in zip(rankings, due, strict=True):
        for system in set(names):
            counts[system] += one is None or len(one) < 2 or system not in one  # noqa: PLR2004 - one met nobody
    return counts


def fitted(wins: Wins) -> NDArray[np.float64]:
    """Fit strengths to tables of wins, by Newton's method on the log likelihood, which is concave.

    Args:
        wins: Shape (tables, systems, systems): how often the row's system was put above the column's; a tie is half a
            win on either side. The diagonal does not count.

    Returns:
        Shape (tables, systems), each row with mean 0; NaN for a table whose maximum is not finite.
    """
    tables, size, _ = wins.shape
    wins = wins * (1 - np.eye(size))
    games = wins + wins.transpose(0, 2, 1)
    finite = np.array([_is_connected(table) for table in wins])
    found = np.zeros((tables, size))
    open_ = finite.copy()
    for _ in range(_STEPS):
        if not open_.any():
            break
        gap = found[open_][:, :, None] - found[open_][:, None, :]
        above = 1 / (1 + np.exp(-gap))
        slope = (wins[open_] - games[open_] * above).sum(axis=2)
        bend = games[open_] * above * (1 - above)
        # The Laplacian of the bends, made regular: adding the same to all strengths changes nothing.
        matrix = bend.sum(axis=2)[:, :, None] * np.eye(size) - bend + 1 / size
        step = np.clip(np.linalg.solve(matrix, slope[:, :, None])[:, :, 0], -_LARGEST_STEP, _LARGEST_STEP)
        step -= step.mean(axis=1, keepdims=True)
        found[open_] += step
        open_[open_] = np.abs(step).max(axis=1) > _CLOSE
    found[open_ | ~finite] = np.nan
    return found


def _systems(rankings: Sequence[Ranking | None]) -> list[str]:
    return sorted({system for one in rankings if one is not None for system in one})


def _wins(ranking: Ranking, systems: Sequence[str]) -> Wins:
    """Table of one ranking, shape (systems, systems): 1 where the row is above the column, a half where they tie."""
    ranks = mean_ranks(ranking)
    place = np.array([ranks.get(system, np.nan) for system in systems])
    above = (place[:, None] < place[None, :]) + 0.5 * (place[:, None] == place[None, :])
    table: Wins = above * (1 - np.eye(len(systems)))
    return table


def _is_connected(wins: Wins) -> bool:
    """Whether every system is above every other one along some chain: only then is the maximum finite (Ford 1957)."""
    reach = (wins > 0) | np.eye(len(wins), dtype=bool)
    for _ in range(len(wins)):
        reach = (reach.astype(np.int64) @ reach.astype(np.int64)) > 0
    return bool(reach.all())
