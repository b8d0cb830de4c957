from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test, sem

from persbench.scoring import comparison
from persbench.scoring.comparison import (
    Detectable,
    SignCount,
    holm,
    minimal_detectable_difference,
    paired_difference,
    permutation_p,
    sign_count,
)
from persbench.scoring.stats import Interval, cluster_interval

if TYPE_CHECKING:
    import random

SCORES = st.sampled_from([0.0, 0.1, 1 / 3, 1.0, -2.7, None])
ITEMS = st.lists(st.tuples(SCORES, SCORES, st.sampled_from(["q1", "q2", "q3", "q4"])), min_size=1, max_size=20)


def test_difference_is_the_cluster_interval_of_the_differences() -> None:
    a, b, clusters = [1.0, 0.0, None, 1.0, 0.5, 1.0], [0.0, 0.0, 1.0, None, 0.0, 0.5], ["x", "x", "x", "y", "y", "z"]
    result = paired_difference(a, b, clusters)
    assert result.interval.mean == pytest.approx(2 / 4)
    assert (result.interval.n, result.interval.clusters, result.interval.unscored) == (4, 3, 2)
    assert result.interval == cluster_interval([1.0, 0.0, None, None, 0.5, 0.5], clusters)
    # sums 1, 0.5, 0.5: of 8 sign vectors only +++ and --- reach 2
    assert result.p == 2 / 8


def test_confidence_and_resamples_are_passed_on() -> None:
    a, b = [0.9, 0.4, 0.7, 0.1], [0.2, 0.5, 0.1, 0.1]
    result = paired_difference(a, b, range(4), resamples=50, confidence=0.5, seed=3)
    differences = [x - y for x, y in zip(a, b, strict=True)]
    assert result.interval == cluster_interval(differences, range(4), resamples=50, confidence=0.5, seed=3)


def test_permutation_by_hand() -> None:
    # cluster sums 3, 1, -1 stand at |3|: of the 8 sums +-3+-1+-1, |5| and |3| (twice) reach it, |1| does not: 6 of 8.
    # Flipping the five items one by one would give another number.
    a, b, clusters = [1.0, 1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0], ["x", "x", "x", "y", "z"]
    assert permutation_p(a, b, clusters) == 6 / 8
    assert permutation_p(a, b, range(5)) == 12 / 32  # |5| twice and |3| ten times, of 32
    # two clusters can never say much
    assert permutation_p([1.0, 1.0], [0.0, 0.0], ["x", "y"]) == 2 / 4


def test_permutation_agrees_with_scipy_where_items_stand_alone() -> None:
    rng = np.random.default_rng(5)
    for shift in (0.0, 0.5, 1.0):
        a, b = rng.normal(shift, 1, 11), rng.normal(0, 1, 11)
        scipy_p = permutation_test((a, b), lambda x, y: np.mean(x - y), permutation_type="samples").pvalue
        assert permutation_p(a.tolist(), b.tolist(), range(11)) == pytest.approx(scipy_p, abs=1e-12)


def test_drawn_permutations_come_near_the_exact_ones() -> None:
    rng = np.random.default_rng(6)
    a, b = rng.normal(0.4, 1, 13).tolist(), rng.normal(0, 1, 13).tolist()
    exact = permutation_p(a, b, range(13))
    drawn = permutation_p(a, b, range(13), draws=8_000)  # 2^13 = 8192 are not counted one by one
    assert exact is not None
    assert exact * 2**13 == int(exact * 2**13)
    assert drawn == pytest.approx(exact, abs=4 * math.sqrt(exact / 8_000))
    assert drawn != exact


def test_drawn_p_is_never_zero_and_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert permutation_p([1.0] * 40, [0.0] * 40, range(40), draws=99) == 1 / 100
    a, b = [0.1 * (i % 7) for i in range(40)], [0.1 * (i % 5) for i in range(40)]
    whole = permutation_p(a, b, range(40))
    assert permutation_p(a[::-1], b[::-1], range(40)) == whole
    monkeypatch.setattr(comparison, "_CELLS", 280)  # 7 draws at a time
    assert permutation_p(a, b, range(40)) == whole


def test_ties_by_rounding_are_ties() -> None:
    # in decimals the sums are 0.1, 0.2 and -0.3, and stand at 0: each of the 8 reaches that
    assert permutation_p([0.1, 0.2, 0.0], [0.0, 0.0, 0.3], range(3)) == 1.0
    # 0.3, 0.1, 0.2, -0.3 stand at 0.3: of the 16 sums |0.9|, |0.7|, |0.5| (twice each) and |0.3| (6 times) reach it,
    # |0.1| (4 times) does not
    assert permutation_p([0.3, 0.1, 0.2, 0.0], [0.0, 0.0, 0.0, 0.3], range(4)) == 12 / 16
    # 0.1 + 0.2 and 0.3 differ by rounding alone: with nothing left to flip, p is 1
    assert permutation_p([0.1 + 0.2, 0.5], [0.3, 0.5], range(2)) == 1.0


