"""`persbench run`: determinism, resuming, killing, refusing; all with the fake model."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval import evaluator

from persbench.errors import FaultsError, PersbenchError, UnknownNameError
from persbench.harness import run as run_module
from persbench.harness.documents import BUILDERS
from persbench.harness.fake_lm import FakeLM
from persbench.harness.run import run
from persbench.harness.settings import RunSettings, parse_arguments, parse_batch_size
from persbench.harness.task_index import expand, read_tasks, tasks_folder
from persbench.packs.bundled import fake_pack
from persbench.records import load_record


def settings(out: Path, **changes: Any) -> RunSettings:
    base = RunSettings(
        model="fake", pack=fake_pack(), out=out, backend="persbench-fake", anchors=out / "anchors", limit=4
    )
    return replace(base, **changes)


def quiet(_line: str) -> None:
    pass


def contents(out: Path) -> dict[str, dict[str, Any]]:
    """Every record, without its time stamps."""
    found = {}
    for path in sorted((out / "records").glob("*.json")):
        found[path.name] = {k: v for k, v in json.loads(path.read_text("utf-8")).items() if k != "run"}
    return found


def test_two_runs_give_the_same_bytes_but_for_the_time(tmp_path: Path) -> None:
    run(settings(tmp_path / "a"), quiet)
    run(settings(tmp_path / "b"), quiet)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    name = "prompt__ada.json"
    texts = [(tmp_path / folder / "records" / name).read_text("utf-8").split('"run"')[0] for folder in "ab"]
    assert texts[0] == texts[1]
    told = load_record(tmp_path / "a" / "records" / name).run["machine"]
    assert (told["threads"], platform.machine() in told["processor"]) == (torch.get_num_threads(), True)


def test_outside_of_a_repository_git_does_not_complain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    usual = evaluator.get_git_commit_hash
    run(settings(tmp_path / "run", limit=1), quiet)
    assert contents(tmp_path / "run")
    assert "repository" not in capfd.readouterr().err
    assert evaluator.get_git_commit_hash is usual


def test_a_second_call_finishes_only_what_is_missing(tmp_path: Path) -> None:
    paths = run(settings(tmp_path), quiet)
    before = contents(tmp_path)
    stamps = {path: path.stat().st_mtime_ns for path in paths}
    gone = tmp_path / "records" / "prompt__bo.json"
    gone.unlink()
    lines: list[str] = []
    assert run(settings(tmp_path), lines.append) == paths
    assert contents(tmp_path) == before
    assert [path for path in paths if path.stat().st_mtime_ns != stamps[path]] == [gone]
    assert any("3 of 4 cells were finished before" in line for line in lines)


def test_a_half_written_record_is_made_again(tmp_path: Path) -> None:
    run(settings(tmp_path), quiet)
    before = contents(tmp_path)
    path = tmp_path / "records" / "prompt__ada.json"
    path.write_bytes(path.read_bytes()[:500])
    lines: list[str] = []
    run(settings(tmp_path), lines.append)
    assert contents(tmp_path) == before
    assert any("not a readable record" in line and "Running this cell again" in line for line in lines)


def test_records_of_other_settings_are_never_mixed(tmp_path: Path) -> None:
    run(settings(tmp_path), quiet)
    with pytest.raises(PersbenchError, match=r"made with other settings \(limit 4 -> 3\)"):
        run(settings(tmp_path, limit=3), quiet)
    with pytest.raises(PersbenchError, match=r"made with other settings \(model "):
        run(settings(tmp_path, model_args={"seed": 7}), quiet)
    with pytest.raises(PersbenchError, match=r"made with other settings \(args None -> "):
        run(settings(tmp_path, model_args={"max_length": 512}), quiet)


# One process loads the libraries; each that is killed is a copy of it, made before anything is computed.
SCRIPT = """
import os
import sys
from pathlib import Path
from persbench.harness.run import run
from persbench.harness.settings import RunSettings
from persbench.packs.bundled import fake_pack
out = Path(sys.argv[1])
fake = dict(model="fake", backend="persbench-fake", pack=fake_pack())
for _ in range(int(sys.argv[2])):
    copy = os.fork()
    if not copy:
        run(RunSettings(**fake, out=out, anchors=out / "anchors", limit=4), print)
        os._exit(0)
    print("copy", copy)
    print("ended", os.waitpid(copy, 0)[1])
