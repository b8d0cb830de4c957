"""The board: every number with its interval, counts, chance and signature, and broken files named."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from persbench.cli import app
from persbench.errors import FaultsError, PersbenchError
from persbench.records import CellRecord, save_record
from persbench.report.board import columns, lines_of, signature_lines, table_titles
from persbench.report.cells import Cell, load_cells
from persbench.report.table import counts, csv_board, markdown_board, number, terminal_board
from persbench.visible import markdown_text


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


def huge() -> dict[str, Any]:
    return row("q1", 1.0) | {"bytes": [10**400]}


@pytest.mark.parametrize(
    "change",
    [
        {"tasks": []},
        {"tasks": {"persbench_attitude": []}},
        {"tasks": {"persbench_attitude": {"version": 1.0, "hash": "abc", "samples": []}}},
        {"tasks": {"persbench_attitude": {"version": "1.0", "hash": "abc", "samples": ["text"]}}},
        {"tasks": {"persbench_attitude": {"version": "1.0", "hash": "abc", "samples": [huge()]}}},
        {"tasks": {"persbench_attitude": {"version": "1.0", "hash": "abc", "samples": [row("q", 1) | {"id": []}]}}},
        {"tasks": {"persbench_attitude": {"version": "1.0", "hash": "abc", "samples": [row("q", float("nan"))]}}},
        {"tasks": {"persbench_attitude": {"version": "1.0", "hash": "abc", "samples": [row("\ud800", 1)]}}},
        {"signature": []},
        {"signature": {"adapter": []}},
        {"signature": {"model": 10**400}},
        {"run": []},
        {"persona": {}},
        {"system": None},
    ],
    ids=range(14),
)
def test_a_record_of_another_form_is_left_out_by_name(change: dict[str, Any], tmp_path: Path) -> None:
    for persona in ("ada", "bo"):
        save_record(tmp_path / "records" / f"prompt__{persona}.json", record(persona))
    hostile = tmp_path / "records" / "prompt__bo.json"
    hostile.write_text(json.dumps(json.loads(hostile.read_text("utf-8")) | change), "utf-8")
    cells, faults = load_cells(tmp_path)
    assert [c.persona for c in cells] == ["ada"]
    assert [fault.file for fault in faults] == ["records/prompt__bo.json"]
    assert "\n" not in str(faults[0])
    (tmp_path / "records" / "prompt__ada.json").unlink()
    for words in (["report", "table"], ["report", "figures"], ["paper", "main"], ["leaderboard", "build"]):
        out = [] if words == ["report", "table"] else ["--out", str(tmp_path / "out")]
        told = CliRunner().invoke(app, [*words, str(tmp_path), *out]).exception
        assert isinstance(told, FaultsError), told


@pytest.mark.parametrize("content", ["[]", "[" * 100_000, '{"configs": 7}', '{"configs": ["persbench_x/../y"]}'])
def test_a_foreign_result_file_is_left_out_by_name(content: str, tmp_path: Path) -> None:
    save_record(tmp_path / "records" / "prompt__ada.json", record("ada"))
    (tmp_path / "results_2026.json").write_text(content)
    cells, faults = load_cells(tmp_path)
    assert [c.persona for c in cells] == ["ada"]
    assert [fault.file for fault in faults] == ["results_2026.json"]


@pytest.mark.parametrize("field", ["cluster", "metrics", "id"])
def test_samples_that_lack_what_a_table_needs_end_in_one_sentence(field: str, tmp_path: Path) -> None:
    rows = [{key: value for key, value in row("q1", 1.0).items() if key != field}]
    tasks = {"persbench_attitude": {"version": "1.0", "hash": "abc", "samples": rows}}
    save_record(
        tmp_path / "records" / "prompt__ada.json", CellRecord("prompt", "ada", "key", {"pack": "w@1"}, tasks, {})
    )
    for words in (["report", "table"], ["report", "compare"], ["paper", "main"], ["leaderboard", "build"]):
        out = ["--out", str(tmp_path / "out")] if words[-1] in {"main", "build"} else []
        done = CliRunner().invoke(app, [*words, str(tmp_path), *out])
        assert isinstance(done.exception, PersbenchError | None), done.exception
        assert "\n" not in str(done.exception)


def stock(folder: Path, *replies: str) -> Path:
    """Results of the stock command, whose samples have such replies."""
    folder.mkdir(exist_ok=True)
    (folder / "results_2026.json").write_text('{"configs": {"persbench_reply": {}}}')
    doc = {"persona": "ada", "system": "prompt", "cluster": "q", "kind": "reply"}
    lines = [
        {"doc": doc | {"id": f"r{n}"}, "resps": [[text]], "metrics": ["lift"], "lift": [1.0, True]}
        for n, text in enumerate(replies)
    ]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (folder / "samples_persbench_reply_2026.jsonl").write_text(text, "utf-8", newline="\n")
    return folder


def test_a_line_separator_in_a_reply_ends_no_sample(tmp_path: Path) -> None:
    (found,), faults = load_cells(stock(tmp_path, "one\u2028two\x85three", "four"))
    assert [one["reply"] for one in found.tasks["persbench_reply"]] == ["one\u2028two\x85three", "four"]
    assert not faults


HOSTILE = ('=HYPERLINK("http://x")', "+1", "-2+3", "@SUM(A1)", " =1", "\uff1dA1")


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_is_a_formula_in_a_spreadsheet(name: str) -> None:
    table = csv_board({"board": lines_of([cell(name, name, [1.0, 0.0], model=name)])})
    for found in list(csv.reader(StringIO(table)))[1:]:
        assert [found[0], found[1], found[9]] == [f"'{name}"] * 3
        assert found[3] == ("0.02" if found[2].endswith("margin") else "1.0" if found[2].endswith("raw") else "0.5")


def test_a_name_is_shown_as_it_is_and_no_markup() -> None:
    name = "a|b<script>[red]x[/red]\x1b[31m"
    lines = lines_of([cell(name, "ada", [1.0, 0.0], model="```")])
    text = markdown_board({"board": lines})
    assert "| a\\|b&lt;script&gt;[red]x[/red]\\\\x1b[31m |" in text
    assert "````\n" in text
    console = Console(width=200, record=True, file=StringIO())
    console.print(terminal_board({"board": lines}))
    shown = console.export_text()
    assert "[red]x[/red]\\x1b[31m" in shown
    assert "\x1b" not in shown


def test_an_lm_eval_result_without_samples_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "results_2026.json").write_text('{"configs": {"persbench_attitude": {}}}')
    with pytest.raises(FaultsError, match="run lm_eval with --log_samples"):
        load_cells(tmp_path)


def pressure(held: float | None, flips: float | None) -> dict[str, Any]:
    metrics = {"held_first": held, "held_first_raw": 0.0, "turn_of_flip": flips, "turn_of_flip_raw": None}
    return {
        "id": "p",
        "cluster": "q1",
        "kind": "pressure",
        "metrics": {k: [v, v is not None] for k, v in metrics.items()},
    }


def test_a_question_that_does_not_arise_is_neither_scored_nor_unscored() -> None:
    """Flips are asked for where the own stance held first: not at 0 or in a tie, and unscored where it is unknown."""
    rows = [pressure(1.0, 3.0), pressure(1.0, None), pressure(0.0, None), pressure(0.5, None), pressure(None, None)]
    (line,) = lines_of([Cell("prompt", "ada", {"system": "prompt"}, {"persbench_pressure": rows})], "resistance")
    entry = line.entries["turn_of_flip"]
    assert (entry.value.mean, entry.value.n, entry.value.unscored, entry.idle) == (3.0, 1, 2, 2)
    assert entry.raw is not None
    assert (entry.raw.n, entry.raw.unscored) == (0, 0)  # raw, nothing was held first
    assert counts(entry) == ["n 1", "+2 unscored", "(2 n/a)"]
    assert line.entries["held_first"].idle == 0


def test_only_later_events_can_leak() -> None:
    def stages(kind: str, leak: float | None) -> dict[str, Any]:
        return {"id": kind, "cluster": kind, "kind": kind, "metrics": {"no_future_leak": [leak, leak is not None]}}

    rows = [stages("later_event", 1.0), stages("later_event", None), stages("change", None)]
    (line,) = lines_of([Cell("prompt", "ada", {"system": "prompt"}, {"persbench_stages": rows})], "dynamics")
    assert counts(line.entries["no_future_leak"]) == ["n 1", "+1 unscored", "(1 n/a)"]


def test_every_style_shows_unscored_counts_and_never_a_zero_for_them() -> None:
    some = lines_of([cell("prompt", "ada", [1.0, 0.0, None, None])])
    none = lines_of([cell("prompt", "ada", [None, None])])
    assert "| prompt | **0.50** [.00 1.00]<br>m +2.0 [+2.0 +2.0]<br>n 2<br>+2 unscored |" in markdown_board(
        {"board": some}
    )
    assert "| prompt | unscored<br>n 0<br>+2 unscored |" in markdown_board({"board": none})
    assert "prompt,,attitude_acc,,,,0,2,0.25,ada,0" in csv_board({"board": none})
    for lines, told in ((some, "+2 unscored"), (none, "unscored")):
        console = Console(width=120, record=True, file=StringIO())
        console.print(terminal_board({"board": lines}))
        assert told in console.export_text()


def test_every_column_of_items_has_a_chance_level_or_can_have_none() -> None:
    """Choices have one in their rows; the board's own fill the rest, or there is none to be had."""
    fixed = {c.metric for name in table_titles() for c in columns(name) if c.chance is not None}
    assert {"d_prime", "kappa", "drift", "trait_r", "acquiescence", "order_gap", "cosine_lift"} <= fixed
    statement = {"id": "s1", "domain": "O", "keyed": 1, "target": 4.5}
    branch = {"label": "text/ascending", "loglikelihoods": [-1.0] * 5, "anchors": [0.0] * 5}
    traits = {
        "id": "t1", "persona": "ada", "stage": "early", "cluster": "s1", "kind": "traits", "statement": statement,
        "bytes": [1] * 5, "branches": [branch], "metrics": {"order_gap": [None, False]},
    }  # fmt: skip
    (line,) = lines_of([Cell("prompt", "ada", {"system": "prompt"}, {"persbench_traits": [traits]})], "traits")
    assert line.entries["trait_distance"].chance == 1.5  # 3 everywhere, and one target of 4.5
    assert line.entries["order_gap"].chance == 1.6
    assert line.entries["alpha"].chance is None