def test_clusters_without_a_difference_leave_the_count_exact() -> None:
    a, b = [1.0, 1.0, 1.0, *[0.5] * 100], [0.0, 0.0, 0.0, *[0.5] * 100]
    assert permutation_p(a, b, range(103)) == 2 / 8


def test_nothing_to_compare() -> None:
    empty = paired_difference([], [], [])
    assert (empty.interval, empty.p) == (Interval(None, None, None, 0, 0, unscored=0), None)
    none = paired_difference([None, 1.0], [1.0, None], ["x", "y"])
    assert (none.interval, none.p) == (Interval(None, None, None, 0, 0, unscored=2), None)
    one_item = paired_difference([1.0], [0.25], ["x"])
    assert (one_item.interval, one_item.p) == (Interval(0.75, None, None, 1, 1, unscored=0), None)
    one_cluster = paired_difference([1.0, 1.0, None], [0.0, 1.0, 0.0], ["x", "x", "y"])
    assert (one_cluster.interval, one_cluster.p) == (Interval(0.5, None, None, 2, 1, unscored=1), None)


def test_no_difference_at_all() -> None:
    scores = [1 / 3, 0.1, -2.7, 0.7, None]
    same = paired_difference(scores, scores, ["x", "x", "y", "z", "z"])
    assert (same.interval, same.p) == (Interval(0.0, 0.0, 0.0, 4, 3, unscored=1), 1.0)


def test_mistakes_are_refused() -> None:
    nan = float("nan")
    with pytest.raises(ValueError, match="2 scores of a do not match 1 of b"):
        paired_difference([1.0, 1.0], [1.0], ["x", "y"])
    with pytest.raises(ValueError, match="1 values do not match 2 clusters"):
        permutation_p([1.0], [1.0], ["x", "y"])
    with pytest.raises(ValueError, match="1 values do not match 2 clusters"):
        minimal_detectable_difference([1.0], ["x", "y"])
    with pytest.raises(ValueError, match="nan at place 1 of b"):  # though its partner is unscored
        permutation_p([1.0, None], [1.0, nan], ["x", "y"])
    with pytest.raises(ValueError, match="inf at place 0 of a"):
        paired_difference([math.inf], [1.0], ["x"])
    with pytest.raises(ValueError, match="nan at place 0 of values"):
        minimal_detectable_difference([nan], ["x"])
    with pytest.raises(ValueError, match="nan at place 0 of differences"):
        sign_count([nan])
    with pytest.raises(ValueError, match="nan at place 0 of overall"):
        sign_count([1.0], nan)
    with pytest.raises(ValueError, match="draws >= 1"):
        permutation_p([1.0], [1.0], ["x"], draws=0)
    for wrong in (nan, -0.1, 1.1):
        with pytest.raises(ValueError, match="at place 1: it must lie between 0 and 1"):
            holm([0.5, wrong])
    for settings_ in ({"alpha": 0.0}, {"power": 1.0}, {"comparisons": 0}):
        with pytest.raises(ValueError, match="need alpha and power"):
            minimal_detectable_difference([1.0], ["x"], **settings_)


@settings(deadline=None, max_examples=50)
@given(ITEMS, st.randoms(use_true_random=False), st.sampled_from([5, 1000]))
def test_row_order_changes_nothing(
    items: list[tuple[float | None, float | None, str]], rng: random.Random, draws: int
) -> None:
    a, b, clusters = zip(*items, strict=True)
    a2, b2, clusters2 = zip(*rng.sample(items, len(items)), strict=True)
    assert paired_difference(a2, b2, clusters2, resamples=draws) == paired_difference(a, b, clusters, resamples=draws)
    assert minimal_detectable_difference(a2, clusters2) == minimal_detectable_difference(a, clusters)
    # nor does it matter which system is called a
    p = permutation_p(a, b, clusters, draws=draws)
    assert permutation_p(b, a, clusters, draws=draws) == p
    assert p is None or 0 < p <= 1


def test_holm_by_hand() -> None:
    # 4 x 0.005, 3 x 0.01, 2 x 0.03, and 0.04 once, lifted to the 0.06 before it
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.02, 0.02]) == pytest.approx([0.04, 0.04])
    assert holm([0.6, 0.9]) == [1.0, 1.0]


def test_an_untested_comparison_does_not_count_for_holm() -> None:
    assert holm([None, 0.02, None, 0.01]) == [None, 0.02, None, 0.02]
    assert holm([None]) == [None]
    assert holm([]) == []


