"""The stock `lm_eval` command and `persbench run` are the same measurement, to the last digit."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from lm_eval.tasks import TaskManager
from shallow_model import shallow_model

from persbench.errors import PersbenchError
from persbench.harness.task_index import expand, tasks_folder
from persbench.lm_eval import main as stock_command
from persbench.models.fetch import fetch_model
from persbench.packs.bundled import fake_pack, resolve_pack
from persbench.packs.load import load_pack
from persbench.report.board import lines_of
from persbench.report.cells import Cell, load_cells
from persbench.report.duplicates import in_one_evaluation, require_one_setting
from persbench.stock_results import stock_signature
from persbench.systems.registry import SYSTEMS

LIMIT = "2"
# Between them the two cases with real weights have every task that a choice, a reply or a dialogue is made of.
CHOICES = "persbench_who_said,persbench_knowledge,persbench_costume"
LIVE = "persbench_attitude,persbench_reply,persbench_induction,persbench_stages,persbench_consistency"


def command(*arguments: str, cache: Path) -> None:
    environment = os.environ | {"PERSBENCH_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "HF_HOME": str(cache / "hf")}
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def stock(
    out: Path, model: list[str], *, module: str, batch: str, cache: Path, tasks: str, pack: Path | None = None
) -> None:
    metadata = json.dumps({"pack": str(pack or fake_pack()), "persona": "ada", "system": "prompt"})
    command(
        "-m", module, "run", *model, "--tasks", tasks, "--include_path", str(tasks_folder()),
        "--apply_chat_template", "--log_samples", "--output_path", str(out), "--metadata", metadata,
        "--limit", LIMIT, "--batch_size", batch, "--device", "cpu", cache=cache,
    )  # fmt: skip


def ours(out: Path, model: list[str], *, batch: str, cache: Path, tasks: str, pack: Path | None = None) -> None:
    command(
        "-m", "persbench.cli", "run", *model, "--systems", "prompt", "--personas", "ada",
        "--pack", str(pack or fake_pack()), "--limit", LIMIT, "--batch-size", batch, "--device", "cpu",
        "--out", str(out), "--tasks", tasks, cache=cache,
    )  # fmt: skip


COMPARED = ("loglikelihoods", "anchors", "branches", "reply", "replies", "chosen", "transcripts", "metrics", "labels")


def rows(cells: list[Cell]) -> dict[str, dict[str, Any]]:
    return {
        f"{task}:{row['id']}": {k: row.get(k) for k in COMPARED}
        for cell in cells
        for task, found in cell.tasks.items()
        for row in found
    }


def same(tmp_path: Path, tasks: str) -> None:
    (theirs, faults), (own, _) = load_cells(tmp_path / "stock"), load_cells(tmp_path / "ours")
    assert not faults
    assert {task for cell in own for task in cell.tasks} == {
        task.name for task in expand(tasks.split(","), tasks_folder())
    }
    assert rows(theirs) == rows(own)
    boards = [
        {m: (e.value, e.margin) for line in lines_of(cells) for m, e in line.entries.items()} for cells in (theirs, own)
    ]
    assert boards[0] == boards[1]


def test_the_fake_model_gives_the_same_by_both_ways(tmp_path: Path) -> None:
    inside = {task.name for task in expand(["persbench"], tasks_folder())}
    others = [task.name for task in expand(["persbench_gen"], tasks_folder()) if task.name not in inside]
    tasks = ",".join(["persbench", *others])  # stock lm-eval refuses two groups that share a task
    shared: dict[str, Any] = {"batch": "1", "cache": tmp_path / "cache", "tasks": tasks}
    stock(tmp_path / "stock", ["--model", "persbench-fake"], module="persbench.lm_eval", **shared)
    ours(tmp_path / "ours", ["--backend", "persbench-fake", "--model", "fake"], **shared)
    same(tmp_path, tasks)
    repeated_runs_are_never_pooled(tmp_path / "stock")


def again(folder: Path, stamp: str, **changed: Any) -> None:
    """Leave in the folder what a later run of the same command does: lm-eval names its files by their time."""
    (results,) = [path for path in folder.rglob("results_*.json") if "2999" not in path.name]
    first = results.stem.removeprefix("results_")
    for path in [*results.parent.glob(f"*_{first}.jsonl"), results]:
        path.with_name(path.name.replace(first, stamp)).write_bytes(path.read_bytes())
    content = json.loads(results.read_text("utf-8"))
    content["config"] |= changed
    results.with_name(f"results_{stamp}.json").write_text(json.dumps(content), "utf-8")


def repeated_runs_are_never_pooled(folder: Path) -> None:
    once, _ = load_cells(folder)
    again(folder, "2999-01-01T00-00-00.000001")
    twice, faults = load_cells(folder)
    assert rows(twice) == rows(once)
    assert [line.entries for line in lines_of(twice)] == [line.entries for line in lines_of(once)]
    assert len(faults) == len(once)
    assert all("was run again later" in f.message and "results_2999" in f.message for f in faults)
    again(folder, "2999-01-02T00-00-00.000001", limit=9)
    apart, _ = load_cells(folder)
    assert sorted(cell.signature["limit"] for cell in apart) == [float(LIMIT), 9]
    assert all(len({cell.signature["limit"] for cell in group}) == 1 for group in in_one_evaluation(apart))
    with pytest.raises(PersbenchError, match=r"stands there with two settings \(limit "):
        require_one_setting(apart)


def both_ways(folder: Path, pack: Path, model: Path, backend: str, module: str, tasks: str, dtype: str) -> None:
    """Run the tasks by both commands, each from an empty cache, and compare."""
    named = ["--model", backend, "--model_args", f"pretrained={model},dtype={dtype},softmax_dtype=float32"]
    stock(folder / "stock", named, module=module, batch="8", cache=folder / "c1", tasks=tasks, pack=pack)
    loaded = ["--backend", backend, "--model", str(model), "--dtype", dtype]
    ours(folder / "ours", loaded, batch="8", cache=folder / "c2", tasks=tasks, pack=pack)
    same(folder, tasks)


@pytest.mark.model
@pytest.mark.slow
def test_smollm2_gives_the_same_by_both_ways_and_from_empty_caches(tmp_path: Path, short_talks: Path) -> None:
    both_ways(tmp_path, short_talks, fetch_model(), "hf", "lm_eval", CHOICES, "bfloat16")


@pytest.mark.model
def test_its_first_layers_give_the_same_live_and_from_empty_caches(tmp_path: Path, short_talks: Path) -> None:
    model = shallow_model(tmp_path / "shallow")
    both_ways(tmp_path, short_talks, model, "persbench-prefix", "persbench.lm_eval", LIVE, "float32")


def test_a_signature_tells_how_turns_were_made_and_settings_that_are_not_the_tasks() -> None:
    def signature(gen_kwargs: str | None = None, **metadata: str) -> dict[str, Any]:
        told = {"pack": str(fake_pack()), "persona": "ada"} | metadata
        task = "persbench_attitude"
        manager = TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata=told)
        config = manager.load([task])["tasks"][task].dump_config()
        results = {"configs": {task: config}, "config": {"gen_kwargs": gen_kwargs}}
        return stock_signature(results, told["system"], {task: [{"pack_hash": "0"}]})

    usual, other = signature(system="persllm"), signature(system="persllm", analysis="none")
    assert [one["analysis"] for one in (usual, other)] == ["greedy", "none"]
    assert usual["analysis_tokens"] == other["analysis_tokens"] == 96
    assert signature(system="persllm", analysis="greedy") == usual
    plain = signature(system="prompt")
    assert not plain.keys() & {"analysis", "analysis_tokens", "gen_kwargs"}
    hot, hotter = (signature(f"temperature={number}", system="prompt") for number in (0.7, 0.9))
    assert hot["gen_kwargs"] != hotter["gen_kwargs"]
    assert {key: value for key, value in hot.items() if key != "gen_kwargs"} == plain


@pytest.mark.parametrize("group", ["persbench", "persbench_gen"])
def test_stock_lm_eval_finds_the_tasks_of_a_group(group: str) -> None:
    metadata = {"pack": str(fake_pack()), "persona": "ada", "system": "prompt"}
    manager = TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata=metadata)
    assert set(manager.load([group])["tasks"]) == {task.name for task in expand([group], tasks_folder())}


def test_a_name_that_does_not_exist_ends_the_stock_command_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # In this process, and without lm-eval's own 13,000 task files: both take long, and neither is asked about.
    monkeypatch.setattr("lm_eval.tasks.TaskManager", partial(TaskManager, include_defaults=False))
    monkeypatch.setenv("PERSBENCH_CACHE", str(tmp_path))
    metadata = json.dumps({"pack": str(fake_pack()), "persona": "adda"})
    arguments = ["--model", "persbench-fake", "--tasks", "persbench_attitude", "--include_path", str(tasks_folder())]
    more = ["--apply_chat_template", "--metadata", metadata]
    monkeypatch.setattr(sys, "argv", ["lm_eval", "run", *arguments, *more])
    with pytest.raises(SystemExit) as ended:
        stock_command()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "unknown persona 'adda'. Did you mean 'ada'? Known: ada, bo." in told
    assert "Traceback" not in told


def command_of(readme: Path) -> dict[str, str]:
    """Return the options of the stock command that a README shows, and their values."""
    (shown,) = re.findall(r"^    lm_eval run ((?:.*\\\n)*.*)$", readme.read_text("utf-8"), re.MULTILINE)
    words = shlex.split(shown.replace("\\\n", " "))
    names = [i for i, word in enumerate(words) if word.startswith("--")]
    return {words[i]: " ".join(words[i + 1 : j]) for i, j in zip(names, [*names[1:], len(words)], strict=True)}


def test_the_readme_of_every_task_shows_its_stock_command() -> None:
    shown: set[str] = set()
    known = {"*", *(data.persona.id for data in load_pack(resolve_pack(None)).personas)}
    for task in expand(["persbench", "persbench_gen"], tasks_folder()):
        options = command_of(task.path.parent / "README.md")
        assert {"--model", "--model_args", "--apply_chat_template", "--log_samples"} <= set(options), task.name
        assert (options["--include_path"], options["--output_path"]) == ("tasks", "OUT")
        metadata = json.loads(options["--metadata"])
        assert metadata["system"] in SYSTEMS
        assert metadata["persona"] in known
        told = {one.name for one in expand(options["--tasks"].split(","), tasks_folder())}
        assert task.name in told
        shown |= told
    assert shown == {task.name for task in expand(["persbench", "persbench_gen"], tasks_folder())}
