"""The toy twin of leaderboard/reproduce.sh: the whole comparison's way, on a model of two layers and a toy world."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_chat_model import chat_model
from toy_world import toy_world

from persbench.records import load_record

SCRIPT = Path(__file__).parent.parent / "leaderboard" / "reproduce.sh"
SYSTEMS = {"vanilla", "prompt", "icl", "rag", "stylized", "persllm", "persllm+profile", "no-temporal"}


def reproduce(home: Path, *steps: str) -> str:
    """Run steps of the toy twin, in a folder with a space, and return what it prints."""
    settings = {
        "OUT": home / "out", "MODEL": home / "base", "PACK": home / "world", "PERSONAS": "ada", "FEW": "ada",
        "DTYPE": "float32", "TASKS": "persbench_costume,persbench_stages",
        "ANCHORS": "", "RECORDS": "", "JOBS": "", "SEEDS": "", "LIMIT": "", "DEVICE": "",
    }  # fmt: skip
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", SCRIPT, "--toy", *steps],
        env=os.environ | {name: str(value) for name, value in settings.items()} | {"PATH": path},
        check=False,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.model
def test_the_toy_twin_trains_evaluates_collects_and_compares_every_kind_of_system(tmp_path: Path) -> None:
    home = tmp_path / "a home"
    home.mkdir()
    chat_model(home / "base")
    toy_world(home / "world")
    told = reproduce(home)
    paths = sorted((home / "out" / "collected" / "seed1" / "records").iterdir())
    records = [load_record(path) for path in paths]
    assert {record.system for record in records if not record.system.startswith("sanity:")} == SYSTEMS
    assert {record.persona for record in records if record.system in SYSTEMS} == {"ada"}
    assert all(record.tasks.keys() == {"persbench_costume", "persbench_stages"} for record in records)
    learnt = {record.system: record.signature["adapter"] for record in records if "adapter" in record.signature}
    assert learnt.keys() == {"stylized", "persllm", "persllm+profile", "no-temporal"}
    assert learnt["persllm"] == learnt["persllm+profile"]
    assert len(set(learnt.values())) == 3, "each recipe has learnt something else"
    assert all(f"| {system} | content |" in told for system in SYSTEMS - {"prompt"})
    before = [path.read_bytes() for path in paths]
    for source in (home / "out" / "runs").rglob("*.json"):
        os.utime(source, (0, 0))  # the time of a file is no part of what is collected
    reproduce(home, "collect")
    assert [path.read_bytes() for path in paths] == before


def test_the_board_itself_is_not_collected_into() -> None:
    done = subprocess.run(
        ["bash", SCRIPT, "--toy", "collect"],
        env=os.environ | {"RECORDS": "leaderboard/records/"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "RECORDS is the board itself" in done.stderr
