"""The wheel holds all that an installed persbench reads, and works where no checkout is in sight."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from persbench.models.fetch import fetch_model

CHECKOUT = Path(__file__).resolve().parent.parent
# Where each folder of the checkout stands in the wheel.
PLACES = {
    "persbench": "persbench",
    "tasks": "persbench/_bundled/tasks",
    "reference_personas": "persbench/_bundled/reference_personas",
}
MOST = 5_000_000  # bytes


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", folder, CHECKOUT],
        capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    if done.returncode and "hatchling" in done.stderr:
        pytest.skip("the build backend cannot be had: no package index answers")
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def home(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel, which sees the libraries of this one but not the checkout."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    own = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    # A path in a .pth file is searched for modules; .pth files in it, an editable install's among them, are not read.
    (own / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "--no-deps", "--quiet", wheel],
        check=True, cwd=folder,
    )  # fmt: skip
    return folder


def command(home: Path, *arguments: str | Path) -> str:
    """Run a program of the new environment, away from the checkout; return what it printed."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    done = subprocess.run(
        [home / "bin" / arguments[0], *arguments[1:]],
        capture_output=True, text=True, check=False, cwd=home, env=environment | {"HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_all_that_is_read_is_in_the_wheel_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if ".dist-info/" not in name}
    wanted = {
        f"{place}/{path.relative_to(CHECKOUT / folder).as_posix()}"
        for folder, place in PLACES.items()
        for path in (CHECKOUT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == wanted
    endings = {Path(name).suffix for name in names}
    assert {".py", ".j2", ".css", ".js", ".yaml", ".jsonl"} <= endings
    assert endings.isdisjoint({".pyc", ".lock", ".part", ".gz", ".log"})
    assert not [name for name in names if {"tests", "records", "leaderboard"} & set(Path(name).parts[:2])]
    assert wheel.stat().st_size < MOST


@pytest.mark.slow
def test_the_installed_package_evaluates_without_a_checkout(home: Path, tmp_path: Path) -> None:
    where = Path(command(home, "python", "-c", "import persbench; print(persbench.__file__)").strip())
    assert where.is_relative_to(home)
    tasks = Path(command(home, "persbench", "tasks").splitlines()[-1].removeprefix("--include_path "))
    assert tasks.is_relative_to(home)
    out = tmp_path / "run"
    fake = ["--backend", "persbench-fake", "--model", "fake", "--systems", "vanilla,prompt,sanity"]
    command(home, "persbench", "run", *fake, "--personas", "nedda", "--limit", "2", "--out", out)
    board = command(home, "persbench", "report", "table", out)
    assert all(word in board for word in ("content", "vanilla", "prompt", "longest", "Signatures"))
    command(home, "persbench", "leaderboard", "build", out, "--out", tmp_path / "site", "--no-figures")
    assert {"index.html", "site.css", "site.js"} <= {path.name for path in (tmp_path / "site").iterdir()}


@pytest.mark.slow
@pytest.mark.model
def test_the_quickstart_s_evaluation_and_the_stock_command_run_from_the_wheel(home: Path, tmp_path: Path) -> None:
    model = str(fetch_model())
    out = tmp_path / "run"
    options = ["--personas", "nedda", "--limit", "2", "--dtype", "bfloat16", "--systems", "prompt,sanity"]
    command(home, "persbench", "run", *options, "--out", out)
    board = command(home, "persbench", "report", "table", out)
    assert all(word in board for word in ("content", "prompt", "longest", "SmolLM2-135M-Instruct@"))
    tasks = command(home, "persbench", "tasks").splitlines()[-1].removeprefix("--include_path ")
    command(
        home, "python", "-m", "persbench.lm_eval", "run", "--model", "persbench-prefix",
        "--model_args", f"pretrained={model},dtype=bfloat16", "--tasks", "persbench_costume", "--include_path", tasks,
        "--apply_chat_template", "--log_samples", "--limit", "2", "--device", "cpu",
        "--output_path", tmp_path / "stock", "--metadata", json.dumps({"persona": "nedda", "system": "prompt"}),
    )  # fmt: skip
    (results,) = (tmp_path / "stock").rglob("results_*.json")
    assert "content_acc,none" in json.loads(results.read_text("utf-8"))["results"]["persbench_costume"]
    assert "prompt" in command(home, "persbench", "report", "table", tmp_path / "stock")
