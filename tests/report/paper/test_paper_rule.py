"""The protocol's rule: each verdict, and what stands at its edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from synthetic_cells import QUESTIONS, SIX

from persbench.report.compare import Comparison, Pair, compare_pairs
from persbench.report.paper.claims import column_of
from persbench.report.paper.rule import Verdict, claim_verdict, headline_verdict, personas_needed

CONFIRMED, REFUTED, UNDECIDED = Verdict.CONFIRMED, Verdict.REFUTED, Verdict.UNDECIDED
NOT_MEASURED, REPORTED = Verdict.NOT_MEASURED, Verdict.REPORTED


def compared(*gaps: float | None, questions: int = QUESTIONS) -> Comparison:
    """Six personas or fewer, each with the same gap on every question."""
    pairs = [
        Pair((who,), f"q{i}", gap, None if gap is None else 0.0)
        for who, gap in zip(SIX, gaps, strict=False)
        for i in range(questions)
    ]
    return compare_pairs("persllm", column_of("attitude_acc"), pairs)


def verdict(
    *gaps: float | None, up: bool = True, p: float | None = 0.01, questions: int = QUESTIONS
) -> tuple[str, str]:
    return headline_verdict(compared(*gaps, questions=questions), p, up=up)


def test_six_of_six_and_five_of_six_confirm() -> None:
    assert verdict(*[1.0] * 6) == (CONFIRMED, "")
    assert verdict(*[1.0] * 5, -1.0) == (CONFIRMED, "")


def test_four_of_six_do_not() -> None:
    assert verdict(*[1.0] * 4, -1.0, -1.0) == (UNDECIDED, "4 of 6 personas, 5 needed")
    assert verdict(*[1.0] * 4, 0.0, 0.0) == (UNDECIDED, "4 of 6 personas, 5 needed")


def test_where_two_are_trained_both_must_agree() -> None:
    assert verdict(1.0, 1.0) == (CONFIRMED, "")
    assert verdict(1.0, -0.5) == (UNDECIDED, "1 of 2 personas, 2 needed")
    assert verdict(1.0) == (UNDECIDED, "a single persona has no sign count")


def test_a_persona_without_a_score_counts_among_those_that_must_agree() -> None:
    assert verdict(*[1.0] * 5, None)[0] == CONFIRMED
    assert verdict(*[1.0] * 4, -1.0, None) == (UNDECIDED, "4 of 6 personas, 5 needed")


def test_where_more_than_a_fifth_is_unscored_nothing_is_decided_either_way() -> None:
    told = "16 of 48 items are unscored"
    assert verdict(*[1.0] * 4, None, None) == (UNDECIDED, told)
    assert verdict(*[-1.0] * 4, None, None) == (UNDECIDED, told)
    assert verdict(*[-1.0] * 5, None)[0] == REFUTED  # 8 of 48


def test_the_other_direction_refutes_whatever_p_and_signs_say() -> None:
    told = "the interval excludes zero in the other direction"
    assert verdict(*[-1.0] * 6) == (REFUTED, told)
    assert verdict(*[-1.0] * 4, 1.0, 1.0, p=0.9) == (REFUTED, told)
    assert verdict(*[1.0] * 6, up=False) == (REFUTED, told)
    assert verdict(*[-1.0] * 6, up=False) == (CONFIRMED, "")


def test_p_must_be_below_the_level() -> None:
    told = "p by Holm is not below 0.05"
    assert verdict(*[1.0] * 6, p=0.05) == (UNDECIDED, told)
    assert verdict(*[1.0] * 6, p=None) == (UNDECIDED, told)
    assert verdict(*[1.0] * 4, -1.0, -1.0, p=0.2) == (UNDECIDED, f"{told}; 4 of 6 personas, 5 needed")
    assert verdict(*[1.0] * 6, p=0.0499)[0] == CONFIRMED


def test_ties_hold_zero_and_nothing_scored_is_said() -> None:
    assert verdict(*[0.0] * 6) == (UNDECIDED, "the interval holds zero")
    assert verdict(*[None] * 6, p=None) == (UNDECIDED, "unscored")
    assert verdict(*[1.0] * 6, questions=1, p=None) == (UNDECIDED, "a single question gives no interval")


def test_an_interval_that_ends_at_zero_holds_it() -> None:
    found = compared(*[1.0] * 6)
    touching = replace(found, found=replace(found.found, interval=replace(found.found.interval, low=0.0)))
    assert headline_verdict(touching, 0.001, up=True) == (UNDECIDED, "the interval holds zero")


def test_a_headline_that_a_surface_rule_wins_says_nothing_either_way() -> None:
    for gap in (1.0, -1.0):
        found = compared(*[gap] * 6)
        assert headline_verdict(found, 0.001, up=True, surface="longest wins") == (UNDECIDED, "longest wins")


def test_five_of_six_and_both_of_two_in_proportion() -> None:
    assert [personas_needed(n) for n in (1, 2, 3, 4, 5, 6, 7, 12)] == [1, 2, 3, 4, 5, 5, 6, 10]


@pytest.mark.parametrize(
    ("headlines", "whole"),
    [
        ([CONFIRMED] * 6, CONFIRMED),
        ([CONFIRMED] * 5 + [UNDECIDED], Verdict.PARTLY),
        ([CONFIRMED] + [UNDECIDED] * 5, Verdict.PARTLY),
        ([CONFIRMED] * 5 + [NOT_MEASURED], Verdict.PARTLY),
        ([CONFIRMED] * 5 + [REFUTED], Verdict.MIXED),
        ([REFUTED] + [UNDECIDED] * 5, Verdict.REFUTED),
        ([REFUTED] + [NOT_MEASURED] * 5, Verdict.REFUTED),
        ([UNDECIDED] * 6, UNDECIDED),
        ([UNDECIDED] + [NOT_MEASURED] * 5, UNDECIDED),
        ([NOT_MEASURED] * 6, NOT_MEASURED),
        ([REPORTED] * 5 + [NOT_MEASURED], REPORTED),
        ([], Verdict.OUTSIDE),
    ],
)
def test_claims_are_put_together_by_the_protocol(headlines: Sequence[Verdict], whole: Verdict) -> None:
    assert claim_verdict(headlines) == whole