@given(st.lists(st.none() | st.floats(0, 1), max_size=12))
def test_holm_keeps_the_order_and_never_lowers(p_values: list[float | None]) -> None:
    adjusted = holm(p_values)
    assert [p is None for p in adjusted] == [p is None for p in p_values]
    pairs = sorted((p, q) for p, q in zip(p_values, adjusted, strict=True) if p is not None and q is not None)
    assert all(p <= q <= min(1.0, len(pairs) * p) for p, q in pairs)
    assert all(low <= high for (_, low), (_, high) in itertools.pairwise(pairs))


def test_signs_by_hand() -> None:
    assert sign_count([0.1, 0.2, 0.3, 0.1, 0.4, -0.1]) == SignCount(5, 1, zero=0, unscored=0, same=5)
    assert sign_count([0.1, 0.2, 0.3, 0.1, 0.4, -0.1]).text == "5/6"
    assert sign_count([-0.1, -0.2, 0.0, -0.2]).text == "3/4"
    # five small losses do not support one large gain
    assert sign_count([-0.1, -0.1, -0.1, -0.1, -0.1, 2.0]).text == "1/6"
    assert sign_count([-0.1, -0.1, -0.1, -0.1, -0.1, 2.0], overall=-0.01).text == "5/6"


def test_thirds_that_cancel_have_no_sign() -> None:
    gap = sum([-1, 1 / 3, 1 / 3, 1 / 3]) / 4
    assert gap != 0
    assert sign_count([gap, 1.0, 1.0]) == SignCount(2, 0, 1, 0, 2)


def test_signs_without_a_difference() -> None:
    assert sign_count([0.1, None, 0.3]) == SignCount(2, 0, zero=0, unscored=1, same=2)
    assert sign_count([0.1, None, 0.3]).text == "2/2 (1 unscored)"
    assert sign_count([0.0, 0.0]) == SignCount(0, 0, zero=2, unscored=0, same=0)
    assert sign_count([None, None]).text == "0/0 (2 unscored)"
    assert sign_count([]).text == "0/0"


def test_detectable_by_hand() -> None:
    # sums 2, 1, 0 of 2, 1, 1 items, mean 3/4: (0.5^2 + 0.25^2 + 0.75^2) * 3/2 = 1.3125, root by 4 items
    result = minimal_detectable_difference([1.0, 1.0, 1.0, 0.0, None], ["x", "x", "y", "z", "z"])
    error = math.sqrt(1.3125) / 4
    assert result.standard_error == pytest.approx(error)
    assert result.difference == pytest.approx((1.959964 + 0.841621) * error, rel=1e-6)
    assert (result.n, result.clusters, result.unscored) == (4, 3, 1)


def test_detectable_of_single_items_is_the_usual_one() -> None:
    values = np.random.default_rng(7).normal(0.2, 1, 50)
    result = minimal_detectable_difference(values.tolist(), range(50))
    assert result.standard_error == pytest.approx(sem(values))
    assert result.difference == pytest.approx(2.801585 * sem(values), rel=1e-6)
    # ten comparisons, power 0.9: z[0.9975] + z[0.9]
    strict = minimal_detectable_difference(values.tolist(), range(50), power=0.9, comparisons=10)
    assert strict.difference == pytest.approx((2.807034 + 1.281552) * sem(values), rel=1e-6)


def test_detectable_edges() -> None:
    assert minimal_detectable_difference([], []) == Detectable(None, None, 0, 0, unscored=0)
    assert minimal_detectable_difference([None], ["x"]) == Detectable(None, None, 0, 0, unscored=1)
    assert minimal_detectable_difference([0.5, 1.0], ["x", "x"]) == Detectable(None, None, 2, 1, unscored=0)
    assert minimal_detectable_difference([0.0] * 4, [1, 1, 2, 3]) == Detectable(0.0, 0.0, 4, 3, unscored=0)


def test_a_detectable_difference_is_found_four_times_in_five() -> None:
    rng = np.random.default_rng(8)
    clusters = [k for k in range(40) for _ in range(1 + k % 4)]  # 100 items

    def draw() -> list[float]:
        # items of a cluster share a part
        values: list[float] = (rng.normal(size=40)[clusters] + rng.normal(size=100)).tolist()
        return values

    def found(shift: float) -> float:
        ps = [permutation_p([x + shift for x in draw()], [0.0] * 100, clusters, draws=499) for _ in range(400)]
        return sum(p is not None and p <= 0.05 for p in ps) / 400

    sizes = [minimal_detectable_difference(draw(), clusters).difference or 0.0 for _ in range(200)]
    shift = sum(sizes) / 200
    # one standard error of the share is 0.02 here and 0.011 there
    assert found(shift) == pytest.approx(0.8, abs=0.06)
    assert found(0.0) == pytest.approx(0.05, abs=0.03)
    # taking items for independent would promise too much
    alone = minimal_detectable_difference(draw(), range(100)).difference
    assert alone is not None
    assert found(alone) < 0.7
