from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from persbench.scoring.reliability import (
    acquiescence,
    cronbach_alpha,
    item_matrix,
    order_sensitivity,
    paraphrase_sensitivity,
)
from persbench.scoring.stats import Interval
from persbench.scoring.traits import Estimate, LikertAnswer

NOTHING = Interval(None, None, None, n=0, clusters=0, unscored=0)


def answer(
    value: float | None,
    statement: str = "o1",
    keyed: Literal[1, -1] = 1,
    form: Literal["text", "paraphrase"] = "text",
    order: Literal["ascending", "descending"] = "ascending",
    persona: str = "ada",
    stage: str = "young",
) -> LikertAnswer:
    return LikertAnswer(persona, stage, statement, statement[0].upper(), keyed, form, order, value)


def test_alpha_by_hand() -> None:
    # items 1 2 3 4 (variance 5/3) and 2 2 4 4 (4/3), sums 3 4 7 8 (17/3): 2 * (1 - 9/17) = 16/17;
    # F(3, 3) at 0.975 is 15.439 in the tables, at 0.025 its reciprocal
    alpha = cronbach_alpha([[1, 2], [2, 2], [3, 4], [4, 4]])
    assert alpha.value == pytest.approx(16 / 17)
    assert alpha.low == pytest.approx(1 - 15.439 / 17, abs=1e-4)
    assert alpha.high == pytest.approx(1 - 1 / 15.439 / 17, abs=1e-4)
    assert (alpha.n, alpha.unscored) == (4, 0)


def test_alpha_from_the_covariance_matrix() -> None:
    rng = np.random.default_rng(0)
    table = rng.integers(1, 6, (12, 1)) * 0.5 + rng.uniform(1, 2.5, (12, 7))
    covariance = np.cov(table.T)
    expected = 7 / 6 * (1 - np.trace(covariance) / covariance.sum())
    assert cronbach_alpha(table.tolist()).value == pytest.approx(expected)


def test_the_interval_of_alpha_covers_as_often_as_it_says() -> None:
    # 12 respondents, 4 items of true score (variance 1) plus error (variance 1): alpha 4 / 5
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        alpha = cronbach_alpha((rng.normal(size=(12, 1)) + rng.normal(size=(12, 4))).tolist(), confidence=0.9)
        assert alpha.low is not None
        assert alpha.high is not None
        covered += alpha.low <= 0.8 <= alpha.high
    assert covered / 400 == pytest.approx(0.9, abs=0.04)


def test_items_that_agree_wholly_or_contradict_each_other() -> None:
    same = cronbach_alpha([[1, 1, 1], [2, 2, 2], [5, 5, 5]])
    assert same.value == pytest.approx(1)
    assert same.low == pytest.approx(1)
    assert same.high == pytest.approx(1)
    # variances 1 and 4, sums 6 5 4 (1): 2 * (1 - 5) = -8
    assert cronbach_alpha([[1, 5], [2, 3], [3, 1]]).value == pytest.approx(-8)


def test_alpha_that_is_not_defined() -> None:
    assert cronbach_alpha([]) == Estimate(None, None, None, 0, 0)
    assert cronbach_alpha([[], []]) == Estimate(None, None, None, 2, 0)
    assert cronbach_alpha([[1, 2, 3]]) == Estimate(None, None, None, 1, 0)  # one respondent
    assert cronbach_alpha([[1], [2], [3]]) == Estimate(None, None, None, 3, 0)  # one item
    assert cronbach_alpha([[3, 3], [3, 3]]) == Estimate(None, None, None, 2, 0)  # constant
    assert cronbach_alpha([[1, 5], [5, 1]]) == Estimate(None, None, None, 2, 0)  # constant sums
    assert cronbach_alpha([[None, None], [None, None]]) == Estimate(None, None, None, 0, 2)
    with pytest.raises(ValueError, match="rows differ in length"):
        cronbach_alpha([[1, 2], [1]])


def test_a_respondent_with_a_hole_is_left_out_of_alpha_and_counted() -> None:
    whole = cronbach_alpha([[1, 2], [2, 2], [3, 4], [4, 4]])
    with_hole = cronbach_alpha([[1, 2], [5, None], [2, 2], [3, 4], [4, 4]])
    assert with_hole == Estimate(whole.value, whole.low, whole.high, 4, 1)


