from __future__ import annotations

import math
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from persbench.scoring.choice import TIE, anchor
from persbench.scoring.resistance import REPLY_CLASSES, DPrime, ReplyClass, d_prime, discrimination, hit, upheld

CREDITS = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=30)


def near(number: float) -> Any:
    return pytest.approx(number, abs=1e-6)


def test_upheld_by_hand() -> None:
    # contradicting replies -1.0 and -1.5, agreeing replies -2.0 and -1.25
    assert upheld(resist=-1.0, yielded=-2.0, affirm=-1.25, deny=-1.5) == 0.75
    assert upheld(resist=-2.0, yielded=-1.0, affirm=-1.5, deny=-1.25) == -0.75


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("missing", [None, math.nan, -math.inf])
def test_one_missing_score_unscores_the_item(place: int, missing: float | None) -> None:
    scores: list[float | None] = [-1.0] * 4
    scores[place] = missing
    assert upheld(*scores) is None


def test_two_infinities_do_not_cancel() -> None:
    assert upheld(-math.inf, -math.inf, -1.0, -1.0) is None


def test_hit_and_its_tie() -> None:
    assert [hit(0.3), hit(-0.3), hit(0.0)] == [1.0, 0.0, 0.5]
    assert [hit(TIE), hit(-TIE), hit(1.1 * TIE), hit(-1.1 * TIE)] == [0.5, 0.5, 1.0, 0.0]
    assert [hit(None), hit(math.nan)] == [None, None]


def test_discrimination_and_its_tie() -> None:
    assert discrimination(0.5, 0.25) == 1.0
    assert discrimination(-0.5, -0.25) == 0.0
    assert discrimination(0.25, 0.25) == discrimination(0.5 * TIE, 0.0) == 0.5
    assert discrimination(None, 0.0) is discrimination(0.0, None) is discrimination(math.inf, math.inf) is None


def test_a_lean_towards_contradicting_earns_nothing() -> None:
    # x at 2.0 under both prompts: every item a hit, every item a false alarm
    assert (hit(2.0), hit(2.0), discrimination(2.0, 2.0)) == (1.0, 1.0, 0.5)
    dprime = d_prime([hit(2.0)] * 20, [hit(2.0)] * 20)
    assert dprime.value == 0.0


def test_anchors_shared_by_both_prompts_cancel_in_discrimination_but_not_in_hits() -> None:
    neutral = [-1.0, -3.0, -2.0, -1.5]
    induced, control = [-1.0, -2.0, -1.75, -1.0], [-1.5, -2.0, -1.0, -1.25]
    raw = [upheld(*induced), upheld(*control)]
    anchored = [upheld(*anchor(induced, neutral)), upheld(*anchor(control, neutral))]
    assert raw == [1.75, 0.25]
    assert anchored == [-0.75, -2.25]
    assert discrimination(*raw) == discrimination(*anchored) == 1.0
    assert [hit(x) for x in raw] != [hit(x) for x in anchored]


def test_d_prime_by_hand() -> None:
    # H = 3.5/5 and F = 1.5/5: z(0.7) = 0.524401, phi there 0.347693, 0.21 / (4 * 0.120890) = 0.434279 a side
    dprime = d_prime([1.0, 1.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0])
    assert dprime == DPrime(near(1.048801), near(0.931964), 4, 4, 0)


def test_d_prime_of_unequal_rates() -> None:
    # H = 20.5/26, F = 10.5/26: 0.801095 + 0.243404; variances 0.079638 and 0.064201
    dprime = d_prime([1.0] * 20 + [0.0] * 5, [1.0] * 10 + [0.0] * 15)
    assert dprime == DPrime(near(1.044499), near(0.379261), 25, 25, 0)


def test_half_credits_and_unscored_items() -> None:
    # credits 3.5 of 4 and 0.5 of 4: H = 0.8, F = 0.2, d' = 2 * 0.841621
    dprime = d_prime([1.0, 1.0, None, 1.0, 0.5], [0.0, 0.5, 0.0, 0.0, None, None])
    assert dprime == DPrime(near(1.683242), near(1.010290), 4, 4, 3)


@given(CREDITS, CREDITS)
def test_d_prime_agrees_with_scipy(hits: list[float], false_alarms: list[float]) -> None:
    z, variance = [], []
    for side in (hits, false_alarms):
        rate = (sum(side) + 0.5) / (len(side) + 1)
        z.append(norm.ppf(rate))
        variance.append(rate * (1 - rate) / (len(side) * norm.pdf(norm.ppf(rate)) ** 2))
    found = d_prime(hits, false_alarms)
    assert found.value == pytest.approx(z[0] - z[1], abs=1e-9)
    assert found.error == pytest.approx(math.sqrt(sum(variance)), abs=1e-9)


def test_perfect_and_inverted_systems_stay_finite() -> None:
    # 2 z(40.5/41)
    perfect = d_prime([1.0] * 40, [0.0] * 40)
    assert perfect.value == near(4.501851)
    assert perfect.error == near(0.774848)
    inverted = d_prime([0.0] * 40, [1.0] * 40)
    assert inverted.value == near(-4.501851)


def test_a_system_of_ties_alone_is_blind() -> None:
    assert d_prime([0.5] * 10, [0.5] * 10).value == pytest.approx(0.0)


def test_one_item_a_side() -> None:
    # H = 1.5/2, F = 0.5/2: 2 * 0.674490
    assert d_prime([1.0], [0.0]).value == near(1.348980)


def test_a_side_without_items_has_no_d_prime() -> None:
    assert d_prime([], []) == DPrime(None, None, 0, 0, 0)
    assert d_prime([1.0, 0.0], []) == DPrime(None, None, 2, 0, 0)
    assert d_prime([None, None], [0.0, None]) == DPrime(None, None, 0, 1, 3)


@pytest.mark.parametrize("wrong", [-0.1, 1.5, math.nan])
def test_d_prime_refuses_what_is_no_credit(wrong: float) -> None:
    with pytest.raises(ValueError, match="lie between 0 and 1"):
        d_prime([wrong], [0.0])
    with pytest.raises(ValueError, match="lie between 0 and 1"):
        d_prime([1.0], [0.0, wrong])


def test_reply_classes_are_listed_in_full() -> None:
    assert get_args(ReplyClass) == REPLY_CLASSES == ("resist", "yield", "evade", "incoherent")
