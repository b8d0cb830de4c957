"""The board: every number with its interval, counts, chance and signature, and broken files named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from persbench.errors import FaultsError, PersbenchError
from persbench.records import CellRecord, save_record
from persbench.report.board import lines_of, signature_lines
from persbench.report.cells import Cell, load_cells
from persbench.report.table import csv_board, markdown_board, number


def row(question: str, value: float | None, **more: Any) -> dict[str, Any]:
    metrics = {"attitude_acc": [value, value is not None], "attitude_acc_raw": [1.0, True]}
    metrics |= {"attitude_margin": [0.02, True], "attitude_margin_raw": [0.01, True]}
    return {"id": question, "cluster": question, "metrics": metrics, "chance": {"attitude_acc": 0.25}} | more


def cell(system: str, persona: str, values: list[float | None], **signature: Any) -> Cell:
    rows = [row(f"q{i}", value) for i, value in enumerate(values)]
    return Cell(system, persona, {"system": system, "pack": "w@1", **signature}, {"persbench_attitude": rows})


def test_the_mean_is_over_items_of_all_personas_and_unscored_is_counted_not_zero() -> None:
    cells = [cell("prompt", "ada", [1.0, 0.0, None]), cell("prompt", "bo", [1.0, 1.0, 1.0])]
    (line,) = lines_of(cells)
    entry = line.entries["attitude_acc"]
    assert (entry.value.mean, entry.value.n, entry.value.unscored, entry.value.clusters) == (0.8, 5, 1, 3)
    assert entry.raw is not None
    assert entry.raw.mean == 1.0
    assert entry.chance == 0.25
    assert line.personas == ("ada", "bo")


def test_the_order_is_systems_by_their_place_then_sanity() -> None:
    names = ["sanity:random", "prompt", "vanilla", "mine"]
    assert [line.system for line in lines_of([cell(n, "ada", [1.0, 0.0]) for n in names])] == [
        "vanilla",
        "prompt",
        "mine",
        "sanity:random",
    ]


def test_other_settings_stand_on_another_line() -> None:
    cells = [cell("prompt", "ada", [1.0, 0.0], limit=2), cell("prompt", "ada", [0.0, 0.0], limit=8)]
    assert len(lines_of(cells)) == 2


def test_a_sanity_system_off_chance_is_marked() -> None:
    always = [cell("sanity:longest", "ada", [1.0] * 40), cell("sanity:random", "ada", [1.0, 0.0, 0.0, 0.0] * 10)]
    marks = {line.system: line.entries["attitude_acc"].off_chance for line in lines_of(always)}
    assert marks == {"sanity:longest": True, "sanity:random": False}
    text = markdown_board({"board": lines_of(always)})
    assert "| sanity:longest | 1.00 ! |" in text
    assert "| sanity:random | 0.25 |" in text


def test_the_floor_may_beat_chance() -> None:
    (line,) = lines_of([cell("sanity:profile_overlap", "ada", [1.0] * 40)])
    assert not line.entries["attitude_acc"].off_chance


def test_signatures_say_what_is_shared_once() -> None:
    lines = lines_of([cell("prompt", "ada", [1.0, 0.0], anchors="x"), cell("vanilla", "ada", [1.0, 0.0], anchors="y")])
    shared, *own = signature_lines(lines)
    assert shared == "pack:w@1"
    assert [text.split("  ")[0] for text in own] == ["vanilla", "prompt"]
    assert all("personas:ada" in text and "anchors:" in text for text in own)


def test_csv_holds_every_number() -> None:
    table = csv_board({"board": lines_of([cell("prompt", "ada", [1.0, 0.0])])})
    assert "prompt,,attitude_acc,0.5,0.0,1.0,2,0,0.25,ada" in table
    assert "prompt,,attitude_acc_raw,1.0,1.0,1.0,2,0,0.25,ada" in table
    assert "prompt,,attitude_acc:margin,0.02,0.02,0.02,2,0,,ada" in table


def test_numbers() -> None:
    assert [number(0.5), number(None), number(-0.25, "signed"), number(12.34, "number")] == [
        "0.50",
        "-",
        "-0.25",
        "12.3",
    ]


def record(persona: str) -> CellRecord:
    tasks = {"persbench_attitude": {"version": "1.0", "hash": "abc", "samples": [row("q1", 1.0)]}}
    return CellRecord("prompt", persona, "key", {"system": "prompt@1"}, tasks, {})


def test_a_broken_record_is_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    save_record(tmp_path / "records" / "prompt__ada.json", record("ada"))
    (tmp_path / "records" / "prompt__bo.json").write_text('{"format": 1, "sys')
    cells, faults = load_cells(tmp_path)
    assert [c.persona for c in cells] == ["ada"]
    assert cells[0].signature["tasks"] == "attitude-1.0@abc"
    assert [str(fault).split(":")[0] for fault in faults] == ["records/prompt__bo.json"]


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(PersbenchError, match="holds no results"):
        load_cells(tmp_path)
    with pytest.raises(PersbenchError, match="no folder"):
        load_cells(tmp_path / "none")
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "x__y.json").write_bytes(b"\xff\xfe")
    with pytest.raises(FaultsError, match="no readable result: 1 fault"):
        load_cells(tmp_path)


def test_an_lm_eval_result_without_samples_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "results_2026.json").write_text('{"configs": {"persbench_attitude": {}}}')
    with pytest.raises(FaultsError, match="run lm_eval with --log_samples"):
        load_cells(tmp_path)
