from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from short_training import make_home
from typer.testing import CliRunner

from persbench import cli
from persbench.commands.train import run_command
from persbench.errors import PersbenchError
from persbench.training import command
from persbench.training.pipeline import TrainSettings

# No embedder is needed by a recipe that neither mines pairs nor looks for near-duplicates.
PLAIN = "extends: short.yaml\ndpo: null\ndata: {deduplicate: null}\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_home(tmp_path_factory.mktemp("command"))
    (folder / "plain.yaml").write_text(PLAIN)
    return folder


def words(home: Path, out: Path, *more: str) -> list[str]:
    return [
        "train", "--base", str(home / "base"), "--pack", str(home / "world"), "--recipe", str(home / "plain.yaml"),
        "--out", str(out), "--device", "cpu", "--dtype", "float32", "--max-steps", "3", *more,
    ]  # fmt: skip


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(cli.app, list(arguments))


def test_a_world_is_trained_with_plots_and_a_next_step(home: Path, tmp_path: Path) -> None:
    done = invoke(*words(home, tmp_path / "out", "--world"))
    assert done.exit_code == 0, done.output
    for persona in ("ada", "bo"):
        assert (tmp_path / "out" / persona / "losses.png").read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / "out" / persona / "losses.svg").is_file()
        assert f"{persona}: sft, 3 steps" in done.output
    assert f"--personas ada,bo --systems prompt,plain={tmp_path / 'out'} --out runs/trained" in done.output
    again = invoke(*words(home, tmp_path / "out", "--persona", "bo"))
    assert "bo is trained already" in again.output


def test_one_of_persona_and_world_must_be_named(home: Path, tmp_path: Path) -> None:
    for more in ([], ["--persona", "ada", "--world"]):
        done = invoke(*words(home, tmp_path / "out", *more))
        assert isinstance(done.exception, PersbenchError)
        assert "name the personas to train (--persona ada) or take all of them (--world)" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_without_the_extra_the_way_to_it_is_told(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "trl" else object())
    done = invoke(*words(home, tmp_path / "out", "--persona", "ada"))
    assert str(done.exception) == "training needs trl: pip install 'persbench[train]'"


def test_two_processes_train_together(home: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
        "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0",
        "-m", "persbench", *words(home, tmp_path / "two", "--persona", "ada", "--save-every", "2"),
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=240, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    folder = tmp_path / "two" / "ada"
    card = json.loads((folder / "card.json").read_text())
    assert (card["processes"], card["phases"]["sft"]["steps"]) == (2, 3)
    assert done.stderr.count("ada: sft, 3 steps") == 1  # only one of them speaks
    # The same batches, shared out: the losses are those of one process but for the order of sums.
    invoke(*words(home, tmp_path / "one", "--persona", "ada", "--save-every", "2"))
    alone = (tmp_path / "one" / "ada" / "losses.csv").read_text().splitlines()[1:]
    together = (folder / "losses.csv").read_text().splitlines()[1:]
    for a, b in zip(alone, together, strict=True):
        assert float(a.split(",")[2]) == pytest.approx(float(b.split(",")[2]), abs=1e-3)


def test_the_next_step_names_the_pack_and_is_quoted_for_the_shell() -> None:
    settings = TrainSettings(out=Path("my adapters"), recipe="own/$(reboot) x.yaml", base="a b", pack="my world")
    assert run_command(settings, ["ada", "bo"]) == (
        "persbench run --model 'a b' --pack 'my world' --personas ada,bo "
        "--systems 'prompt,$(reboot) x=my adapters' --out runs/trained"
    )
    plain = run_command(TrainSettings(out=Path("adapters")), ["ada"])
    assert plain == "persbench run --personas ada --systems prompt,persllm=adapters --out runs/trained"
