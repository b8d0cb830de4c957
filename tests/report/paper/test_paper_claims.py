"""Claims on results made by hand: what is compared, with which p, and what is not measured or not comparable."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic_cells import ONE, OTHER, QUESTIONS, SIX, cell, system_cells, talkers

from persbench.errors import PersbenchError
from persbench.report.cells import Cell
from persbench.report.paper.claims import (
    Outcome,
    abstract_outcomes,
    column_of,
    distinction_outcome,
    headlines,
    outcomes,
    stated,
    systems_of_claims,
)
from persbench.report.paper.rule import Verdict

PROTOCOL = (Path(__file__).resolve().parents[3] / "leaderboard" / "protocol.md").read_text("utf-8")
UNDECIDED = Verdict.UNDECIDED
P = 2 / 2**QUESTIONS  # all questions of one sign: two of the sign vectors are as extreme


def claim(cells: list[Cell], number: str, **surface: str) -> Outcome:
    return next(each for each in outcomes(cells, surface=surface) if each.claim == number)


def test_the_claims_are_those_of_the_protocol() -> None:
    assert all(f"`{metric}`" in PROTOCOL for metric in headlines())
    assert all(f"`{system}`" in PROTOCOL for system in systems_of_claims())
    rows = dict(re.findall(r"^\| (\d)\. [^|]*\| ([^|]*)\|", PROTOCOL, flags=re.MULTILINE))
    assert sorted(rows) == [each["id"] for each in stated()["claims"]]
    for each in stated()["claims"]:
        for compared in each["comparisons"]:
            assert f"`{compared['system']}`" in rows[each["id"]]
            assert f"`{compared['baseline']}`" in rows[each["id"]]


def test_every_metric_has_a_column_and_every_claim_of_the_abstract_its_findings() -> None:
    decided = outcomes([])
    for each in stated()["claims"]:
        for compared in each["comparisons"]:
            assert [column_of(metric) for metric in compared.get("metrics", headlines())]
    bearing = [len(each.findings) for each in abstract_outcomes(decided)]
    assert bearing == [3, 9, 3, 3, 3, 3, 0]


def test_nothing_measured_is_said_of_every_claim() -> None:
    for cells in ([], system_cells("prompt", 0.0)):
        decided = outcomes(cells)
        assert {each.verdict for each in decided} == {Verdict.NOT_MEASURED}
        assert {each.verdict for each in abstract_outcomes(decided)} == {Verdict.NOT_MEASURED, Verdict.OUTSIDE}
        assert all("persllm" in " ".join(one.absent) for each in decided for one in each.findings)


def test_a_claim_is_confirmed_with_p_over_all_of_its_comparisons() -> None:
    found = claim(system_cells("persllm", 1.0) + system_cells("prompt", 0.0), "1")
    assert found.verdict == Verdict.CONFIRMED
    for one in found.findings:
        assert one.comparison is not None
        assert one.comparison.p_adjusted == pytest.approx(6 * P)
        assert (one.comparison.signs.text, one.comparison.found.interval.mean) == ("6/6", 1.0)


def test_a_missing_headline_leaves_a_claim_partly_confirmed_and_counts_in_holm() -> None:
    cells = [*system_cells("persllm", 1.0, metrics=headlines()[:5]), *system_cells("prompt", 0.0)]
    found = claim(cells, "1")
    assert found.verdict == Verdict.PARTLY
    assert [one.verdict for one in found.findings] == [Verdict.CONFIRMED] * 5 + [Verdict.NOT_MEASURED]
    assert found.findings[-1].absent == ("persllm",)
    assert found.findings[0].comparison is not None
    assert found.findings[0].comparison.p_adjusted == pytest.approx(6 * P)  # and not 5 P: it falls when the sixth comes


def test_unscored_is_neither_zero_nor_a_verdict() -> None:
    found = claim(system_cells("persllm", None) + system_cells("prompt", 0.0), "1")
    assert found.verdict == Verdict.UNDECIDED
    assert {one.reason for one in found.findings} == {"unscored"}
    one = found.findings[0].comparison
    assert one is not None
    assert (one.found.interval.mean, one.found.interval.unscored, one.p_adjusted) == (None, 6 * QUESTIONS, None)


def test_ties_are_undecided_and_worse_is_refuted() -> None:
    assert claim(system_cells("persllm", 0.5) + system_cells("prompt", 0.5), "1").verdict == Verdict.UNDECIDED
    assert claim(system_cells("persllm", 0.0) + system_cells("prompt", 1.0), "1").verdict == Verdict.REFUTED
    better, worse = headlines()[:3], headlines()[3:]
    mixed = [cell("persllm", who, dict.fromkeys(better, [1.0] * 8) | dict.fromkeys(worse, [0.0] * 8)) for who in SIX]
    assert claim(mixed + system_cells("prompt", 0.5), "1").verdict == Verdict.MIXED


def test_a_headline_that_a_surface_rule_wins_confirms_nothing() -> None:
    cells = system_cells("persllm", 1.0) + system_cells("prompt", 0.0)
    found = claim(cells, "1", knowledge_acc="longest wins")
    assert found.verdict == Verdict.PARTLY
    assert [one.reason for one in found.findings if one.metric == "knowledge_acc"] == ["longest wins"]


def test_two_personas_of_an_ablation_are_enough_and_a_loss_is_to_be_lower() -> None:
    two, loss = SIX[:2], ["general_loss"]
    cells = system_cells("persllm", 0.1, metrics=loss) + system_cells("no-general", 0.6, two, loss)
    (found,) = [one for one in claim(cells, "4").findings if one.metric == "general_loss"]
    assert (found.up, found.verdict, found.reason) == (False, Verdict.CONFIRMED, "")
    assert found.comparison is not None
    assert found.comparison.signs.text == "2/2"
    assert found.comparison.found.interval.mean == pytest.approx(-0.5)
    assert claim(cells, "4").verdict == Verdict.PARTLY


@pytest.mark.parametrize(
    ("fact", "value", "told"),
    [
        ("pack", "world-1.0.0@999999999999", "pack world-1.0.0@222222222222, world-1.0.0@999999999999"),
        ("model", "other@111111111111", "model other@111111111111, toy@111111111111"),
        ("tasks", "attitude-2.0@abc", "task attitude-1.0@abc, attitude-2.0@abc"),
        ("dtype", "bfloat16", "dtype bfloat16, float32"),
        ("limit", 8, "limit 8, none"),
    ],
)
def test_what_was_measured_on_something_else_is_not_compared(fact: str, value: str, told: str) -> None:
    metric = ["attitude_acc"]
    cells = system_cells("persllm", 1.0, metrics=metric) + system_cells("prompt", 0.0, metrics=metric, **{fact: value})
    one = next(each for each in claim(cells, "1").findings if each.metric == "attitude_acc")
    assert (one.verdict, one.reason) == (Verdict.NOT_MEASURED, f"not comparable: {told}")


def test_a_system_in_two_settings_is_not_compared() -> None:
    metric = ["attitude_acc"]
    parts = system_cells("persllm", 1.0, SIX[:3], metric) + system_cells("persllm", 1.0, SIX[3:], metric, analysis=96)
    one = next(o for o in claim(parts + system_cells("prompt", 0.0), "1").findings if o.metric == "attitude_acc")
    told = "not comparable: persllm in 2 settings (ada, bo, cy and di, ed, flo)"
    assert (one.verdict, one.reason) == (Verdict.NOT_MEASURED, told)


def test_personas_that_one_side_lacks_are_counted_but_not_where_some_are_enough() -> None:
    two = SIX[:2]
    found = claim(system_cells("persllm", 1.0) + system_cells("prompt", 0.0, two), "1")
    assert {(one.verdict, one.reason) for one in found.findings} == {(UNDECIDED, "2 of 6 personas, 5 needed")}
    assert all(one.comparison and one.comparison.signs.text == "2/2 (4 unscored)" for one in found.findings)


def test_a_fact_that_lm_eval_says_in_part_is_held_against_that_part() -> None:
    metric = ["attitude_acc"]
    stock = {"pack": "@222222222222", "model": "toy", "tasks": "attitude-1.0"}
    cells = system_cells("persllm", 1.0, metrics=metric) + system_cells("prompt", 0.0, metrics=metric, **stock)
    assert claim(cells, "1").verdict == Verdict.PARTLY


def test_no_item_in_common_is_no_comparison() -> None:
    cells = system_cells("persllm", 1.0, SIX[:3]) + system_cells("prompt", 0.0, SIX[3:])
    assert {one.reason for one in claim(cells, "1").findings} == {"no item in common"}


def test_reported_claims_have_numbers_and_no_verdict() -> None:
    found = claim(system_cells("persllm+profile", 1.0) + system_cells("persllm", 0.0), "5")
    assert found.verdict == Verdict.REPORTED
    assert all(one.comparison is not None for one in found.findings)


SAME, APART = dict.fromkeys(SIX, (ONE, ONE)), {who: (f"{who} {who} {who} {who}",) * 2 for who in SIX}
STAGES = [1.0] * QUESTIONS


def test_dpo_is_confirmed_where_stages_rise_inter_falls_and_the_order_stands() -> None:
    """With it every persona has words of its own and a later one more: Intra above Stage above Inter."""
    with_dpo = talkers("persllm", APART, stage_item_acc=STAGES)
    for one in with_dpo:  # the late self has a word more
        for row in one.tasks["persbench_distinction"]:
            if row["stage"] == "late":
                row["replies"] = [f"{row['replies'][0]} older-{row['persona']}"] * 2
    cells = with_dpo + talkers("persllm-sft", SAME, stage_item_acc=[0.0] * QUESTIONS)
    found = claim(cells, "3")
    stages, inter, order = found.findings
    assert (stages.verdict, inter.verdict, order.verdict) == (Verdict.CONFIRMED,) * 3
    assert found.verdict == Verdict.CONFIRMED
    assert inter.comparison is not None
    # 15 pairs of personas at 2 stages on 8 questions, all from 100 to 0; each persona has part in some
    assert (inter.comparison.found.interval.mean, inter.comparison.found.interval.n) == (-100.0, 240)
    assert inter.comparison.signs.text == "6/6"
    assert inter.comparison.p_adjusted == pytest.approx(2 * P)
    own, _, before = order.told.partition(" (persllm-sft: ")
    assert before == "100.00, 100.00, 100.00)"
    first, second, third = map(float, own.split(", "))
    assert first == 100.0
    assert first > second > third == 0.0


def test_an_order_that_does_not_stand_is_refuted_and_one_without_a_baseline_not_told() -> None:
    cells = talkers("persllm", SAME) + talkers("persllm-sft", SAME)
    order = claim(cells, "3").findings[-1]
    assert (order.verdict, order.told) == (
        Verdict.REFUTED,
        "100.00, 100.00, 100.00 (persllm-sft: 100.00, 100.00, 100.00)",
    )
    alone = claim(talkers("persllm", SAME), "3").findings[-1]
    assert (alone.verdict, alone.absent) == (Verdict.NOT_MEASURED, ("persllm-sft",))
    blank = talkers("persllm", dict.fromkeys(SIX, ("", ""))) + talkers("persllm-sft", SAME)
    assert claim(blank, "3").findings[-1].reason == "unscored"


def test_the_same_claim_can_be_asked_of_any_two_systems() -> None:
    cells = talkers("mine-dpo", APART) + talkers("mine", SAME)
    found = distinction_outcome(cells, "mine", "mine-dpo")
    assert [(one.system, one.baseline) for one in found.findings] == [("mine-dpo", "mine")] * 2 + [("mine-dpo", "")]
    assert found.findings[1].verdict == Verdict.CONFIRMED


def test_an_item_that_stands_twice_is_refused() -> None:
    cells = talkers("persllm", {"ada": (ONE, OTHER)}) + talkers("persllm-sft", SAME)
    rows = cells[0].tasks["persbench_distinction"]
    cells[0] = replace(cells[0], tasks={"persbench_distinction": [*rows, rows[0]]})
    with pytest.raises(PersbenchError, match="persbench_distinction of persllm: ada at early answers q0 twice"):
        outcomes(cells)
