"""Figures as files: equal bytes for equal records, whatever names records hold, and reasons for what is not drawn."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest
from figure_cells import both, cell
from typer.testing import CliRunner

from persbench.cli import app
from persbench.errors import PersbenchError, UnknownNameError
from persbench.records import CellRecord, save_record
from persbench.report.cells import Cell
from persbench.report.figures import FIGURES, Drawn, draw_all, draw_system
from persbench.report.figures.content_voice import draw_content_voice
from persbench.report.figures.drawing import OF_A_SYSTEM
from persbench.report.figures.entrants import MOST_NAMED, choose, entrants
from persbench.report.figures.names import LONGEST, drawn_name, drawn_names
from persbench.report.figures.panels import grid
from persbench.report.figures.style import look, styled

HOSTILE = [
    "$\\frac{1}{0}$",
    "a" * 500,
    "\u202eevil\x1b[31m\nname",
    "<script>alert(1)</script>",
    "汉字🙂",
    "../../etc",
    "-- -->",
]


def bytes_of(drawn: list[Drawn]) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for one in drawn for path in one.files}


def test_equal_records_give_equal_files_in_any_order_and_under_any_settings(tmp_path: Path) -> None:
    cells = [cell("prompt"), cell("persllm", content=0.9)]
    endings = ("png", "svg", "pdf")
    drawn, missing = draw_all(cells, tmp_path / "one", endings=endings)
    assert missing == []
    assert [one.name for one in drawn] == list(FIGURES)
    assert [path.name for path in drawn[0].files] == ["content-voice.png", "content-voice.svg", "content-voice.pdf"]
    first = bytes_of(drawn)
    with mpl.rc_context({"font.size": 20, "savefig.dpi": 40, "svg.fonttype": "none"}):
        again, _ = draw_all(cells[::-1], tmp_path / "two", endings=endings)
    assert bytes_of(again) == first
    assert len(first) == 3 * len(FIGURES)
    for name, content in first.items():
        start = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[Path(name).suffix]
        assert content.startswith(start)
        assert b"CreationDate" not in content
    assert all(one.title and one.caption and one.alt for one in drawn)
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted(first)  # nothing half-written


def test_hostile_names_are_harmless(tmp_path: Path) -> None:
    cells = [cell(name) for name in [*HOSTILE[:4], "prompt"]] + [cell("prompt", name) for name in HOSTILE[4:]]
    drawn, missing = draw_all(cells, tmp_path / "out", endings=("svg",))
    assert missing == []
    for one in drawn:
        (path,) = one.files
        assert path.parent == tmp_path / "out"
        text = path.read_text("utf-8")
        ET.fromstring(text)  # well-formed, without control characters
        assert "<script" not in text
        for told in (one.title, one.caption, one.alt):
            assert told.isprintable()
            assert "a" * (LONGEST + 1) not in told
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_names_are_short_printable_and_no_two_alike() -> None:
    names = drawn_names(
        ["x" * 40 + "a" + "y" * 40, "x" * 40 + "b" + "y" * 40, "\u202e", "", "\U0010ffff", "plain", "plain"]
    )
    shown = list(names.values())
    assert len(shown) == 6
    assert len(set(shown)) == 6
    assert all(name.isprintable() and 0 < len(name) <= LONGEST for name in shown)
    assert names["plain"] == "plain"
    assert drawn_name("a\nb\t c") == "a b c"
    assert drawn_name("0123456789", 7) == "0123…89"


def test_settings_tell_systems_of_one_name_apart() -> None:
    cells = both("prompt", model="small@1") + both("prompt", model="big@2") + both("vanilla")
    assert [one.label for one in entrants(cells)] == ["vanilla", "prompt, big", "prompt, small"]
    seeds = both("persllm", training_seed=0) + both("persllm", training_seed=1, recipe="persllm")
    assert [one.label for one in entrants(seeds)] == ["persllm, no recipe", "persllm, recipe persllm"]
    assert [one.name for one in entrants([cell("prompt"), cell("sanity:longest")])] == ["prompt"]
    taken = [cell("prompt, big"), *both("prompt", model="big@2"), *both("prompt", model="small@1")]
    assert [one.label for one in entrants(taken)] == ["prompt, big", "prompt, small", "prompt, big #2"]


def test_among_many_the_highest_are_named_by_a_rule_and_the_others_grey() -> None:
    cells = [cell(f"s{number:02}", content=max(0.2, (number - 18) / 10)) for number in range(28)]
    cells += [cell("prompt", content=0.1), cell("vanilla", content=0.0)]
    everyone = entrants(cells)
    with styled():
        found = draw_content_voice(everyone, "prompt")
    axis: Any = found.figure.axes[0]
    named = [str(container.get_label()) for container in axis.containers]
    assert named == ["vanilla", "prompt", *(f"s{number}" for number in range(21, 28))]
    assert len(named) == MOST_NAMED
    (grey,) = [line for line in axis.lines if line.get_label() == "_rest"]
    assert len(grey.get_xdata()) == 21
    rule = "Named are prompt, vanilla and the highest others in content accuracy"
    assert f"{rule}; 21 more are grey." in found.caption
    assert "of the 9 named" in found.title
    assert choose(everyone[:3], lambda _: None, "nothing", "prompt").rule == ""


def test_unscored_systems_are_never_the_highest() -> None:
    everyone = entrants([cell(f"s{number:02}", content=None if number < 5 else 0.5) for number in range(15)])
    ranked = choose(everyone, lambda one: None if one.system < "s05" else 0.5, "content", "prompt")
    assert [one.system for one in ranked.named] == [f"s{number:02}" for number in range(5, 14)]


def test_who_was_measured_on_fewer_personas_gives_way_to_who_was_on_all() -> None:
    wide = [one for number in range(8) for one in both(f"wide-{number}")]
    everyone = entrants([cell("narrow-high"), cell("narrow-low"), *wide])
    ranked = choose(everyone, lambda one: {"narrow-high": 0.9, "narrow-low": 0.1}.get(one.system, 0.5), "it", "prompt")
    assert [one.system for one in ranked.rest] == ["narrow-low"]
    assert "the highest others in it, the widest measured first;" in ranked.rule


def test_the_title_of_a_panel_stands_clear_of_the_row_above_and_names_fill_the_empty_place() -> None:
    figure, panels = grid(4, 3, 2.0, 2.0)
    for panel in panels:
        panel.set_title("a system", fontsize=8)
        panel.set_xticks([0, 1], labels=["a rather long name"] * 2, rotation=90)
    figure.draw_without_rendering()
    top, beside, below = panels[0], panels[1], panels[3]
    assert not any(tick.tick1line.get_visible() for tick in top.xaxis.get_major_ticks())
    assert all(tick.label1.get_visible() for panel in (beside, below) for tick in panel.xaxis.get_major_ticks())
    title = below.title.get_window_extent()
    assert title.y1 <= top.get_window_extent().y0
    assert min(tick.label1.get_window_extent().y0 for tick in beside.xaxis.get_major_ticks()) < title.y0


def test_names_do_not_cover_each_other() -> None:
    cells = [cell(f"a-rather-long-name-{n}", content=0.6, voice=0.7 + 0.1 * (n % 2)) for n in range(6)]
    with styled():
        found = draw_content_voice(entrants(cells), "prompt")
    axis: Any = found.figure.axes[0]
    boxes = [text.get_window_extent() for text in axis.texts if text.get_text().startswith("a-rather")]
    assert len(boxes) == 6
    inside = axis.get_window_extent()
    for place, box in enumerate(boxes):
        assert inside.x0 <= box.x0 <= box.x1 <= inside.x1
        assert not any(box.overlaps(other) for other in boxes[place + 1 :])


def test_every_look_is_another_also_without_colour() -> None:
    looks = [look(place) for place in range(MOST_NAMED)]
    assert len({one.mark for one in looks}) == MOST_NAMED
    assert len({(look(place).colour, look(place).mark) for place in range(63)}) == 63


def test_what_the_records_do_not_hold_is_named_with_a_reason(tmp_path: Path) -> None:
    made = cell("prompt")
    part = Cell("prompt", "ada", made.signature, {"persbench_costume": made.tasks["persbench_costume"]})
    drawn, missing = draw_all([part], tmp_path, endings=("svg",))
    assert [one.name for one in drawn] == ["content-voice"]
    assert [told.split(":")[0] for told in missing] == ["forest", "confusion", "resistance", "drift", "traits"]
    assert missing[1] == "confusion: no system has scored items of persbench_who_said"
    nobody, reasons = draw_all([cell("sanity:longest")], tmp_path, endings=("svg",))
    assert nobody == []
    assert len(reasons) == len(FIGURES)


def test_items_of_another_form_are_a_reason_and_no_traceback(tmp_path: Path) -> None:
    made = cell("prompt")
    made.tasks["persbench_costume"][0]["metrics"] = {"content_acc": None}
    made.tasks["persbench_induction"][0]["metrics"] = ["resistance"]
    for row in made.tasks["persbench_who_said"]:
        row["labels"] = row["labels"][:2]
    made.tasks["persbench_traits"][0].pop("statement")
    made.tasks["persbench_consistency"][0]["own"] = math.nan
    drawn, missing = draw_all([made], tmp_path, endings=("svg",))
    assert drawn == []
    reasons = dict(told.split(": ", 1) for told in missing)
    assert reasons.pop("forest") == "no other system shares items with prompt on the same model and pack"
    assert set(reasons) == set(FIGURES) - {"forest"}
    assert all(told.startswith("its items are not as persbench writes them (") for told in reasons.values())


def test_only_what_is_asked_for_and_unknown_names_are_told(tmp_path: Path) -> None:
    drawn, missing = draw_all([cell("prompt")], tmp_path, only=("drift",), endings=("svg",))
    assert ([one.name for one in drawn], missing) == (["drift"], [])
    with pytest.raises(UnknownNameError, match=r"unknown figure 'drfit'.*Did you mean 'drift'"):
        draw_all([cell("prompt")], tmp_path, only=("drfit",))
    with pytest.raises(UnknownNameError, match="unknown file format 'gif'"):
        draw_all([cell("prompt")], tmp_path, endings=("gif",))


def test_one_system_alone(tmp_path: Path) -> None:
    cells = both("prompt") + both("persllm", lead=0.5) + both("persllm", model="big@2")
    drawn, missing = draw_system(cells, "persllm, big", tmp_path, endings=("svg",))
    assert [one.name for one in drawn] == list(OF_A_SYSTEM)
    assert missing == []
    assert all("persllm" in one.title and "prompt" not in one.alt for one in drawn)
    with pytest.raises(UnknownNameError, match="unknown system 'persll'"):
        draw_system(cells, "persll", tmp_path)
    with pytest.raises(PersbenchError, match=r"several settings \(persllm, big; persllm, toy\)"):
        draw_system(cells, "persllm", tmp_path)


def test_the_command_draws_and_says_what_is_missing(tmp_path: Path) -> None:
    made = cell("$prompt [red]")
    tasks = {
        name: {"version": "1.0", "hash": "abc", "samples": rows}
        for name, rows in made.tasks.items()
        if name in {"persbench_costume", "persbench_who_said"}
    }
    record = CellRecord(made.system, made.persona, "key", made.signature, tasks, {})
    save_record(tmp_path / "run" / "records" / "prompt__ada.json", record)
    out = tmp_path / "figures"
    said = CliRunner().invoke(app, ["report", "figures", str(tmp_path / "run"), "--out", str(out), "--formats", "svg"])
    assert said.exit_code == 0, said.output
    assert "not drawn: drift: no system has probes" in said.output
    assert "next: open" in said.output
    assert sorted(path.name for path in out.iterdir()) == ["confusion.svg", "content-voice.svg", "figures.md"]
    page = (out / "figures.md").read_text("utf-8")
    assert "](content-voice.svg)" in page
    assert "\\$prompt \\[red\\]" in page
    nothing = CliRunner().invoke(
        app, ["report", "figures", str(tmp_path / "run"), "--out", str(out), "--only", "drift"]
    )
    assert isinstance(nothing.exception, PersbenchError)
    assert "holds nothing to draw" in str(nothing.exception)