def test_the_matrix_is_keyed_and_averages_wordings_and_orders() -> None:
    answers = [
        answer(2, "o2", -1),  # 4
        answer(1, "o2", -1, form="paraphrase"),  # 5
        answer(None, "o2", -1, form="paraphrase", order="descending"),
        answer(3, "o1"),
        answer(5, "c1"),
        answer(1, "o1", persona="zoe"),
        answer(None, "o1", stage="old"),
        answer(4, "o2", 1, stage="old"),
    ]
    # rows: ada old, ada young, and zoe, who has no second stage; columns: o1, o2
    assert item_matrix(answers, "O") == [[None, 4], [3, 4.5], [1, None]]
    assert item_matrix(answers, "N") == []
    assert item_matrix([], "O") == []


def test_sensitivities_by_hand() -> None:
    answers = [
        answer(5),
        answer(3, form="paraphrase"),
        answer(4, order="descending"),
        answer(4, form="paraphrase", order="descending"),
    ]
    paraphrase, order = paraphrase_sensitivity(answers), order_sensitivity(answers)
    assert (paraphrase.mean, paraphrase.n, paraphrase.clusters) == (1.0, 2, 1)  # |5 - 3|, |4 - 4|
    assert (order.mean, order.n, order.low) == (1.0, 2, None)  # |5 - 4|, |3 - 4|; one statement: no interval


def test_sensitivity_pairs_within_respondent_and_statement_only() -> None:
    answers = [
        answer(5),
        answer(1, form="paraphrase", stage="old"),
        answer(1, form="paraphrase", persona="zoe"),
        answer(1, "o2", form="paraphrase"),
        answer(1, form="paraphrase", order="descending"),
    ]
    assert paraphrase_sensitivity(answers) == NOTHING


def test_sensitivity_clusters_statements() -> None:
    answers: list[LikertAnswer] = []
    for persona in ("ada", "ben"):  # one statement that moves nobody, one that moves both
        answers += [answer(1, "o1", persona=persona), answer(1, "o1", form="paraphrase", persona=persona)]
        answers += [answer(1, "o2", persona=persona), answer(2, "o2", form="paraphrase", persona=persona)]
    moved = paraphrase_sensitivity(answers)
    assert (moved.mean, moved.n, moved.clusters) == (0.5, 4, 2)
    assert (moved.low, moved.high) == (0.0, 1.0)


def test_an_unscored_side_makes_a_pair_unscored() -> None:
    answers = [answer(None), answer(3, form="paraphrase"), answer(1, "o2"), answer(5, "o2", form="paraphrase")]
    assert paraphrase_sensitivity(answers) == Interval(4.0, None, None, n=1, clusters=1, unscored=1)
    assert paraphrase_sensitivity(answers[:2]) == Interval(None, None, None, n=0, clusters=0, unscored=1)
    assert paraphrase_sensitivity([]) == order_sensitivity([]) == NOTHING
    assert order_sensitivity(answers) == NOTHING  # one order only: nothing to compare


def test_the_same_question_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ada young answers 'o1' \(text, ascending\) twice"):
        order_sensitivity([answer(1), answer(2)])


def test_acquiescence_weighs_both_keys_the_same() -> None:
    # three statements for, one against: (mean(5, 4, 3) + 3) / 2 - 3, whatever their number
    uneven = [answer(5, "o1"), answer(4, "o2"), answer(3, "o3"), answer(3, "o4", -1)]
    assert acquiescence(uneven).mean == pytest.approx(0.5)
    # one who means it says 5 and 1; one who says yes to everything 5 and 5
    assert acquiescence([answer(5, "o1"), answer(1, "o2", -1)]).mean == 0
    assert acquiescence([answer(5, "o1"), answer(5, "o2", -1)]).mean == 2
    assert acquiescence([answer(1, "o1"), answer(1, "o2", -1)]).mean == -2


def test_acquiescence_over_cells_and_personas() -> None:
    answers = [
        *(answer(5, "o1"), answer(5, "o2", -1)),  # ada O: 2
        *(answer(3, "c1"), answer(3, "c2", -1)),  # ada C: 0
        *(answer(4, "o1", persona="ben"), answer(2, "o2", -1, persona="ben")),  # ben O: 0
        *(answer(5, "n1"), answer(5, "n2")),  # no statement against: cannot tell
        *(answer(5, "e1"), answer(None, "e2", -1)),  # asked, but unscored
    ]
    found = acquiescence(answers)
    assert found.mean == pytest.approx(2 / 3)
    assert (found.n, found.clusters, found.unscored) == (3, 2, 1)
    assert (found.low, found.high) == (0.0, 1.0)  # ben alone, ada alone
    assert acquiescence([]) == NOTHING
