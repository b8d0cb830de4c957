"""A user's own pack in a folder of its own: it runs through all tasks, and what it lacks is skipped by name."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from persbench.harness.documents import documents_of
from persbench.harness.run import run
from persbench.harness.settings import RunSettings
from persbench.harness.task_index import expand, tasks_folder
from persbench.packs.bundled import fake_pack
from persbench.packs.load import load_pack
from persbench.records import load_record
from persbench.report.board import lines_of, table_titles
from persbench.report.cells import load_cells
from persbench.report.table import csv_board, markdown_board
from persbench.systems.registry import get_system

EVERYTHING = ("persbench", "persbench_gen")
BASE = {"attitude", "reply", "distinction", "who_said"}


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return shutil.copytree(fake_pack(), tmp_path / "mine")


def lose(pack: Path, *names: str) -> None:
    """Delete files of the pack; a name without a folder that personas have is deleted from each of them."""
    for name in names:
        gone = list(pack.rglob(name))
        assert gone, name
        for path in gone:
            path.unlink()


def played(pack: Path, out: Path, **more: Any) -> tuple[dict[str, set[str]], list[str]]:
    """Run all tasks; return the tasks in each record without their prefix, and the notices."""
    lines: list[str] = []
    settings = RunSettings(
        model="fake", pack=pack, out=out, backend="persbench-fake", systems=("prompt",), tasks=EVERYTHING,
        anchors=out / "anchors", limit=2, **more,
    )  # fmt: skip
    records = [load_record(path) for path in run(settings, lines.append)]
    return {r.persona: {name.removeprefix("persbench_") for name in r.tasks} for r in records}, lines


def test_a_copy_in_another_folder_runs_through_all_tasks(pack: Path, tmp_path: Path) -> None:
    found, lines = played(pack, tmp_path / "out")
    every = {task.name.removeprefix("persbench_") for task in expand(EVERYTHING, tasks_folder())}
    assert found == {"ada": every, "bo": every}
    assert not any("skipping" in line for line in lines)


def test_what_is_missing_is_skipped_by_name_and_the_board_shows_the_rest(pack: Path, tmp_path: Path) -> None:
    lose(pack, "dialogues.jsonl", "traits.jsonl", "pressure.jsonl", "general.jsonl")
    (pack / "personas" / "bo" / "stages.jsonl").unlink()
    found, lines = played(pack, tmp_path / "out")
    skipped = {
        line.split(" for ")[1].split(":")[0]: set(line.removeprefix("skipping ").split(" for ")[0].split(", "))
        for line in lines
        if line.startswith("skipping")
    }
    live = {"persbench_consistency", "persbench_consistency_gen", "persbench_pressure", "persbench_pressure_gen"}
    ordinary = {"persbench_traits", "persbench_traits_gen", "persbench_general", "persbench_general_reply"}
    stages = {"persbench_stages", "persbench_stages_gen"}
    assert skipped == {"ada": live | ordinary, "bo": live | ordinary | stages}
    assert all(line.endswith("the pack has no items for it") for line in lines if line.startswith("skipping"))
    assert {f"persbench_{name}" for name in found["ada"]} & (live | ordinary) == set()
    cells, faults = load_cells(tmp_path / "out")
    assert not faults
    tables = {name: lines_of(cells, name) for name in table_titles()}
    (line,) = tables["board"]  # personas with other tasks stand on one line all the same
    assert line.personas == ("ada", "bo")
    assert {"content_acc", "stage_item_acc"} <= set(line.entries)
    assert "all_own" not in line.entries
    assert tables["traits"] == tables["consistency"] == tables["rigidity"] == []
    assert "| consistent |" not in markdown_board(tables)
    assert "stage_item_acc" in csv_board(tables)


@pytest.mark.parametrize(
    ("gone", "tasks"),
    [
        (["contrast.jsonl"], {"costume"}),
        (["pressure.jsonl"], {"pressure"}),
        (["dialogues.jsonl"], {"consistency"}),
        (["knowledge.jsonl"], {"knowledge"}),
        (["induction.jsonl"], {"induction", "induction_reply"}),
        (["stages.jsonl"], {"stages"}),
        (["traits.jsonl"], {"traits"}),
        (["general.jsonl"], {"general", "general_reply"}),
    ],
)
def test_each_file_feeds_the_tasks_that_the_readme_says(pack: Path, gone: list[str], tasks: set[str]) -> None:
    lose(pack, *gone)
    assert lacking(pack) == tasks
    table = (tasks_folder() / "README.md").read_text("utf-8")
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| ") and f"`{gone[0]}`" in line]
    assert {name.strip() for _, told in rows for name in told.split(",")} == tasks


def test_questions_and_answers_alone_are_a_pack(pack: Path) -> None:
    lose(pack, "contrast.jsonl", "knowledge.jsonl", "induction.jsonl", "stages.jsonl")
    lose(pack, "pressure.jsonl", "dialogues.jsonl", "traits.jsonl", "general.jsonl")
    every = {task.name.removeprefix("persbench_") for task in expand(["persbench"], tasks_folder())}
    assert lacking(pack) == every - BASE
    (pack / "personas" / "bo" / "answers.jsonl").unlink()
    assert lacking(pack) == every - BASE | {"who_said"}  # nobody else to be taken for


def lacking(pack: Path) -> set[str]:
    """Return the likelihood and reply tasks that no persona of the pack has items for."""
    loaded, system = load_pack(pack), get_system("prompt")
    return {
        task.name.removeprefix("persbench_")
        for task in expand(["persbench"], tasks_folder())
        if not any(documents_of(task.name, loaded, data, system) for data in loaded.personas)
    }
