from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persbench.scoring import stats
from persbench.scoring.stats import Interval, bonferroni, cluster_interval

if TYPE_CHECKING:
    import random

ITEMS = st.lists(
    st.tuples(st.sampled_from([0.0, 1 / 3, 0.5, 1.0, -2.7]), st.sampled_from(["q1", "q2", "q3", "q4"])),
    min_size=1,
    max_size=20,
)


def _interval(items: list[tuple[float | None, str]]) -> Interval:
    return cluster_interval([value for value, _ in items], [cluster for _, cluster in items], resamples=200)


def _ends(interval: Interval) -> tuple[float, float]:
    assert interval.low is not None
    assert interval.high is not None
    return interval.low, interval.high


def test_interval_by_enumeration() -> None:
    # three clusters with means 0, 1/2, 1 have 27 equally likely resamples, whose sums 0, 1/2, ..., 3 stand
    # 1 3 6 7 6 3 1 times; the 10% quantile is the second sum (cumulative 4/27 = 0.148), so 1/6, and likewise 5/6
    interval = cluster_interval([0.0, 0.0, 0.0, 1.0, 1.0, 1.0], ["a", "a", "b", "b", "c", "c"], confidence=0.8)
    assert interval.mean == 0.5
    assert interval.low == pytest.approx(1 / 6)
    assert interval.high == pytest.approx(5 / 6)
    assert (interval.n, interval.clusters, interval.unscored) == (6, 3, 0)


def test_interval_agrees_with_the_normal_one_where_that_holds() -> None:
    # 400 single items, half of them 1: standard error 0.5 / 20 = 0.025, so 0.5 +- 0.049
    interval = cluster_interval([0.0, 1.0] * 200, range(400))
    assert _ends(interval) == pytest.approx((0.451, 0.549), abs=0.004)


def test_repeating_every_item_of_a_question_tells_nothing_new() -> None:
    values = [0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0]
    once = cluster_interval(values, range(8))
    tenfold = cluster_interval(values * 10, [*range(8)] * 10)
    as_if_independent = cluster_interval(values * 10, range(80))
    assert _ends(tenfold) == pytest.approx(_ends(once))
    assert np.ptp(_ends(as_if_independent)) < 0.5 * np.ptp(_ends(once))


def test_unequal_clusters_weigh_by_items() -> None:
    values, clusters = [1.0] * 9 + [0.0] * 3 + [0.5], ["a"] * 9 + ["b"] * 3 + ["c"]
    interval = cluster_interval(values, clusters)
    assert interval.mean == pytest.approx(9.5 / 13)
    # the same bootstrap written out in numpy, with draws of its own
    totals, counts = np.array([9.0, 0.0, 0.5]), np.array([9, 3, 1])
    drawn = np.random.default_rng(1).integers(0, 3, (200_000, 3))
    low, high = np.quantile(totals[drawn].sum(1) / counts[drawn].sum(1), [0.025, 0.975])
    assert _ends(interval) == pytest.approx((low, high), abs=0.01)


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values, clusters = [0.1, 0.9, 0.4, 0.4, 0.7], ["a", "b", "b", "c", "d"]
    whole = cluster_interval(values, clusters)
    monkeypatch.setattr(stats, "_CELLS", 28)  # 7 resamples at a time
    assert cluster_interval(values, clusters) == whole
    monkeypatch.setattr(stats, "_KEPT", 28)  # and none are kept
    assert cluster_interval(values, clusters) == whole


def test_nothing_scored_has_no_mean() -> None:
    assert cluster_interval([], []) == Interval(None, None, None, n=0, clusters=0, unscored=0)
    assert cluster_interval([None, None], ["a", "b"]) == Interval(None, None, None, n=0, clusters=0, unscored=2)


def test_one_cluster_has_a_mean_but_no_interval() -> None:
    assert cluster_interval([1.0], ["a"]) == Interval(1.0, None, None, n=1, clusters=1, unscored=0)
    assert cluster_interval([1.0, 0.0, None], ["a", "a", "b"]) == Interval(0.5, None, None, 2, clusters=1, unscored=1)


def test_no_variance_gives_a_point() -> None:
    interval = cluster_interval([1 / 3] * 7, [1, 1, 1, 2, 2, 3, 4])
    assert interval.mean == pytest.approx(1 / 3)
    assert interval.low == interval.high == interval.mean


def test_mistakes_are_refused() -> None:
    with pytest.raises(ValueError, match="1 values do not match 2 clusters"):
        cluster_interval([1.0], ["a", "b"])
    with pytest.raises(ValueError, match=r"nan in cluster 'a'.*must be None"):
        cluster_interval([float("nan")], ["a"])
    with pytest.raises(ValueError, match="confidence"):
        cluster_interval([1.0], ["a"], confidence=1.0)
    with pytest.raises(ValueError, match="resamples"):
        cluster_interval([1.0], ["a"], resamples=0)


@settings(deadline=None, max_examples=50)
@given(ITEMS, st.randoms(use_true_random=False))
def test_row_order_changes_nothing(items: list[tuple[float | None, str]], rng: random.Random) -> None:
    assert _interval(rng.sample(items, len(items))) == _interval(items)


@settings(deadline=None, max_examples=50)
@given(ITEMS, st.sampled_from(["q1", "new"]), st.integers(0, 20))
def test_an_unscored_item_is_counted_and_nothing_else(
    items: list[tuple[float | None, str]], cluster: str, place: int
) -> None:
    before, after = _interval(items), _interval([*items[:place], (None, cluster), *items[place:]])
    assert (after.mean, after.low, after.high, after.n) == (before.mean, before.low, before.high, before.n)
    assert (after.clusters, after.unscored) == (before.clusters, before.unscored + 1)


@settings(deadline=None, max_examples=50)
@given(ITEMS)
def test_wider_confidence_holds_the_narrower(items: list[tuple[float | None, str]]) -> None:
    values, clusters = [value for value, _ in items], [cluster for _, cluster in items]
    narrow = cluster_interval(values, clusters, resamples=200, confidence=0.8)
    wide = cluster_interval(values, clusters, resamples=200, confidence=0.99)
    if narrow.clusters > 1:
        assert _ends(wide)[0] <= _ends(narrow)[0] <= _ends(narrow)[1] <= _ends(wide)[1]


def test_bonferroni_by_hand() -> None:
    assert bonferroni(0.95, 10) == pytest.approx(0.995)
    assert bonferroni(0.95, 1) == pytest.approx(0.95)
    with pytest.raises(ValueError, match="comparisons >= 1"):
        bonferroni(0.95, 0)
    with pytest.raises(ValueError, match="0 < confidence < 1"):
        bonferroni(95, 3)
