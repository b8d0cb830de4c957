from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress

from persbench.scoring.consistency import (
    Kappa,
    Share,
    all_own,
    drift,
    fleiss_kappa,
    number_of_flips,
    own_lead,
    share_consistent,
    slope,
    turn_of_flip,
)

T, F = True, False
DEPTHS = [1, 4, 8]
TURNS = st.lists(st.sampled_from([True, False, None]), max_size=9)
# the worked example of Wikipedia's "Fleiss' kappa": 10 subjects, 14 raters, counts of 5 categories
WIKIPEDIA = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]


def near(number: float) -> Any:
    return pytest.approx(number)


@pytest.mark.parametrize(
    ("seq", "turn", "flips"),
    [
        # the design's three
        ([T, None, F], None, None),
        ([T, F, None], 1, 1),
        ([None, None, None], None, None),
        # no False and none unscored: the number of True
        ([T, T, T], 3, 0),
        ([T], 1, None),
        # the first turn is the flip, and nothing later changes that
        ([F, T, T], 0, 1),
        ([F, None, None], 0, None),
        ([F], 0, None),
        # no False, one unscored: it might be the flip, wherever it stands
        ([T, T, None], None, 0),
        ([None, T, T], None, 0),
        # unscored before the first False, and after it
        ([None, F, F], None, 0),
        ([T, T, F, None, T], 2, 1),
        # there and back counts twice; across a gap nothing is counted
        ([T, F, T, F, F], 1, 3),
        ([T, T, None, F, F], None, 0),
        ([T, None, F, T], None, 1),
        # no turn: neither upheld for 0 turns nor free of flips
        ([], None, None),
    ],
)
def test_flips(seq: list[bool | None], turn: int | None, flips: int | None) -> None:
    assert turn_of_flip(seq) == turn
    assert number_of_flips(seq) == flips


@given(TURNS)
def test_turn_of_flip_is_what_every_completion_agrees_on(seq: list[bool | None]) -> None:
    """An unscored turn is truly open: the result is known exactly when filling the gaps either way gives the same."""
    filled = [[fill if turn is None else turn for turn in seq] for fill in (True, False)]
    ends = {turn_of_flip(turns) for turns in filled}
    assert turn_of_flip(seq) == (ends.pop() if len(ends) == 1 else None)


@given(TURNS)
def test_flips_read_backwards_or_inverted_are_as_many(seq: list[bool | None]) -> None:
    assert number_of_flips(seq) == number_of_flips(seq[::-1])
    assert number_of_flips(seq) == number_of_flips([None if turn is None else not turn for turn in seq])


@pytest.mark.parametrize(
    ("probes", "value"),
    [
        ([T, T, T], 1.0),
        ([T, F, T], 0.0),
        ([F, F, F], 0.0),
        ([F, None, T], None),  # it can be lost, and could not be won
        ([T, T, None], None),
        ([None, None, None], None),
        ([T], 1.0),
        ([F], 0.0),
        ([], None),
    ],
)
def test_all_own(probes: list[bool | None], value: float | None) -> None:
    assert all_own(probes) == value


def test_kappa_of_the_textbook() -> None:
    # row agreements sum to 3.780, P = 0.378; shares of labels 20, 28, 39, 21, 32 of 140 give Pe = 0.213
    table = [[label for label, count in enumerate(row) for _ in range(count)] for row in WIKIPEDIA]
    kappa = fleiss_kappa(table)
    assert kappa == Kappa(near(0.20993070442195522), 10, 0)
    assert kappa.value is not None
    assert f"{kappa.value:.3f}" == "0.210"


def test_kappa_by_hand() -> None:
    # agreeing pairs 1/3, 1/3 and 1: P = 5/9; a six times, b three times: Pe = 4/9 + 1/9 = 5/9
    assert fleiss_kappa(["aab", "abb", "aaa"]).value == pytest.approx(0.0)
    # P = 0, Pe = 1/2: two raters who always differ
    assert fleiss_kappa(["ab", "ba"]).value == -1.0
    # P = 1, Pe = 1/2: two stances, each held throughout
    assert fleiss_kappa(["aaa", "bbb"]).value == 1.0


def test_a_constant_answer_has_no_kappa() -> None:
    assert fleiss_kappa([["x"] * 3] * 5) == Kappa(None, 5, 0)
    assert fleiss_kappa([["x"] * 7] * 3) == Kappa(None, 3, 0)


