"""Average ranks and Bradley-Terry strengths against tables worked out by hand, and against scipy's optimiser."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from persbench.judging.ranking import average_ranks, bradley_terry, fitted, mean_ranks


def test_ties_share_the_mean_of_the_places_they_take() -> None:
    assert mean_ranks({"a": 1, "b": 1, "c": 3}) == {"a": 1.5, "b": 1.5, "c": 3.0}
    assert mean_ranks({"a": 2, "b": 1, "c": 2, "d": 2}) == {"a": 3.0, "b": 1.0, "c": 3.0, "d": 3.0}
    with pytest.raises(ValueError, match="not finite"):
        mean_ranks({"a": math.nan})


def test_average_ranks_by_hand() -> None:
    rankings = [{"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 1, "c": 3}, None, {"a": 1, "b": 2}]
    found = average_ranks(rankings, ["q1", "q2", "q3", "q4"])
    assert {name: one.mean for name, one in found.items()} == {"a": 1.25, "b": 1.75, "c": 3.0}
    # The one that could not be read and the one without c are unscored, for every system alike.
    assert [(one.n, one.unscored) for one in found.values()] == [(2, 2)] * 3


def test_two_systems_by_hand() -> None:
    """Three wins to one: log odds ln 3, half of it on either side of 0; with one virtual tie (3.5 to 1.5)."""
    rankings = [{"a": 1, "b": 2}] * 3 + [{"a": 2, "b": 1}]
    clusters = [f"q{i}" for i in range(4)]
    plain = bradley_terry(rankings, clusters, prior=0)
    assert plain["a"].mean == pytest.approx(math.log(3) / 2)
    assert plain["b"].mean == pytest.approx(-math.log(3) / 2)
    with_prior = bradley_terry(rankings, clusters)
    assert with_prior["a"].mean == pytest.approx(math.log(3.5 / 1.5) / 2)
    assert (with_prior["a"].n, with_prior["a"].clusters, with_prior["a"].unscored) == (4, 4, 0)


def test_a_tie_is_half_a_win_for_each() -> None:
    """Two wins and two ties are three wins to one."""
    rankings: list[dict[str, float]] = [{"a": 1, "b": 2}, {"a": 1, "b": 2}, {"a": 1, "b": 1}, {"a": 1.5, "b": 1.5}]
    found = bradley_terry(rankings, list("pqrs"), prior=0)
    assert found["a"].mean == pytest.approx(math.log(3) / 2)


def test_three_systems_by_hand() -> None:
    """Odds of 2 a to b, 2 b to c and 4 a to c fit exactly: strengths ln 2, 0, -ln 2."""
    wins = np.array([[[0.0, 2, 4], [1, 0, 2], [1, 1, 0]]])
    assert fitted(wins)[0] == pytest.approx([math.log(2), 0, -math.log(2)])


def test_who_never_lost_has_no_finite_strength_without_virtual_ties() -> None:
    rankings = [{"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 3, "c": 2}]
    assert {one.mean for one in bradley_terry(rankings, ["p", "q"], prior=0).values()} == {None}
    found = bradley_terry(rankings, ["p", "q"])
    assert found["a"].mean is not None
    assert found["a"].mean > 0
    assert found["b"].mean == pytest.approx(found["c"].mean)


def test_unscored_rankings_change_nothing_but_their_count() -> None:
    rankings = [{"a": 1, "b": 2}, {"a": 2, "b": 1}, {"a": 1, "b": 2}]
    plain = bradley_terry(rankings, list("pqr"))
    more = bradley_terry([*rankings, None, None], list("pqrst"))
    assert more["a"].mean == plain["a"].mean
    assert (more["a"].n, more["a"].unscored) == (3, 2)
    assert bradley_terry([None], ["p"]) == {}
    alone = bradley_terry([{"a": 1}], ["p"])
    assert (alone["a"].mean, alone["a"].n) == (None, 0)


def test_intervals_hold_the_strength_and_one_cluster_has_none() -> None:
    drawn = random.Random(3)
    rankings = [{"a": 1, "b": 2} if drawn.random() < 0.8 else {"a": 2, "b": 1} for _ in range(60)]
    found = bradley_terry(rankings, [f"q{i}" for i in range(60)])["a"]
    assert found.low is not None
    assert found.mean is not None
    assert found.high is not None
    assert 0 < found.low < found.mean < found.high
    wide = bradley_terry(rankings, [f"q{i % 6}" for i in range(60)])["a"]
    assert wide.clusters == 6
    assert bradley_terry(rankings, ["q"] * 60)["a"].low is None


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 5), st.integers(0, 10_000))
def test_the_fit_is_the_maximum_of_the_likelihood(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    wins = rng.integers(0, 6, size=(size, size)).astype(float) + 0.5
    np.fill_diagonal(wins, 0)

    def loss(strengths: np.ndarray) -> float:
        gaps = strengths[:, None] - strengths[None, :]
        return float((wins * np.log1p(np.exp(-gaps))).sum())

    other = minimize(loss, np.zeros(size), method="BFGS", options={"gtol": 1e-9}).x
    assert fitted(wins[None])[0] == pytest.approx(other - other.mean(), abs=1e-4)


def test_the_order_of_rankings_and_the_names_of_ranks_do_not_matter() -> None:
    rankings = [{"a": 1, "b": 2, "c": 3}, {"a": 3, "b": 1, "c": 2}, {"b": 1, "c": 1, "a": 3}]
    first = bradley_terry(rankings, ["p", "q", "r"])
    other = bradley_terry([{k: 10 * v for k, v in one.items()} for one in rankings[::-1]], ["r", "q", "p"])
    for name, value in first.items():
        assert other[name].mean == pytest.approx(value.mean)
        assert other[name].low == pytest.approx(value.low)


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="do not match"):
        bradley_terry([{"a": 1}], [])
    with pytest.raises(ValueError, match="prior"):
        bradley_terry([{"a": 1, "b": 2}], ["q"], prior=-1)


def test_unscored_is_counted_for_who_was_due() -> None:
    """c is left out of the second ranking, was no part of the third, and stands alone in the last."""
    rankings: list[dict[str, float] | None] = [
        {"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2}, None, None, {"c": 1}
    ]  # fmt: skip
    due = ["abc", "abc", "ab", "abcd", "cd"]
    found = bradley_terry(rankings, list("pqrst"), due=due)
    counts = {name: (one.n, one.unscored) for name, one in found.items()}
    assert counts == {"a": (2, 2), "b": (2, 2), "c": (1, 3), "d": (0, 2)}
    assert found["d"].mean is None  # who met nobody has no strength
    alone = bradley_terry(rankings[:2], list("pq"))
    assert [found[name].mean for name in "abc"] == [alone[name].mean for name in "abc"]
    with pytest.raises(ValueError, match="who was due"):
        bradley_terry(rankings, list("pqrst"), due=due[1:])
