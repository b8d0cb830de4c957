"""Result files of the stock `lm_eval` command, read line by line and made into records in the board's layout."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from persbench.harness.tasks import mean_scored
from persbench.records import CellRecord, cell_key
from persbench.samples import FILLER, sample_row
from persbench.stock_results import RESULTS, sample_file, stock_signature
from persbench.submission.findings import DOCUMENTS, FORM, READING, SETTINGS, TASKS, TOTALS, Findings, shown
from persbench.submission.form import check_sample, formed
from persbench.submission.metrics import EXACT
from persbench.submission.reading import UnreadableError, lines_of, parsed, read_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from persbench.samples import Row
    from persbench.submission.examiner import Examiner
    from persbench.submission.form import Formed

STOCK: Final = "lm_eval"
"""Key in the provenance of a record that was made from lm-eval's own files."""
_SETTINGS: Final = ("output_type", "num_fewshot", "generation_kwargs", "description", "repeats", "doc_to_text")
_TOLD: Final = ("model", "model_args", "model_sha", "model_dtype", "model_revision", "batch_size", "device")


def stock_records(path: Path, examiner: Examiner, findings: Findings) -> list[Formed]:
    """Read one `results_*.json` with the sample files beside it.

    Args:
        path: The results file.
        examiner: Knows the tasks.
        findings: Gets every fault, with file and line.

    Returns:
        One record for each system and persona in it; their samples are in form, and still to be held against the pack.
    """
    try:
        results = parsed(read_bytes(path))
        if not isinstance(results, dict) or not isinstance(results.get("configs"), dict):
            findings.add(READING, "no results file of lm-eval: it has no configs")
            return []
        names = sorted(name for name in results["configs"] if name in examiner.files)
        if not names:
            findings.add(TASKS, "holds no task of persbench")
            return []
        by_cell: dict[tuple[str, str], dict[str, list[Row]]] = {}
        for name in names:
            _check_config(results, name, examiner, findings)
            rows = _rows(sample_file(path, name), name, _most(examiner, name), findings)
            _check_totals(results, name, rows, findings)
            for row in rows:
                by_cell.setdefault((row["system"], row["persona"]), {}).setdefault(name, []).append(row)
        return [
            formed(_record(results, system, persona, rows, examiner, path), rows)
            for (system, persona), rows in sorted(by_cell.items())
        ]
    except UnreadableError as error:
        findings.add(READING, str(error))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        findings.add(FORM, f"no results file as lm-eval writes it ({type(error).__name__}: {shown(str(error))})")
    return []


def _most(examiner: Examiner, name: str) -> int:
    """Return after how many samples no more are read: some more than all personas of the pack have."""
    task = examiner.task(name)
    return 100 + 2 * (0 if task is None else len(task.documents))


def _rows(path: Path, task: str, most: int, findings: Findings) -> list[Row]:
    """Read the samples of one task; each fault is told with its line."""
    rows: list[Row] = []
    if not path.exists():
        findings.add(READING, f"no {path.name} beside it: run lm_eval with --log_samples")
        return rows
    try:
        for line, sample in lines_of(path):
            where = f"{path.name}:{line}"
            if line > most:
                findings.add(FORM, f"{path.name}: more than {most:,} samples, the rest was not read")
                break
            try:
                if sample["doc"].get(FILLER):
                    continue
                row = sample_row(sample)
            except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
                told = f"{type(error).__name__}: {shown(str(error))}"
                findings.add(FORM, f"{where}: no sample as lm-eval writes it ({told})")
                continue
            if check_sample(row, f"{task}, {where}", findings) is not None:
                rows.append(row)
    except UnreadableError as error:
        findings.add(READING, f"{path.name}: {error}")
    return rows


def _check_config(results: dict[str, Any], name: str, examiner: Examiner, findings: Findings) -> None:
    """Hold a task's configuration against the one here; lm-eval keeps no hash of it."""
    task, config = examiner.task(name), results["configs"][name]
    if task is None:
        findings.add(DOCUMENTS, f"{name}: the pack has no items for it")
        return
    known = task.dump_config()
    for key in _SETTINGS:
        if _plain(config.get(key)) != _plain(known.get(key)):
            told = f"{key} is {shown(str(config.get(key)))}; expected {shown(str(known.get(key)))}"
            findings.add(TASKS, f"{name}: {told}")
    given, own = (one.get("metadata") or {} for one in (config, known))
    if given.get("reply") != own.get("reply"):
        findings.add(
            TASKS, f"{name}: replies in dialogue by {shown(str(given.get('reply')))}; expected {own.get('reply')}"
        )
    overridden = (results.get("config") or {}).get("gen_kwargs")
    if overridden:
        findings.add(
            SETTINGS, f"--gen_kwargs {shown(str(overridden))}: the tasks' own settings are compared, leave it out"
        )
    if given.get("instrument"):
        findings.add(SETTINGS, f"{name}: asked another scale (instrument); the board holds the pack's own")


def _plain(value: Any) -> Any:
    return None if value in ("", [], {}) else value


def _check_totals(results: dict[str, Any], name: str, rows: list[Row], findings: Findings) -> None:
    """Hold lm-eval's means and counts against the samples."""
    counts = (results.get("n-samples") or {}).get(name) or {}
    for key in ("original", "effective"):
        if counts.get(key) != len(rows):
            findings.add(
                TOTALS, f"{name}: {key} number of samples is {shown(counts.get(key))}, and there are {len(rows)}"
            )
    means = (results.get("results") or {}).get(name) or {}
    metrics = sorted({metric for row in rows for metric in row["metrics"]})
    for metric in metrics:
        told = means.get(f"{metric},none")
        found = mean_scored([(pair[0], pair[1]) for row in rows if (pair := row["metrics"].get(metric))])
        same = isinstance(told, (int, float)) and (
            math.isclose(told, found, rel_tol=EXACT, abs_tol=EXACT) or (math.isnan(told) and math.isnan(found))
        )
        if not same:
            findings.add(TOTALS, f"{name}: {metric} is {shown(told)} in the results and {found:.12g} from the samples")


def _record(
    results: dict[str, Any], system: str, persona: str, rows: dict[str, list[Row]], examiner: Examiner, path: Path
) -> CellRecord:
    facts = stock_signature(results, system, rows)
    facts.pop("tasks")  # readers put the tasks of a record into its signature themselves
    pairs = {row["metrics"]["cosine_lift"][1] for row in rows.get("persbench_reply", [])}
    sorted_ = {row.get("sorted_as") is not None for row in rows.get("persbench_induction_reply", [])}
    named = [(results["configs"][task].get("metadata") or {}).get("embedder") for task in rows]
    used = True in pairs | sorted_
    # lm-eval does not say whether the default embedder was there: where nothing has a value it was not.
    facts["embedder"] = str(named[0]).rpartition("/")[2] if named[0] else examiner.default_embedder if used else "none"
    tasks = {
        task: {
            "version": str((results.get("versions") or {}).get(task)),
            "hash": examiner.files[task].hash,
            "samples": found,
        }
        for task, found in sorted(rows.items())
    }
    key = cell_key(facts, persona, tasks)
    config = results.get("config") or {}
    told = {name: config[name] for name in _TOLD if name in config}
    adapter = (results["configs"][next(iter(rows))].get("metadata") or {}).get("adapter")
    return CellRecord(
        system=system,
        persona=persona,
        key=key,
        signature=facts,
        tasks=tasks,
        provenance={STOCK: told | ({"adapter": str(adapter).rpartition("/")[2]} if adapter else {})},
        run={"started": path.stem.removeprefix(RESULTS)},
    )