def test_kappa_drops_incomplete_rows_and_counts_them() -> None:
    rows: list[list[str | None]] = [["a", "a"], ["b", "b"], ["a", None], [None, None]]
    assert fleiss_kappa(rows) == Kappa(1.0, 2, 2)
    assert fleiss_kappa(rows[2:]) == Kappa(None, 0, 2)
    # one row alone is its own base rate: P = 1/3, Pe = 5/9
    assert fleiss_kappa([["a", "a", "b"]]) == Kappa(near((1 / 3 - 5 / 9) / (4 / 9)), 1, 0)


def test_kappa_undefined_or_refused() -> None:
    assert fleiss_kappa([]) == Kappa(None, 0, 0)
    assert fleiss_kappa([["a"], ["b"]]) == Kappa(None, 2, 0)  # one rater agrees with nobody
    with pytest.raises(ValueError, match="rows of 2 to 3 labels"):
        fleiss_kappa([["a", "b"], ["a", "b", "a"]])


def test_own_lead_by_hand() -> None:
    assert own_lead([-1.0, -1.5, -2.0, -2.5], 0) == 1.0
    assert own_lead([-1.0, -1.5, -2.0, -2.5], 3) == -1.0
    assert own_lead([-1.0, -1.0], 1) == 0.0


@pytest.mark.parametrize("missing", [None, math.nan, -math.inf])
def test_own_lead_unscored(missing: float | None) -> None:
    assert own_lead([-1.0, missing, -2.0], 0) is None
    assert own_lead([missing, -1.0, -2.0], 0) is None
    assert own_lead([-1.0], 0) is None


@pytest.mark.parametrize("own", [-1, 2])
def test_own_lead_refuses_an_index_outside(own: int) -> None:
    with pytest.raises(ValueError, match="not among the 2 scores"):
        own_lead([-1.0, -2.0], own)


def test_slope_by_hand() -> None:
    # deviations of depth -10/3, -1/3, 11/3 with squares 74/3; of value 1, 0, -1: sum of products -7
    assert slope(DEPTHS, [3.0, 2.0, 1.0]) == pytest.approx(-21 / 74)
    assert slope(DEPTHS, [2.0, 2.0, 2.0]) == 0.0
    assert slope([1, 4, 8], [5.0, None, -2.0]) == -1.0


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(-5, 5)), min_size=2, max_size=8))
def test_slope_agrees_with_scipy_and_numpy(points: list[tuple[int, float]]) -> None:
    depths, values = zip(*points, strict=True)
    found = slope(depths, values)
    if len(set(depths)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(linregress(depths, values).slope, abs=1e-9)
        assert found == pytest.approx(np.polyfit(depths, values, 1)[0], abs=1e-9)


@pytest.mark.parametrize(
    ("depths", "values"),
    [([], []), ([1], [2.0]), (DEPTHS, [None] * 3), (DEPTHS, [1.0, None, math.nan]), ([4, 4, 8], [1.0, 2.0, None])],
)
def test_slope_needs_two_scored_depths(depths: list[int], values: list[float | None]) -> None:
    assert slope(depths, values) is None


def test_drift_by_hand() -> None:
    leads, anchor = [0.9, 0.5, 0.1], [0.0, 0.1, -0.2]
    expected = linregress(DEPTHS, leads).slope - linregress(DEPTHS, anchor).slope
    assert drift(DEPTHS, leads, anchor) == pytest.approx(expected)
    # a persona that only follows what the talk does to everyone has not drifted
    assert drift(DEPTHS, [0.5, 0.75, 0.25], [0.0, 0.25, -0.25]) == 0.0


def test_drift_compares_the_same_depths() -> None:
    # without depth 4 on both sides, its jump in the anchor alone would pass for drift
    assert drift(DEPTHS, [1.0, None, 1.0], [0.0, 9.0, 0.0]) == 0.0
    assert drift(DEPTHS, [1.0, None, 1.0], [0.0, 9.0, None]) is None
    assert drift(DEPTHS, [None] * 3, [0.0] * 3) is None
    assert drift([], [], []) is None


def test_slope_and_drift_refuse_what_they_cannot_pair() -> None:
    with pytest.raises(ValueError, match="3 depths do not match 2 values"):
        slope(DEPTHS, [1.0, 2.0])
    with pytest.raises(ValueError, match="3 depths do not match 1 values"):
        drift(DEPTHS, [1.0, 2.0, 3.0], [0.0])


def test_share_consistent() -> None:
    # three lines give three pairs; the unreadable verdict is neither for nor against
    assert share_consistent([T, F, None]) == Share(0.5, 2, 1)
    assert share_consistent([T, T, T]) == Share(1.0, 3, 0)
    assert share_consistent([F]) == Share(0.0, 1, 0)
    assert share_consistent([None, None]) == Share(None, 0, 2)
    assert share_consistent([]) == Share(None, 0, 0)
