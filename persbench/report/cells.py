"""Reading results: persbench records, and lm-eval's own result and sample files, as the same cells."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from persbench.errors import Fault, FaultsError, PersbenchError
from persbench.records import load_record, plain_json
from persbench.report.duplicates import once_each
from persbench.report.row_form import require_form
from persbench.samples import FILLER, Row, sample_row
from persbench.stock_results import RESULTS, sample_file, stock_signature
from persbench.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


UNREADABLE: Final = (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError)
"""What computing raises where a file that somebody else wrote holds something else than persbench writes."""


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


@contextmanager
def computing_from(folder: Path) -> Iterator[None]:
    """Say which folder is to blame where numbers cannot be computed from what lies in it.

    Raises:
        PersbenchError: In the place of whatever an item raised that lacks something, or holds what it cannot.
    """
    try:
        yield
    except UNREADABLE as error:
        raise PersbenchError(
            f"{folder}: a record's samples are not as persbench writes them "
            f"({visible(f'{type(error).__name__}: {error}')}). Take the faulty record out, or run its cell again."
        ) from error


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:  # a link to nowhere: told by whoever reads it
        return 0, 0
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=3)
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
                require_form(rows, record.signature)
                signature = _with_tasks(record.signature, record.tasks)
                made = str(record.run.get("started", ""))
                cells.append(Cell(record.system, record.persona, signature, rows, made, name, record.not_recomputed))
            elif path.name.startswith(RESULTS):
                cells += [replace(cell, source=name) for cell in _lm_eval_cells(path)]
        except PersbenchError as error:
            faults.append(Fault(name, None, f"not a readable result: {error}"))
        except (OSError, RecursionError, *UNREADABLE) as error:
            faults.append(Fault(name, None, f"not a readable result: {_told(error)}"))
    return tuple(cells), tuple(faults)


def _told(error: BaseException) -> str:
    """Write what is wrong as one line: a missing field alone would be but its name."""
    return visible(f"{type(error).__name__}: {error}" if isinstance(error, LookupError) else str(error))


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
    results = plain_json(results_path.read_text("utf-8"))
    configs = results.get("configs", {})
    stamp = results_path.stem.removeprefix(RESULTS)
    tasks = [name for name in configs if name.startswith("persbench_")]
    by_cell: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for task in tasks:
        path = sample_file(results_path, task)
        if not path.exists():
            raise PersbenchError(f"no {path.name} beside it: run lm_eval with --log_samples")
        for line in path.read_text("utf-8").split("\n"):  # other line ends may stand in a reply
            if not line.strip():
                continue
            sample = plain_json(line)
            if sample["doc"].get(FILLER):
                continue
            row = sample_row(sample)
            by_cell.setdefault((row["system"], row["persona"]), {}).setdefault(task, []).append(row)
    for (system, persona), rows in sorted(by_cell.items()):
        require_form(rows, {})
        yield Cell(system, persona, stock_signature(results, system, rows), rows, made=stamp)
