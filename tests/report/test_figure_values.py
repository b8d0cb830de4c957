"""Every figure draws the numbers that the board computes, and draws nothing where nothing is scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from figure_cells import both, cell
from matplotlib.container import ErrorbarContainer

from persbench.report.board import lines_of
from persbench.report.cells import Cell
from persbench.report.compare import comparisons
from persbench.report.figures.confusion_matrix import draw_confusion
from persbench.report.figures.content_voice import draw_content_voice
from persbench.report.figures.drift import curve_of, draw_drift
from persbench.report.figures.entrants import Entrant, entrants
from persbench.report.figures.forest import draw_forest
from persbench.report.figures.resistance import draw_resistance
from persbench.report.figures.save import Sketch
from persbench.report.figures.style import styled
from persbench.report.figures.traits import draw_traits
from persbench.report.figures.values import NothingToDrawError


def sketch(draw: Callable[[Sequence[Entrant], str], Sketch], cells: list[Cell]) -> Sketch:
    with styled():
        return draw(entrants(cells), "prompt")


def axes_of(found: Sketch) -> list[Any]:
    return list(found.figure.axes)


def points(axis: Any) -> dict[str, tuple[tuple[float, float], list[Any]]]:
    """Label -> (x, y), and both error bars, of every named system in a plane."""
    found = {}
    for container in axis.containers:
        assert isinstance(container, ErrorbarContainer)
        line, _, bars = container
        (place,) = line.get_xydata().tolist()
        found[str(container.get_label())] = (tuple(place), [bar.get_segments()[0].tolist() for bar in bars])
    return found


def test_content_and_voice_stand_where_the_board_says() -> None:
    cells = both("prompt", content=0.5, voice=0.9) + both("persllm", content=0.9, voice=0.9)
    found = sketch(draw_content_voice, cells)
    board = {line.system: line.entries for line in lines_of(cells)}
    drawn = points(found.figure.axes[0])
    assert set(drawn) == {"prompt", "persllm"}
    for system, (place, (across, up)) in drawn.items():
        voice, content = board[system]["voice_acc"].value, board[system]["content_acc"].value
        assert place == (voice.mean, content.mean)
        assert [end[0] for end in across] == pytest.approx([voice.low, voice.high])
        assert [end[1] for end in up] == pytest.approx([content.low, content.high])
    assert found.title == "Above chance in voice: all 2 systems; in content: 1"
    assert "n: 20 items a system, of 10 questions." in found.caption
    assert "prompt: content 0.50" in found.alt
    low, _ = found.figure.axes[0].get_ylim()
    assert low <= 0.3


def test_an_unscored_system_is_not_drawn_at_zero() -> None:
    cells = [cell("prompt"), cell("persllm", content=None, voice=None, resistance=None, over=None)]
    assert set(points(sketch(draw_content_voice, cells).figure.axes[0])) == {"prompt"}
    assert set(points(sketch(draw_resistance, cells).figure.axes[0])) == {"prompt"}
    for draw in (draw_content_voice, draw_resistance):
        with pytest.raises(NothingToDrawError, match="no system has scored items of persbench_"):
            sketch(draw, cells[1:])


def test_resistance_stands_among_curves_of_equal_sensitivity() -> None:
    cells = both("prompt", resistance=0.7, over=0.4)
    found = sketch(draw_resistance, cells)
    axis: Any = found.figure.axes[0]
    ((place, _),) = points(axis).values()
    assert place == pytest.approx((0.4, 0.7))
    curves = {line.get_label(): line.get_xydata() for line in axis.lines if str(line.get_label()).startswith("_d'=")}
    assert set(curves) == {"_d'=0", "_d'=1", "_d'=2", "_d'=3"}
    z = NormalDist().inv_cdf
    for name in ("_d'=1", "_d'=2"):
        false_alarm, hit = curves[name][200]
        assert z(hit) - z(false_alarm) == pytest.approx(float(str(name)[-1]))
    (value,) = [
        entry.value for line in lines_of(cells, "resistance") for m, entry in line.entries.items() if m == "d_prime"
    ]
    assert f"d' {value.mean:.2f}" in found.alt
    assert found.title.startswith("prompt: d' 0.7")


def test_the_matrix_holds_shares_and_a_hatched_hole_where_nothing_is_scored() -> None:
    cells = [cell("prompt", "ada", lead=0.2), cell("prompt", "bo", lead=None)]
    found = sketch(draw_confusion, cells)
    mesh = axes_of(found)[0].collections[0]
    table = np.ma.masked_invalid(mesh.get_array()).reshape(4, 4)
    assert table[:2].tolist() == [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]
    assert np.ma.getmaskarray(table)[2:].all()
    assert axes_of(found)[0].patch.get_hatch() == "////"
    assert "8 unscored" in found.caption
    assert found.title == "prompt finds its own answer in 1.00 of the items (blind: 0.25)"
    written = [text.get_text() for text in found.figure.axes[0].texts]
    assert written == ["100", "100"]


def test_another_wins_where_the_own_answer_does_not_lead() -> None:
    found = sketch(draw_confusion, [cell("prompt", "bo", lead=0.0), cell("vanilla", "bo", lead=0.2)])
    tables = [np.asarray(axis.collections[0].get_array()).reshape(2, 4).tolist() for axis in axes_of(found)[:2]]
    assert tables == [[[0, 0, 1, 0], [0, 0, 0, 1]], [[1, 0, 0, 0], [1, 0, 0, 0]]]  # vanilla comes first


def test_drift_draws_both_leads_and_a_gap_where_a_probe_is_unscored() -> None:
    leads: dict[int, float | None] = {1: 0.05, 4: None, 8: 0.01}
    cells = both("prompt", leads=leads, calm=0.02)
    curve = curve_of(entrants(cells)[0])
    assert curve is not None
    assert [each.mean for each in curve.beyond] == pytest.approx([0.03, None, -0.01])
    assert [each.unscored for each in curve.beyond] == [0, 8, 0]
    assert list(curve.lead) == pytest.approx([0.05, None, 0.01])
    assert list(curve.calm) == pytest.approx([0.02, None, 0.02])
    found = sketch(draw_drift, cells)
    axis: Any = found.figure.axes[0]
    lines = {line.get_label(): line for line in axis.lines}
    calm = lines["no persona"].get_xydata()
    (container,) = axis.containers
    lead = container[0].get_xydata()
    assert lead[:, 0].tolist() == [1, 4, 8]
    assert lead[[0, 2], 1].tolist() == pytest.approx([5.0, 1.0])
    assert calm[[0, 2], 1].tolist() == pytest.approx([2.0, 2.0])
    assert np.isnan([lead[1, 1], calm[1, 1]]).all()
    assert found.title == "prompt: the own stance fades over the turns"


def test_without_the_dialogue_of_nobody_there_is_no_drift() -> None:
    made = cell("prompt")
    for row in made.tasks["persbench_consistency"]:
        for branch in row["branches"]:
            branch.pop("calm", None)
    with pytest.raises(NothingToDrawError, match="with and without the persona"):
        sketch(draw_drift, [made])


def test_profiles_stand_beside_their_targets() -> None:
    found = sketch(draw_traits, both("prompt", pull=1.0) + both("vanilla", pull=0.0))
    panels: list[Any] = [axis for axis in found.figure.axes if axis.get_visible()]
    assert [axis.get_title(loc="left") for axis in panels] == ["ada, early", "ada, late", "bo, early", "bo, late"]
    lines = {line.get_label(): list(line.get_ydata()) for line in panels[0].lines}
    assert lines["target"] == [4.0, 3.0, 1.5, 2.0, 4.5]
    assert lines["prompt"] == [4, 3, 2, 2, 4]
    assert lines["vanilla"] == [3] * 5
    assert [tick.get_text() for tick in panels[0].get_xticklabels()] == ["O", "C", "E", "A", "N"]


def test_who_has_no_line_among_the_profiles_is_told_and_counts_in_the_title() -> None:
    better = [f"better-{number}" for number in range(4)]
    found = sketch(draw_traits, [made for one in better for made in both(one, pull=1.0)]
                   + both("prompt", pull=1.0) + both("vanilla", pull=1.0) + both("persllm", pull=-1.0))  # fmt: skip
    lines = {str(line.get_label()) for line in axes_of(found)[0].lines}
    assert "persllm" not in lines
    assert {"prompt", "vanilla", "better-0"} <= lines
    assert "persllm r \N{MINUS SIGN}0." in found.caption
    assert "persllm r \N{MINUS SIGN}0." in found.alt
    assert found.title.startswith("Trait answers follow their targets with r = \N{MINUS SIGN}0.")


def test_an_unscored_domain_is_a_gap() -> None:
    made = cell("prompt")
    for row in made.tasks["persbench_traits"]:
        if row["kind"] == "E":
            row["branches"][0]["loglikelihoods"] = [None] * 5
    found = sketch(draw_traits, [made])
    lines = {line.get_label(): np.asarray(line.get_ydata(), dtype=float) for line in axes_of(found)[0].lines}
    assert np.isnan(lines["prompt"]).tolist() == [False, False, True, False, False]
    assert "2 answers unscored in all" in found.caption


def test_the_forest_draws_what_compare_computes() -> None:
    cells = both("prompt", content=0.2) + both("persllm", content=0.9) + both("vanilla", content=None)
    found = sketch(draw_forest, cells)
    computed = {(one.system, one.column.name): one for one in comparisons(cells, "prompt")}
    panels: dict[str, Any] = {axis.get_title(loc="left"): axis for axis in found.figure.axes}
    assert list(panels) == ["vanilla", "persllm"]
    rows = [tick.get_text() for tick in panels["vanilla"].get_yticklabels()]
    assert rows[:2] == ["content", "induction"]
    for name, place in (("content", rows.index("content")), ("voice", rows.index("voice"))):
        one = computed["persllm", name]
        (dot,) = [
            line for line in panels["persllm"].lines if line.get_marker() in {"o", "s"} and line.get_ydata()[0] == place
        ]
        assert dot.get_xdata()[0] == one.found.interval.mean
        assert (dot.get_markerfacecolor() == "white") == (one.p_adjusted is None or one.p_adjusted >= 0.05)
        (bar,) = [
            line
            for line in panels["persllm"].lines
            if len(line.get_xdata()) == 2 and list(line.get_ydata()) == [place, place]
        ]
        assert list(bar.get_xdata()) == [one.found.interval.low, one.found.interval.high]
    assert "unscored" in [text.get_text() for text in panels["vanilla"].texts]
    assert "20 pairs unscored in all" in found.caption


def test_each_model_is_held_against_its_own_baseline() -> None:
    cells = both("prompt", content=0.0) + both("persllm", content=1.0)
    cells += both("prompt", content=0.8, model="big@2") + both("persllm", content=0.9, model="big@2")
    cells += both("persllm", content=0.5, model="lonely@3")
    found = sketch(draw_forest, cells)
    assert [axis.get_title(loc="left") for axis in found.figure.axes] == ["persllm, big", "persllm, toy"]
    assert found.alt.endswith("Those that stand: persllm, toy content +1.00 [+1.00 to +1.00].")
    assert found.title == "1 of 12 differences from prompt stand after correction"
    with pytest.raises(NothingToDrawError, match="no other system shares items with prompt"):
        sketch(draw_forest, both("prompt"))


def test_a_number_that_is_not_finite_is_unscored() -> None:
    made = cell("prompt", content=1.0)
    for value, row in zip((float("nan"), float("inf")), made.tasks["persbench_costume"], strict=False):
        row["metrics"]["content_acc"] = [value, True]
    found = sketch(draw_content_voice, [made])
    ((place, _),) = points(found.figure.axes[0]).values()
    assert place == (0.8, 1.0)
    assert "2 unscored" in found.caption
