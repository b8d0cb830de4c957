from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persbench.scoring.choice import TIE, anchor, credit, margin, per_byte, winners
from persbench.scoring.sanity import at_chance
from persbench.scoring.stats import cluster_interval

# halves are exact in binary, so that shifting and comparing them needs no tolerance
SCORES = st.lists(st.integers(-20, 20).map(lambda n: n / 2), min_size=2, max_size=6)


def test_per_byte_divides_by_utf8_bytes() -> None:
    # "né" is n (1 byte) and é (2); "水" is 3 bytes; "ab" is 2
    assert per_byte([-6.0, -6.0, -6.0], ["né", "水", "ab"]) == [-2.0, -2.0, -3.0]


def test_per_byte_leaves_what_is_not_finite_unscored() -> None:
    assert per_byte([math.nan, -math.inf, math.inf, -1.0], ["a", "b", "c", "d"]) == [None, None, None, -1.0]


def test_per_byte_refuses_what_it_cannot_pair_or_divide() -> None:
    with pytest.raises(ValueError, match="1 scores do not match 2 texts"):
        per_byte([-1.0], ["a", "b"])
    with pytest.raises(ValueError, match="candidate is empty"):
        per_byte([-1.0, -1.0], ["a", ""])


def test_anchor_subtracts_and_keeps_gaps() -> None:
    assert anchor([-1.0, None, -2.0, None], [-1.5, -1.0, None, None]) == [0.5, None, None, None]
    with pytest.raises(ValueError, match="2 scores do not match 1 anchors"):
        anchor([-1.0, -2.0], [-1.0])


def test_anchor_undoes_a_candidate_that_is_likely_anywhere() -> None:
    # raw prefers the bland second; the persona raises only the first above its neutral level
    raw, neutral = [-1.2, -0.8], [-1.5, -0.8]
    assert winners(raw) == (1,)
    assert winners(anchor(raw, neutral)) == (0,)


def test_winners_within_the_tie_share() -> None:
    assert winners([-1.0, -1.0 - 0.9 * TIE, -1.0 - 1.1 * TIE]) == (0, 1)
    assert winners([-3.0]) == (0,)


def test_ties_are_measured_from_the_best_and_do_not_chain() -> None:
    assert winners([0.0, -0.9 * TIE, -1.8 * TIE]) == (0, 1)


@pytest.mark.parametrize("missing", [None, math.nan, -math.inf])
def test_one_missing_score_unscores_the_choice(missing: float | None) -> None:
    scores = [-1.0, missing, -2.0]
    assert winners(scores) is None
    assert credit(scores, {0}) is None
    assert margin(scores, 0) is None


def test_all_unscored_is_not_a_tie() -> None:
    assert credit([None, None, None], {0}) is None


def test_no_candidates_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no candidates"):
        winners([])


def test_credit_counts_shares() -> None:
    assert credit([1.0, 0.0, -1.0], {0}) == 1.0
    assert credit([1.0, 0.0, -1.0], {1}) == 0.0
    assert credit([1.0, 1.0, 0.0, 0.0], {1}) == 0.5
    assert credit([1.0, 1.0, 1.0, 0.0], {0, 2, 3}) == pytest.approx(2 / 3)  # two of three winners


def test_margin_by_hand() -> None:
    assert margin([-1.0, -1.5, -1.25], 0) == 0.25
    assert margin([-1.0, -1.5, -1.25], 1) == -0.5
    assert margin([-1.0, -1.0], 1) == 0.0
    assert margin([-1.0], 0) is None


@pytest.mark.parametrize("own", [-1, 2])
def test_margin_refuses_an_index_outside(own: int) -> None:
    with pytest.raises(ValueError, match="not among the 2 candidates"):
        margin([-1.0, -2.0], own)


@pytest.mark.parametrize("k", [2, 3, 4, 12])
def test_gold_always_first_gains_nothing(k: int) -> None:
    # anchored scores of the neutral system itself are all 0: it must earn exactly chance, wherever the gold stands
    assert [credit([0.0] * k, {gold}) for gold in range(k)] == [1 / k] * k


def test_a_tie_counted_as_won_would_be_caught() -> None:
    """A blind system on 40 questions: shared ties stand at chance; the two usual mistakes are thrown out."""
    blind, golds, questions = [0.0] * 4, [0] * 40, list(range(40))

    def interval_of(values: list[float | None]) -> bool:
        return at_chance(cluster_interval(values, questions), chance=0.25)

    tied = winners(blind)
    assert tied is not None
    assert interval_of([credit(blind, {gold}) for gold in golds])
    assert not interval_of([float(gold in tied) for gold in golds])
    assert not interval_of([float(max(range(4), key=blind.__getitem__) == gold) for gold in golds])


@given(SCORES)
def test_credits_over_all_golds_sum_to_one(scores: list[float]) -> None:
    credits_ = [credit(scores, {gold}) for gold in range(len(scores))]
    assert math.fsum(c for c in credits_ if c is not None) == pytest.approx(1.0)
    assert None not in credits_


@given(SCORES, st.integers(-40, 40))
def test_a_common_shift_changes_no_choice(scores: list[float], shift: int) -> None:
    assert winners([score + shift for score in scores]) == winners(scores)


@given(SCORES)
def test_margin_is_positive_for_a_lone_winner_only(scores: list[float]) -> None:
    for own in range(len(scores)):
        lead = margin(scores, own)
        assert lead is not None
        assert (lead > TIE) == (winners(scores) == (own,))


def test_choice_alone_loads_no_heavy_library() -> None:
    code = (
        "import sys, persbench.scoring.choice, persbench.scoring.sanity; "
        "print([m for m in ('numpy', 'scipy', 'sklearn', 'sacrebleu', 'rouge_score', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
