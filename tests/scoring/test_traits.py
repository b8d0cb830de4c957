from __future__ import annotations

import random
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr

from persbench.scoring.stats import Interval
from persbench.scoring.traits import (
    Cell,
    DomainScore,
    Estimate,
    LikertAnswer,
    domain_scores,
    picked,
    target_correlation,
    target_distance,
)


def answer(
    value: float | None, statement: str = "o1", keyed: Literal[1, -1] = 1, persona: str = "ada", stage: str = "young"
) -> LikertAnswer:
    return LikertAnswer(persona, stage, statement, statement[0].upper(), keyed, "text", "ascending", value)


def scored(means: dict[Cell, float | None]) -> dict[Cell, DomainScore]:
    return {cell: DomainScore(mean, int(mean is not None), int(mean is None)) for cell, mean in means.items()}


def cells(persona: str, *means: float | None, stage: str = "young") -> dict[Cell, float | None]:
    return {(persona, stage, domain): mean for domain, mean in zip("OCEAN", means, strict=False)}


def goals(persona: str, *means: float, stage: str = "young") -> dict[Cell, float]:
    return {(persona, stage, domain): mean for domain, mean in zip("OCEAN", means, strict=False)}


def ends(of: Estimate | Interval) -> tuple[float, float]:
    assert of.low is not None
    assert of.high is not None
    return of.low, of.high


def test_the_winner_is_a_point_of_the_scale() -> None:
    assert picked([-0.9, -0.8, -0.7, -0.2, -0.6]) == 4
    assert picked([0.3, 0.0, 0.0, 0.0, 0.1]) == 1


def test_tied_options_share() -> None:
    assert picked([0.0, 0.0, 0.0, 1.0, 1.0]) == 4.5
    assert picked([1.0, 0.0, 0.0, 0.0, 1.0 + 5e-6]) == 3.0  # 1 and 5 tie
    assert picked([0.2] * 5) == 3.0


def test_an_option_without_a_score_leaves_the_item_unscored() -> None:
    assert picked([1.0, None, 0.0, 0.0, 0.0]) is None
    assert picked([1.0, float("nan"), 0.0, 0.0, 0.0]) is None
    with pytest.raises(ValueError, match="4 scores"):
        picked([1.0, 0.0, 0.0, 0.0])


@pytest.mark.parametrize("value", [0.0, 0.99, 5.01, float("nan"), float("inf")])
def test_an_answer_off_the_scale_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="ada young to 'o1': must be within 1 to 5, or None"):
        answer(value)


def test_answers_are_reverse_keyed_and_averaged_by_cell() -> None:
    answers = [
        answer(5, "o1"),
        answer(2, "o2", -1),  # 4 towards openness
        answer(None, "o3"),
        answer(1.5, "c1", -1),  # 4.5
        answer(2, "o1", stage="old"),
    ]
    assert domain_scores(answers) == {
        ("ada", "old", "O"): DomainScore(2.0, 1, 0),
        ("ada", "young", "C"): DomainScore(4.5, 1, 0),
        ("ada", "young", "O"): DomainScore(4.5, 2, 1),
    }


def test_no_answers_and_unscored_ones() -> None:
    assert domain_scores([]) == {}
    assert domain_scores([answer(None), answer(None, "o2", -1)]) == {("ada", "young", "O"): DomainScore(None, 0, 2)}


def test_correlation_by_hand() -> None:
    # deviations -1 0 1 and -1 1 0: 1 / sqrt(2 * 2)
    fit = target_correlation(scored(cells("ada", 1, 2, 3)), goals("ada", 1, 3, 2))
    assert fit.value == pytest.approx(0.5)
    assert (fit.low, fit.high, fit.n, fit.unscored) == (None, None, 3, 0)  # one persona: no spread between personas


def test_interval_by_enumeration() -> None:
    # ada alone fits perfectly, ben alone 0.5; of the four resamples one is ada twice and one ben twice
    scores = scored({**cells("ada", 1, 2, 3), **cells("ben", 1, 2, 3)})
    fit = target_correlation(scores, {**goals("ada", 1, 2, 3), **goals("ben", 1, 3, 2)})
    assert fit.value == pytest.approx(0.75)  # 3 / sqrt(4 * 4)
    assert ends(fit) == pytest.approx((0.5, 1.0))
    middle = target_correlation(scores, {**goals("ada", 1, 2, 3), **goals("ben", 1, 3, 2)}, confidence=0.4)
    assert ends(middle) == pytest.approx((0.75, 0.75))


