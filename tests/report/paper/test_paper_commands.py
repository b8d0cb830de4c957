"""The commands: each table from records on the disk, in each format, and what is said where it cannot be made."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from synthetic_cells import ONE, OTHER, SIX, save_cells, system_cells, talkers
from typer.testing import CliRunner, Result

from persbench.cli import app
from persbench.errors import PersbenchError
from persbench.packs.bundled import fake_pack


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["paper", *map(str, words)])


def refused(*words: str | Path) -> str:
    error = run(*words).exception
    assert isinstance(error, PersbenchError), error
    return str(error)


@pytest.fixture
def records(tmp_path: Path) -> Path:
    cells = system_cells("persllm", 1.0, SIX[:2]) + system_cells("prompt", 0.0, SIX[:2])
    return save_cells(tmp_path / "run", cells + talkers("persllm-sft", {"ada": (ONE, OTHER)}))


def test_table_1_of_a_pack(tmp_path: Path) -> None:
    shown = run("table-1", fake_pack())
    assert shown.exit_code == 0
    assert "| knowledge paragraphs |" in shown.stdout
    assert "Published: PersLLM, table 1 (arXiv 2407.12393)" in shown.stdout
    assert "next: persbench paper table-1" in shown.stderr
    assert run("table-1", fake_pack(), "--out", tmp_path / "new" / "t.csv").exit_code == 0
    with (tmp_path / "new" / "t.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["table"] for row in rows} == {"table-1", "table-1-published"}
    assert next(row["Harry"] for row in rows if row["row"] == "train, early") == ""
    assert [row["Harry"] for row in rows if row["row"] == "train, early"][1] == "1684"


@pytest.mark.parametrize("table", ["table-2", "main", "ablation"])
def test_each_table_in_each_format_the_same_twice(table: str, records: Path, tmp_path: Path) -> None:
    for style, ending in (("markdown", "md"), ("latex", "tex"), ("csv", "csv")):
        out = tmp_path / f"{table}.{ending}"
        done = run(table, records, "--out", out)
        assert done.exit_code == 0, done.exception
        assert f"({style})" in done.stderr
        assert run(table, records, "--format", style).stdout == out.read_text("utf-8")
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]


def test_one_command_writes_several_files(records: Path, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("all.md", "all.tex", "all.csv")]
    done = run("main", records, *(word for path in files for word in ("--out", path)))
    assert done.exit_code == 0, done.exception
    assert "next:" not in done.stderr  # there is no other format
    for path, style in zip(files, ("markdown", "latex", "csv"), strict=True):
        assert run("main", records, "--format", style).stdout == path.read_text("utf-8")
    assert "stands twice" in refused("main", records, "--out", files[0], "--out", files[0])


def test_main_and_ablation_name_their_tables(records: Path) -> None:
    assert "**partly confirmed**" in run("main", records).stdout  # the other systems are missing
    assert "| 1 | Training beats prompting. | **confirmed** | 6 confirmed |" in run("main", records).stdout
    assert "The protocol's claim 4" in run("ablation", records).stdout
    assert "| ada | 0.00<br>" in run("table-2", records).stdout


def test_another_pair_and_another_baseline(records: Path) -> None:
    assert "Without automatic DPO: prompt; with it" in run("table-2", records, "--without", "prompt").stdout
    assert "2/2 above" in run("main", records).stdout
    assert "0/2 above" in run("main", records, "--baseline", "persllm").stdout


def test_what_is_not_there_is_refused_by_name(records: Path, tmp_path: Path) -> None:
    assert "unknown format 'word'" in refused("main", records, "--format", "word")
    assert "unknown system 'promt'. Did you mean 'prompt'" in refused("main", records, "--baseline", "promt")
    assert "unknown system 'dpo'" in refused("table-2", records, "--with", "dpo")
    assert "is a folder" in refused("main", records, "--out", tmp_path)
    assert "no folder" in refused("ablation", tmp_path / "none")
    assert "holds nothing that a judge said" in refused("judge", records)
    assert not (tmp_path / "table.md").exists()


def test_two_settings_of_one_system_are_refused(tmp_path: Path) -> None:
    cells = system_cells("prompt", 0.0, SIX[:1]) + system_cells("prompt", 1.0, SIX[:1], dtype="bfloat16")
    save_cells(tmp_path, cells)
    assert "stands there with two settings" in refused("main", tmp_path)


def test_a_record_with_numbers_that_are_none_is_left_out_by_name(records: Path) -> None:
    path = records / "records" / "000.json"
    content = json.loads(path.read_text("utf-8"))
    for task in content["tasks"].values():
        for row in task["samples"]:
            row["metrics"] = {metric: [float("nan"), True] for metric in row["metrics"]}
    path.write_text(json.dumps(content), "utf-8")
    done = run("main", records)
    assert done.exit_code == 0, done.exception
    assert "left out: records/000.json: not a readable result: " in done.stderr
    assert "Input should be a finite number" in done.stderr


@pytest.mark.parametrize("broken", ["cluster", "metrics"])
def test_samples_that_are_none_end_in_one_sentence(broken: str, records: Path) -> None:
    path = records / "records" / "000.json"
    content = json.loads(path.read_text("utf-8"))
    for task in content["tasks"].values():
        for row in task["samples"]:
            del row[broken]
    path.write_text(json.dumps(content), "utf-8")
    told = refused("main", records)
    assert "samples are not as persbench writes them" in told
    assert "\n" not in told


def test_a_file_that_cannot_be_written_is_said(records: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot write" in refused("ablation", records, "--out", tmp_path / "file" / "t.md")
