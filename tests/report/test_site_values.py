"""What a page shows of a number: the board's own numbers, their place on a scale, and nothing that is not there."""

from __future__ import annotations

import pytest
from site_world import cell, cells

from persbench.report.board import Column, Entry, lines_of
from persbench.report.site.evaluations import EVERYONE, evaluations
from persbench.report.site.ranks import Rank
from persbench.report.site.values import scale_of, shown_number, table_view
from persbench.scoring.stats import Interval

SHARE = Column(metric="m", task="t", name="m", help="")
SIGNED = Column(metric="m", task="t", name="m", help="", format="signed")


def entry(mean: float | None, low: float | None, high: float | None, unscored: int = 0) -> Entry:
    return Entry(Interval(mean, low, high, 10, 10, unscored), None, Interval(-0.013, -0.02, 0.0, 10, 10, 0), 0.25)


def test_a_number_with_its_interval_on_the_scale() -> None:
    shown = shown_number(entry(0.5, 0.25, 0.75), SHARE, (0.0, 1.0), Rank(1, 2))
    assert (shown.text, shown.ends, shown.margin, shown.chance, shown.n) == ("0.50", "[.25 .75]", "−1.3", "0.25", 10)
    assert shown.bar is not None
    assert (shown.bar.low, shown.bar.mean, shown.bar.high, shown.bar.chance) == (25.0, 50.0, 75.0, 25.0)
    assert shown.leads
    assert shown.sort == "0.5"


def test_unscored_has_no_sort_value_and_no_bar() -> None:
    shown = shown_number(entry(None, None, None, unscored=10), SHARE, (0.0, 1.0))
    assert (shown.text, shown.sort, shown.bar, shown.unscored) == ("unscored", "", None, 10)
    assert shown_number(None, SHARE, (0.0, 1.0)).text == ""


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_shown_as_none(bad: float) -> None:
    shown = shown_number(entry(bad, None, None), SHARE, (0.0, 1.0))
    assert (shown.text, shown.sort, shown.bar) == ("none", "", None)


def test_without_an_interval_the_mean_is_drawn_alone() -> None:
    shown = shown_number(entry(0.5, None, None), SHARE, (0.0, 1.0))
    assert shown.ends == ""
    assert shown.bar is not None
    assert shown.bar.low is None


def test_the_scale_of_other_numbers_holds_all_of_them_and_one_value_stands_in_the_middle() -> None:
    assert scale_of([entry(-1.0, -2.0, 0.0), None], SIGNED) == (-2.0, 0.25)
    assert scale_of([entry(5.0, 4.0, 6.0)], SHARE) == (0.0, 1.0)
    alone = shown_number(Entry(Interval(3.0, None, None, 1, 1, 0), None, None, None), SIGNED, (3.0, 3.0))
    assert alone.bar is not None
    assert alone.bar.mean == 50.0


def test_the_views_hold_the_boards_own_numbers_over_everyone_and_over_each_persona() -> None:
    made = cells(prompt=0.1, persllm=0.9)
    found = evaluations(made)
    for persona in (EVERYONE, "ada", "bo"):
        view = table_view(found, "board", persona)
        (line,) = lines_of([c for c in made if c.system == "persllm" and persona in (EVERYONE, c.persona)])
        (row,) = [row for row in view.rows if row.evaluation.system == "persllm"]
        assert [c.metric for c in view.columns] == list(line.entries)
        means = [line.entries[c.metric].value.mean for c in view.columns]
        assert [float(shown.sort) for shown in row.cells] == pytest.approx(means)
        assert [shown.n for shown in row.cells] == [line.entries[c.metric].value.n for c in view.columns]


def test_several_processes_give_the_same_numbers() -> None:
    made = cells(prompt=0.1, persllm=0.9)
    told: list[tuple[int, int]] = []
    shared = evaluations(made, lambda done, total: told.append((done, total)), jobs=2)
    assert shared == evaluations(made)
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_rows_stand_by_the_headlines_they_lead_and_rules_apart() -> None:
    made = [*cells(prompt=0.0, persllm=1.0, vanilla=0.0)]
    rule = cell("sanity:longest", "ada", 0.0)
    floor = cell("sanity:profile_overlap", "ada", 0.3)
    view = table_view(evaluations([*made, rule, floor]), "board")
    assert [row.evaluation.system for row in view.rows] == ["persllm", "vanilla", "prompt"]
    assert view.rows[0].top == view.rows[0].of == view.headlines == 6
    assert [row.evaluation.system for row in view.rules] == ["sanity:longest"]
    assert [row.evaluation.system for row in view.floors] == ["sanity:profile_overlap"]
    assert all(shown.rank is None for row in view.rules for shown in row.cells)


def test_a_system_over_fewer_personas_is_ranked_on_their_pages_alone() -> None:
    found = evaluations([*cells(prompt=0.0), cell("stylized", "ada", 0.5)])
    everyone = {row.evaluation.system: row for row in table_view(found, "board").rows}
    assert everyone["stylized"].of == 0
    assert everyone["stylized"].cells[0].rank == Rank(None, reason="12 of 24 items")
    ada = {row.evaluation.system: row for row in table_view(found, "board", "ada").rows}
    assert ada["stylized"].of == 6
    assert {row.evaluation.system for row in table_view(found, "board", "bo").rows} == {"prompt"}


def test_two_settings_of_one_system_are_told_apart_by_what_differs() -> None:
    found = evaluations([cell("prompt", "ada", 0.1), cell("prompt", "ada", 0.1, dtype="float32", limit=8)])
    assert {one.setting for one in found} == {"dtype bfloat16, limit None", "dtype float32, limit 8"}
    assert len({one.slug for one in found}) == 2
    models = evaluations([cell("prompt", "ada", 0.1), cell("prompt", "ada", 0.1, model="Other@1")])
    assert [(one.model, one.setting) for one in models] == [("Other", ""), ("SmolLM2-135M-Instruct", "")]
