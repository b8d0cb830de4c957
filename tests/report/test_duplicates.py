"""Duplicates: the same cell twice counts once, parts of one evaluation stand together, other settings apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from persbench.errors import PersbenchError
from persbench.records import CellRecord, save_record
from persbench.report.board import lines_of
from persbench.report.cells import Cell, load_cells
from persbench.report.duplicates import once_each, require_one_setting


def rows(metric: str, values: list[float]) -> list[dict[str, Any]]:
    return [
        {"id": f"{metric}/{i}", "cluster": f"q{i}", "metrics": {metric: [value, True]}}
        for i, value in enumerate(values)
    ]


def cell(made: str, *, source: str = "", persona: str = "ada", limit: int = 2, **tasks: list[float]) -> Cell:
    """A cell with tasks given as name -> values of `<name>_acc`."""
    named = ",".join(f"{name}-1.0@abc" for name in sorted(tasks))
    signature = {"system": "prompt", "limit": limit, "tasks": named, "anchors": f"of {made}"}
    found = {f"persbench_{name}": rows(f"{name}_acc", values) for name, values in tasks.items()}
    return Cell("prompt", persona, signature, found, made, source or f"results_{made}.json")


def test_a_run_that_was_repeated_counts_once_and_the_older_is_named() -> None:
    old, new = cell("1", attitude=[0.0, 0.0]), cell("2", attitude=[1.0, 0.0])
    for given in ([old, new], [new, old]):
        (found,), faults = once_each(given)
        assert found.tasks == new.tasks
        assert [str(fault) for fault in faults] == [
            "results_1.json: persbench_attitude of prompt as ada was run again later: results_2.json counts"
        ]
    (line,) = lines_of(once_each([old, new])[0])
    assert (line.entries["attitude_acc"].value.mean, line.entries["attitude_acc"].value.n) == (0.5, 2)


def test_three_runs_of_which_one_was_in_parts() -> None:
    given = [cell("1", attitude=[0.0], knowledge=[0.0]), cell("2", attitude=[1.0]), cell("3", knowledge=[1.0])]
    (found,), faults = once_each(given)
    assert {name: one[0]["metrics"] for name, one in found.tasks.items()} == {
        "persbench_attitude": {"attitude_acc": [1.0, True]},
        "persbench_knowledge": {"knowledge_acc": [1.0, True]},
    }
    assert found.signature["tasks"] == "attitude-1.0@abc,knowledge-1.0@abc"
    assert [fault.file for fault in faults] == ["results_1.json"]


def test_tasks_run_one_after_the_other_stand_on_one_line_without_a_notice() -> None:
    parts = [cell("1", attitude=[1.0, 0.0]), cell("2", knowledge=[1.0, 1.0]), cell("3", persona="bo", knowledge=[0.0])]
    cells, faults = once_each(parts)
    assert faults == []
    assert [(one.persona, sorted(one.tasks)) for one in cells] == [
        ("ada", ["persbench_attitude", "persbench_knowledge"]),
        ("bo", ["persbench_knowledge"]),
    ]
    (line,) = lines_of(cells)
    assert line.signature["tasks"] == "attitude-1.0@abc,knowledge-1.0@abc"
    assert (line.personas, line.entries["knowledge_acc"].value.n) == (("ada", "bo"), 3)


def test_what_nobody_recomputed_is_told_of_the_parts_that_count() -> None:
    first = replace(cell("1", attitude=[1.0], reply=[1.0]), not_recomputed=("cosine_lift",))
    partly, wholly = cell("2", attitude=[0.0]), cell("2", attitude=[0.0], reply=[1.0])
    assert [once_each([first, later])[0][0].not_recomputed for later in (partly, wholly)] == [("cosine_lift",), ()]


def test_other_settings_or_another_version_of_a_task_are_never_joined() -> None:
    one = cell("1", attitude=[1.0])
    other = Cell("prompt", "ada", one.signature | {"tasks": "attitude-1.1@def"}, one.tasks, "2", "results_2.json")
    for given in ([one, cell("2", limit=8, attitude=[1.0])], [one, other]):
        cells, faults = once_each(given)
        assert (len(cells), faults) == (2, [])
        assert len(lines_of(cells)) == 2


def test_a_comparison_of_one_system_with_two_settings_is_refused() -> None:
    cells = [cell("1", attitude=[1.0]), cell("2", limit=8, attitude=[1.0])]
    with pytest.raises(PersbenchError, match=r"prompt as ada stands there with two settings \(limit 2 and 8\), in re"):
        require_one_setting(cells)
    require_one_setting([cell("1", attitude=[1.0]), cell("2", persona="bo", limit=8, attitude=[1.0])])
    require_one_setting([])


def test_the_same_cell_in_two_out_folders_is_counted_once(tmp_path: Path) -> None:
    for folder, started in (("a", "2026-01-02T00:00:00+00:00"), ("b", "2026-01-01T00:00:00+00:00")):
        tasks = {"persbench_attitude": {"version": "1.0", "hash": "abc", "samples": rows("attitude_acc", [1.0, 0.0])}}
        record = CellRecord("prompt", "ada", "key", {"system": "prompt@1"}, tasks, {}, {"started": started})
        save_record(tmp_path / folder / "records" / "prompt__ada.json", record)
    (found,), (fault,) = load_cells(tmp_path)
    assert (found.source, found.made) == ("a/records/prompt__ada.json", "2026-01-02T00:00:00+00:00")
    assert (fault.file, "a/records/prompt__ada.json counts" in fault.message) == ("b/records/prompt__ada.json", True)
