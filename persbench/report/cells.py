"""Reading results: persbench records, and lm-eval's own result and sample files, as the same cells."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from persbench.errors import Fault, FaultsError, PersbenchError
from persbench.records import load_record
from persbench.report.duplicates import once_each
from persbench.samples import FILLER, Row, sample_row
from persbench.stock_results import RESULTS, sample_file, stock_signature

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Cell:
    """One system on one persona, wherever it was evaluated.

    Attributes:
        system: System name.
        persona: Persona id.
        signature: Facts behind its numbers.
        tasks: Task name -> rows of `persbench.samples.sample_row`.
        made: When, in a form that sorts; empty if unknown.
        source: File it was read from, below the folder that was asked for.
        not_recomputed: Metrics of a submission that nobody computed again.
    """

    system: str
    persona: str
    signature: dict[str, Any]
    tasks: dict[str, list[Row]]
    made: str = ""
    source: str = ""
    not_recomputed: tuple[str, ...] = ()


def load_cells(folder: Path) -> tuple[list[Cell], list[Fault]]:
    """Read every result below a folder.

    Args:
        folder: What `persbench run --out` or `lm_eval run --output_path` wrote.

    Returns:
        The readable cells, each system, persona and settings once, and a fault for every file that is not readable
        and for whatever a later run of the same settings replaces.

    Raises:
        PersbenchError: No such folder, or no result in it.
        FaultsError: Results are there, but none can be read.
    """
    if not folder.is_dir():
        raise PersbenchError(f"no folder {folder}: give the one that `persbench run --out` wrote to.")
    paths = sorted(path for ending in ("json", "json.gz", "jsonl") for path in folder.rglob(f"*.{ending}"))
    cells, faults = _read(folder, tuple((path, *_stamp(path)) for path in paths))
    if not cells and faults:
        raise FaultsError(f"{folder}: no readable result", faults)
    if not cells:
        raise PersbenchError(
            f"{folder} holds no results. `persbench run --out {folder}` writes records; the stock `lm_eval run` needs "
            "--output_path and --log_samples."
        )
    once, replaced = once_each(cells)
    return once, [*faults, *replaced]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:  # a link to nowhere: told by whoever reads it
        return 0, 0
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=1)
def _read(folder: Path, stamped: tuple[tuple[Path, int, int], ...]) -> tuple[tuple[Cell, ...], tuple[Fault, ...]]:
    """Read the files of a folder; once, where several tables and pages of one process are made of the same files."""
    cells: list[Cell] = []
    faults: list[Fault] = []
    for path in (path for path, *_ in stamped if path.suffix != ".jsonl"):  # samples are read with their results
        name = path.relative_to(folder).as_posix()
        try:
            if path.parent.name == "records":
                record = load_record(path)
                rows = {task: content["samples"] for task, content in record.tasks.items()}
                signature = _with_tasks(record.signature, record.tasks)
                made = str(record.run.get("started", ""))
                cells.append(Cell(record.system, record.persona, signature, rows, made, name, record.not_recomputed))
            elif path.name.startswith(RESULTS):
                cells += [replace(cell, source=name) for cell in _lm_eval_cells(path)]
        except (PersbenchError, OSError, ValueError, KeyError, TypeError, IndexError) as error:
            faults.append(Fault(name, None, f"not a readable result: {error}"))
    return tuple(cells), tuple(faults)


def _with_tasks(signature: dict[str, Any], tasks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    versions = ",".join(
        f"{n.removeprefix('persbench_')}-{t['version']}@{t['hash'][:6]}" for n, t in sorted(tasks.items())
    )
    return signature | {"tasks": versions}


def _lm_eval_cells(results_path: Path) -> Iterator[Cell]:
    """Read the cells of one lm-eval result file and the sample files that belong to it.

    Raises:
        PersbenchError: The result names persbench tasks, but their samples were not saved.
    """
    results = json.loads(results_path.read_text("utf-8"))
    configs = results.get("configs", {})
    stamp = results_path.stem.removeprefix(RESULTS)
    tasks = [name for name in configs if name.startswith("persbench_")]
    by_cell: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for task in tasks:
        path = sample_file(results_path, task)
        if not path.exists():
            raise PersbenchError(f"no {path.name} beside it: run lm_eval with --log_samples")
        for line in path.read_text("utf-8").splitlines():
            sample = json.loads(line)
            if sample["doc"].get(FILLER):
                continue
            row = sample_row(sample)
            by_cell.setdefault((row["system"], row["persona"]), {}).setdefault(task, []).append(row)
    for (system, persona), rows in sorted(by_cell.items()):
        yield Cell(system, persona, stock_signature(results, system, rows), rows, made=stamp)