"""
KILLS = 4


def test_killed_at_any_point_and_repeated_nothing_is_lost_or_changed(tmp_path: Path) -> None:
    run(settings(tmp_path / "whole"), quiet)
    broken = tmp_path / "broken"
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    kills = 0
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(broken), str(KILLS)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        copy, ended = 0, []
        for line in process.stdout:
            if line.startswith("copy"):
                copy = int(line.split()[1])
            elif line.startswith("ended"):
                ended.append(int(line.split()[1]))
            elif line.startswith("[") and len(ended) == kills:  # the first sign of life of each
                kills += 1
                time.sleep(0.05 * kills)
                os.kill(copy, signal.SIGKILL)
    assert ended == [signal.SIGKILL] * KILLS
    run(settings(broken), quiet)
    assert contents(broken) == contents(tmp_path / "whole")
    assert {path.suffix for path in (broken / "records").iterdir() if not path.name.startswith(".")} == {".json"}


def test_two_runs_at_once_on_one_folder_are_refused(tmp_path: Path) -> None:
    from filelock import FileLock

    tmp_path.joinpath("out").mkdir()
    with FileLock(tmp_path / "out" / ".lock"), pytest.raises(PersbenchError, match="another run writes to"):
        run(settings(tmp_path / "out"), quiet)


def test_a_cell_that_cannot_be_saved_ends_the_run_and_keeps_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """lm-eval would warn and go on; a result that is not on disk must not look like one."""
    real = Path.replace

    def full(self: Path, target: Path) -> Path:
        if Path(target).name == "prompt__bo.json":
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(PersbenchError, match=r"cannot write .*prompt__bo\.json: No space left on device"):
        run(settings(tmp_path), quiet)
    assert not (tmp_path / "records" / "prompt__bo.json").exists()
    assert load_record(tmp_path / "records" / "prompt__ada.json").persona == "ada"
    assert not list(tmp_path.rglob("*.part"))


def test_items_that_lm_eval_lost_are_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = evaluator.simple_evaluate

    def lossy(**arguments: Any) -> Any:
        results = real(**arguments)
        results["samples"]["persbench_attitude"].pop()
        return results

    monkeypatch.setattr(evaluator, "simple_evaluate", lossy)
    with pytest.raises(PersbenchError, match="returned 3 of 4 items of persbench_attitude for vanilla as ada"):
        run(settings(tmp_path), quiet)


def test_a_malformed_task_yaml_is_reported_not_skipped(tmp_path: Path) -> None:
    folder = tmp_path / "tasks"
    folder.mkdir()
    for path in tasks_folder().rglob("*.yaml"):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "persbench_attitude.yaml").write_text("task: persbench_attitude\n  class: [")
    (folder / "persbench_costume.yaml").write_text(
        "task: persbench_costume\nclass: !function persbench.harness.tasks.NoSuchTask\nmetadata: {version: 1.0}\n"
    )
    with pytest.raises(FaultsError) as caught:
        read_tasks(folder)
    text = str(caught.value)
    assert "persbench_attitude.yaml:2: not readable YAML" in text
    assert "persbench_costume.yaml:2: hook 'persbench.harness.tasks.NoSuchTask' cannot be loaded" in text
    assert "member 'persbench_attitude' is no task of this folder" in text


def test_unknown_names_list_the_near_ones(tmp_path: Path) -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown task 'persbench_alignmen'.*Did you mean 'persbench_alignment'"
    ):
        run(settings(tmp_path, tasks=("persbench_alignmen",)), quiet)
    with pytest.raises(UnknownNameError, match=r"unknown system 'vanila'.*Did you mean 'vanilla'"):
        run(settings(tmp_path, systems=("vanila",)), quiet)
    with pytest.raises(UnknownNameError, match=r"unknown persona 'boo'.*Known: ada, bo"):
        run(settings(tmp_path, personas=("boo",)), quiet)
    with pytest.raises(UnknownNameError, match="unknown lm-eval model type 'hff'"):
        run(settings(tmp_path, backend="hff"), quiet)


class GenerationOnlyLM(FakeLM):
    """Like a chat endpoint: no log-likelihoods."""

    generation_only = True

    def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> Any:
        raise NotImplementedError


def test_an_endpoint_without_loglikelihoods_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "load_backend", lambda *_a, **_k: GenerationOnlyLM())
    with pytest.raises(
        PersbenchError, match=r"offers no log-likelihoods, which persbench_costume, .* need.*--tasks persbench_gen"
    ):
        run(settings(tmp_path, systems=("prompt",)), quiet)
    assert len(run(settings(tmp_path, systems=("prompt",), tasks=("persbench_gen",)), quiet)) == 2


def test_a_pack_that_lacks_items_is_skipped_by_name(tmp_path: Path) -> None:
    import shutil

    pack = tmp_path / "pack"
    shutil.copytree(fake_pack(), pack)
    (pack / "personas" / "ada" / "contrast.jsonl").unlink()
    lines: list[str] = []
    run(settings(tmp_path / "out", pack=pack, systems=("prompt",)), lines.append)
    assert any("skipping persbench_costume for ada: the pack has no items for it" in line for line in lines)
    assert "persbench_costume" not in load_record(tmp_path / "out" / "records" / "prompt__ada.json").tasks
    assert "persbench_costume" in load_record(tmp_path / "out" / "records" / "prompt__bo.json").tasks


def test_every_bundled_task_has_a_version_and_loads() -> None:
    tasks = expand(["persbench", "persbench_gen"], tasks_folder())
    names = {task.name for task in tasks}
    assert {name.removesuffix("_gen") for name in names} == set(BUILDERS)
    likelihoods = {task.name for task in tasks if task.needs_likelihoods}
    twins = {f"{name}_gen" for name in likelihoods} - {"persbench_general_gen"}  # one reference is no choice
    assert twins == {name for name in names if name.endswith("_gen")}
    assert not likelihoods & {task.name for task in expand(["persbench_gen"], tasks_folder())}
    assert all(task.version and task.hash for task in tasks)


def test_text_options() -> None:
    assert parse_arguments("a=1, b=x/y,c=True") == {"a": 1, "b": "x/y", "c": True}
    assert parse_batch_size("8") == 8
    assert parse_batch_size("auto:4") == "auto:4"
    with pytest.raises(PersbenchError, match="'nonsense' is not key=value"):
        parse_arguments("nonsense")
    with pytest.raises(PersbenchError, match="neither a positive number nor auto"):
        parse_batch_size("0")
