"""Rank correlation and kappa against scipy and scikit-learn, and the bootstrap behind their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

from persbench.scoring.association import cohen_kappa, spearman
from persbench.scoring.resampling import percentiles, weighted_draws, weighted_interval

SMALL = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=30)


@settings(deadline=None, max_examples=60)
@given(SMALL)
def test_spearman_is_scipys(pairs: list[tuple[int, int]]) -> None:
    a, b = [float(x) for x, _ in pairs], [float(y) for _, y in pairs]
    found = spearman(a, b, list(range(len(pairs))), draws=50)
    if len(set(a)) == 1 or len(set(b)) == 1:
        assert found.mean is None
    else:
        assert found.mean == pytest.approx(spearmanr(a, b).statistic)


@settings(deadline=None, max_examples=60)
@given(SMALL)
def test_kappa_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    a, b = [f"label {x}" for x, _ in pairs], [f"label {y}" for _, y in pairs]
    found = cohen_kappa(a, b, list(range(len(pairs))), draws=50)
    if len({*a, *b}) == 1:
        assert found.mean is None
    else:
        assert found.mean == pytest.approx(cohen_kappa_score(a, b))


def test_unscored_items_are_counted_and_change_nothing_else() -> None:
    a, b, clusters = [1.0, 2.0, 3.0, 5.0], [2.0, 1.0, 4.0, 9.0], ["p", "q", "r", "s"]
    plain = spearman(a, b, clusters)
    more = spearman([*a, None, 7.0, None], [*b, 1.0, None, None], [*clusters, "t", "u", "v"])
    assert more.unscored == 3
    assert (more.mean, more.low, more.high, more.n) == (plain.mean, plain.low, plain.high, 4)
    nothing = cohen_kappa([None], ["x"], ["p"])
    assert (nothing.mean, nothing.n, nothing.unscored) == (None, 0, 1)


def test_intervals_draw_whole_clusters() -> None:
    rng = np.random.default_rng(5)
    a = rng.normal(size=80)
    b = 0.7 * a + rng.normal(size=80)
    own = spearman(list(a), list(b), list(range(80)))
    twice = spearman([*a, *a], [*b, *b], [*range(80), *range(80)])
    assert own.low is not None
    assert own.high is not None
    assert own.mean is not None
    assert own.low < own.mean < own.high
    # The same items twice in the same clusters tell nothing new.
    assert twice.low == pytest.approx(own.low)
    assert twice.high == pytest.approx(own.high)
    apart = spearman([*a, *a], [*b, *b], list(range(160)))
    assert apart.low is not None
    assert apart.low > own.low
    assert spearman(list(a), list(b), ["one"] * 80).low is None


def test_the_bootstrap_of_a_mean_is_as_wide_as_theory_says() -> None:
    values = np.array([0.0, 1.0] * 50)

    def mean(weights: np.ndarray) -> np.ndarray:
        return np.asarray(weights @ values / weights.sum(axis=1))

    low, high = weighted_interval(mean, list(range(100)), draws=4000) or (0.0, 0.0)
    assert (high - low) / 2 == pytest.approx(1.96 * 0.05, rel=0.08)


def test_draws_do_not_depend_on_the_order_of_items() -> None:
    values = {"p": 1.0, "q": 5.0, "r": 2.0}

    def interval(names: list[str]) -> tuple[float, float] | None:
        own = np.array([values[name] for name in names])
        return weighted_interval(lambda weights: np.asarray(weights @ own / weights.sum(axis=1)), names)

    assert interval(["p", "q", "r"]) == pytest.approx(interval(["r", "p", "q"]))


def test_draws_without_a_value_leave_no_interval_where_they_are_many() -> None:
    assert percentiles(np.array([1.0, np.nan, 2.0, 3.0])) is None
    assert percentiles(np.array([1.0] * 98 + [np.nan] * 2)) == (1.0, 1.0)
    assert weighted_draws(lambda weights: weights, ["one", "one"]).shape == (0, 0)


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="one an item"):
        spearman([1.0], [1.0, 2.0], ["p"])
    with pytest.raises(ValueError, match="not finite"):
        spearman([float("nan"), 1.0], [1.0, 2.0], ["p", "q"])
    with pytest.raises(ValueError, match="at least one draw"):
        weighted_interval(lambda weights: weights[:, 0], ["p", "q"], draws=0)
    with pytest.raises(ValueError, match="confidence"):
        percentiles(np.array([1.0]), 1.0)
