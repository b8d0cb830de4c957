"""Result files of the stock `lm_eval` command are submitted as they are, and held to the same standard."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lm_eval.evaluator import simple_evaluate
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager
from submission_world import accepted, refused, words_embedder

from persbench.harness.backend import serving
from persbench.harness.fake_lm import FakeLM
from persbench.harness.task_index import tasks_folder
from persbench.packs.bundled import fake_pack
from persbench.records import load_record
from persbench.report.cells import load_cells

TASKS = ["persbench_costume", "persbench_consistency", "persbench_reply", "persbench_costume_gen"]


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What `lm_eval run --log_samples --output_path` writes, for both personas at once."""
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    folder = tmp_path_factory.mktemp("stock")
    metadata = {"pack": str(fake_pack()), "persona": "*", "system": "prompt", "anchors": str(folder / "anchors")}
    lm = FakeLM()
    with words_embedder():
        manager = TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata=metadata)
        with serving(lm):
            results = simple_evaluate(
                model=lm,
                tasks=TASKS,
                bootstrap_iters=0,
                apply_chat_template=True,
                task_manager=manager,
                log_samples=True,
            )
        samples = results.pop("samples")
        tracker = EvaluationTracker(output_path=str(folder / "out"))
        tracker.save_results_aggregated(results=results, samples=samples)
        for task in TASKS:
            tracker.save_results_samples(task_name=task, samples=samples[task])
        yield folder / "out"


@pytest.fixture
def run(stock: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return shutil.copytree(stock, tmp_path / "run")


def results_of(run: Path) -> Path:
    (found,) = run.rglob("results_*.json")
    return found


def samples_of(run: Path, task: str) -> Path:
    (found,) = run.rglob(f"samples_{task}_2*.jsonl")
    return found


def change_results(run: Path, *keys: str, value: Any) -> None:
    path = results_of(run)
    content = place = json.loads(path.read_text())
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(content))


def test_stock_results_become_records_and_count_the_same(run: Path, tmp_path: Path) -> None:
    done = accepted(run, tmp_path / "board")
    assert [path.name for path in done.stored] == ["prompt__ada.json.gz", "prompt__bo.json.gz"]
    assert not any(one.recount.left_out for one in done.checked)
    board, faults = load_cells(tmp_path / "board")
    assert not faults
    stock_cells, _ = load_cells(run)
    assert [(cell.persona, cell.tasks) for cell in board] == [(cell.persona, cell.tasks) for cell in stock_cells]
    assert load_record(done.stored[0]).tasks["persbench_costume"]["hash"]
    # once more, and what was stored submitted as a record: both stand there already
    assert "on the board already (2)" in refused(run, tmp_path / "board")
    other = accepted(tmp_path / "board", tmp_path / "other")
    assert len(other.stored) == 2


def test_a_mean_changed_by_hand_is_told(run: Path, tmp_path: Path) -> None:
    change_results(run, "results", "persbench_costume", "content_acc,none", value=0.99)
    told = refused(run, tmp_path / "board")
    assert "persbench_costume: content_acc is 0.99 in the results and 0." in told


def test_a_sample_changed_by_hand_is_told_with_its_mean(run: Path, tmp_path: Path) -> None:
    path = samples_of(run, "persbench_costume")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[3]["voice_acc"] = [1.0 - lines[3]["voice_acc"][0], True]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    told = refused(run, tmp_path / "board")
    assert f"document {lines[3]['doc']['id']}: voice_acc is" in told
    assert "totals that do not follow from the samples (1)" in told


@pytest.mark.parametrize("change", ["missing", "short", "broken", "foreign"])
def test_sample_files_that_are_not_whole(change: str, run: Path, tmp_path: Path) -> None:
    path = samples_of(run, "persbench_reply")
    lines = path.read_text().splitlines(keepends=True)
    if change == "missing":
        path.unlink()
    elif change == "short":
        path.write_text("".join(lines[:-1]))
    elif change == "broken":
        path.write_text("".join(lines)[:-40])
    else:
        path.write_text('{"doc": {"id": 3}}\n[]\n' + "".join(lines))
    told = refused(run, tmp_path / "board")
    expected = {
        "missing": "run lm_eval with --log_samples",
        "short": "lacks 1 of",
        "broken": f"line {len(lines)}: not readable JSON",
        "foreign": f"{path.name}:2: no sample as lm-eval writes it",
    }
    assert expected[change] in told


def test_settings_of_ones_own_are_told(run: Path, tmp_path: Path) -> None:
    change_results(run, "config", "gen_kwargs", value={"temperature": 2})
    change_results(run, "config", "limit", value=4)
    change_results(run, "configs", "persbench_reply", "generation_kwargs", "max_gen_toks", value=999)
    change_results(run, "configs", "persbench_consistency", "metadata", "reply", "max_gen_toks", value=4)
    change_results(run, "versions", "persbench_costume", value=0.5)
    told = refused(run, tmp_path / "board")
    for line in (
        "--gen_kwargs",
        "limit is 4",
        "persbench_reply: generation_kwargs is",
        "persbench_consistency: replies in dialogue by",
        "persbench_costume is of version '0.5'",
    ):
        assert line in told


@pytest.mark.parametrize(
    "raw", ["[]", "{}", '{"configs": {"persbench_costume": 3}}', '{"configs": {"persbench_../x": {}}}']
)
def test_what_is_no_results_file(raw: str, run: Path, tmp_path: Path) -> None:
    results_of(run).write_text(raw)
    assert "results" in refused(run, tmp_path / "board")
