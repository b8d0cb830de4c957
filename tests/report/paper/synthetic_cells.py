"""Small results made by hand: systems on personas, of which every score is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from persbench.records import CellRecord, save_record
from persbench.report.cells import Cell
from persbench.report.paper.claims import column_of, headlines

SIX = ("ada", "bo", "cy", "di", "ed", "flo")
MODEL, PACK = "toy@111111111111", "world-1.0.0@222222222222"
QUESTIONS = 8
ONE, OTHER = "the ferry never waits here at all", "salt costs more every single winter"

Scores = Sequence[float | None]


def rows_of(metric: str, persona: str, scores: Scores) -> list[dict[str, Any]]:
    """One item a score, each a question that all personas share."""
    return [
        {
            "id": f"{persona}/q{i}",
            "persona": persona,
            "stage": "early",
            "kind": "plain",
            "cluster": f"q{i}",
            "metrics": {metric: [score, score is not None]},
            "chance": {metric: 0.5},
        }
        for i, score in enumerate(scores)
    ]


def cell(system: str, persona: str, scores: Mapping[str, Scores], **signature: Any) -> Cell:
    """A cell with the scores of some metrics; other facts of its signature may be given."""
    tasks = {column_of(metric).task: rows_of(metric, persona, values) for metric, values in scores.items()}
    versions = ",".join(f"{task.removeprefix('persbench_')}-1.0@abc" for task in sorted(tasks))
    facts = {
        "pack": PACK,
        "model": MODEL,
        "dtype": "float32",
        "limit": None,
        "system": f"{system}@1",
        "tasks": versions,
    }
    return Cell(system, persona, facts | signature, tasks)


def system_cells(
    system: str, score: float | None, personas: Sequence[str] = SIX, metrics: Sequence[str] = (), **signature: Any
) -> list[Cell]:
    """A system with one and the same score on every item of every headline."""
    shown = metrics or headlines()
    return [cell(system, who, {m: [score] * QUESTIONS for m in shown}, **signature) for who in personas]


def talkers(system: str, texts: Mapping[str, tuple[str, str]], **more: Scores) -> list[Cell]:
    """A system whose personas say the same two texts to every question at both stages."""
    found = []
    for persona, pair in texts.items():
        rows: list[dict[str, Any]] = [
            {"id": f"{persona}/{stage}/q{i}", "persona": persona, "stage": stage, "kind": "plain", "cluster": f"q{i}",
             "replies": list(pair), "metrics": {}, "chance": {}}
            for stage in ("early", "late")
            for i in range(QUESTIONS)
        ]  # fmt: skip
        one = cell(system, persona, more)
        labels = one.signature["tasks"]
        tasks = {**one.tasks, "persbench_distinction": rows}
        facts = one.signature | {"tasks": f"distinction-1.0@abc{',' if labels else ''}{labels}"}
        found.append(Cell(system, persona, facts, tasks))
    return found


def save_cells(folder: Path, cells: Sequence[Cell]) -> Path:
    """Write cells as records."""
    for number, one in enumerate(cells):
        tasks = {task: {"version": "1.0", "hash": "abc", "samples": rows} for task, rows in one.tasks.items()}
        record = CellRecord(one.system, one.persona, f"key{number}", one.signature, tasks, {})
        save_record(folder / "records" / f"{number:03}.json", record)
    return folder