def talk(**more: Any) -> dict[str, Any]:
    return row("q1", 1.0, transcripts={"talk": [], "control": []}) | more


def test_notes_say_how_often_turns_were_dropped_dialogues_broke_off_and_the_persona_was_folded() -> None:
    rows = [
        talk(dropped_turns={"talk": 2, "control": 1}, rendering="folded", left_out=3),
        talk(dropped_turns={}, faults={"control": "empty\x1b[31m reply"}, rendering="chat"),
        talk(faults={"talk": "empty\x1b[31m reply"}, rendering="chat/folded"),
    ]
    cells = [Cell("prompt", "ada", {"system": "prompt"}, {"persbench_attitude": rows})]
    (line,) = lines_of(cells)
    full, cut, broken, folded = line.notes
    start = "persbench_attitude: the model's "
    assert full == f"{start}context ran full in 2 of 6 dialogues, which lost their oldest exchanges, at most 2"
    assert cut == (
        "persbench_attitude: pieces of the prompt had no room in the model's context in 1 of 3 items, at most 3"
    )
    reasons = "2 x empty [31m reply"
    assert broken == f"persbench_attitude: 2 of 6 dialogues broke off, and are unscored from there ({reasons})"
    assert folded == f"{start}template takes no system message: it stands in the user's turn in 2 of 3 items"
    assert f"- prompt: {markdown_text(full)}" in markdown_board({"board": [line]})
    assert lines_of([cell("prompt", "ada", [1.0, 0.0])])[0].notes == ()