def test_correlation_against_scipy_with_a_persona_that_has_one_stage() -> None:
    rng = np.random.default_rng(3)
    drawn: dict[Cell, tuple[float, float]] = {
        (persona, stage, domain): (float(rng.uniform(1, 5)), float(rng.uniform(1, 5)))
        for persona, stage in [("ada", "young"), ("ada", "old"), ("ben", "young"), ("cy", "young"), ("cy", "old")]
        for domain in "OCEAN"
    }
    scores = scored({cell: score for cell, (score, _) in drawn.items()})
    targets = {cell: target for cell, (_, target) in drawn.items()}
    fit = target_correlation(scores, targets)
    expected = pearsonr([s for s, _ in drawn.values()], [t for _, t in drawn.values()]).statistic
    assert fit.value == pytest.approx(float(expected), abs=1e-12)
    assert fit.n == 25
    # the same bootstrap written out: whole personas, both stages with them
    by_persona = [np.array([v for c, v in drawn.items() if c[0] == p]) for p in ("ada", "ben", "cy")]
    resampled = []
    for draw in np.random.default_rng(1).integers(0, 3, (2000, 3)):
        points = np.concatenate([by_persona[i] for i in draw])
        resampled.append(np.corrcoef(points.T)[0, 1])
    assert ends(fit) == pytest.approx(tuple(np.quantile(resampled, [0.025, 0.975])), abs=0.03)


def test_too_few_cells_or_no_variance_have_no_correlation() -> None:
    none = Estimate(None, None, None, 0, 0)
    assert target_correlation({}, {}) == none
    assert target_correlation(scored(cells("ada", 1, 2)), goals("ada", 1, 2)) == Estimate(None, None, None, 2, 0)
    all_unscored = scored(cells("ada", None, None, None))
    assert target_correlation(all_unscored, goals("ada", 1, 2, 3)) == Estimate(None, None, None, 0, 3)
    constant = scored({**cells("ada", 3, 3, 3), **cells("ben", 3, 3 + 1e-9, 3)})
    targets = {**goals("ada", 1, 2, 3), **goals("ben", 3, 2, 5)}
    assert target_correlation(constant, targets) == Estimate(None, None, None, 6, 0)
    flat_targets = dict.fromkeys(targets, 2.5)
    assert target_correlation(scored(dict(targets)), flat_targets) == Estimate(None, None, None, 6, 0)


def test_resamples_without_variance_are_left_out() -> None:
    # one cell a persona: three times the same persona (1 draw in 9) is a single point, two personas a line
    scores = scored({("ada", "s", "O"): 1.0, ("ben", "s", "O"): 2.0, ("cy", "s", "O"): 4.0})
    fit = target_correlation(scores, {("ada", "s", "O"): 1.0, ("ben", "s", "O"): 3.0, ("cy", "s", "O"): 2.0})
    assert fit.value == pytest.approx(pearsonr([1, 2, 4], [1, 3, 2]).statistic)
    assert ends(fit) == pytest.approx((-1.0, 1.0))


def test_what_is_unscored_is_counted_and_what_is_on_one_side_ignored() -> None:
    scores = scored({**cells("ada", 1, None, 3, 2), ("ada", "young", "H"): 5.0})
    targets = {**goals("ada", 1, 5, 3, 2), **goals("ben", 4, 4)}
    fit = target_correlation(scores, targets)
    assert fit.value == pytest.approx(1.0)
    assert (fit.n, fit.unscored) == (3, 1)
    assert target_distance(scores, targets) == Interval(0.0, None, None, n=3, clusters=1, unscored=1)


def test_distance_by_hand() -> None:
    scores = scored({**cells("ada", 1, 2, 3), **cells("ben", 5)})
    distance = target_distance(scores, {**goals("ada", 1, 3, 2.5), **goals("ben", 2.5)})
    assert distance.mean == pytest.approx((0 + 1 + 0.5 + 2.5) / 4)
    assert ends(distance) == pytest.approx((0.5, 2.5))  # ada alone, ben alone
    assert target_distance({}, {}) == Interval(None, None, None, n=0, clusters=0, unscored=0)


@settings(deadline=None, max_examples=30)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["young", "old"]), st.sampled_from("OCEAN")),
        st.tuples(st.one_of(st.none(), st.floats(1, 5)), st.floats(1, 5)),
    ),
    st.randoms(use_true_random=False),
)
def test_row_order_changes_nothing_and_the_value_stays_in_range(
    drawn: dict[Cell, tuple[float | None, float]], rng: random.Random
) -> None:
    def fit(order: list[Cell]) -> Estimate:
        scores = scored({cell: drawn[cell][0] for cell in order})
        return target_correlation(scores, {cell: drawn[cell][1] for cell in order}, resamples=50)

    once = fit(list(drawn))
    assert fit(rng.sample(list(drawn), len(drawn))) == once
    assert once.n + once.unscored == len(drawn)
    assert all(end is None or -1 <= end <= 1 for end in (once.value, once.low, once.high))
