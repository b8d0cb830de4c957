"""A short training's losses against stored ones: what no single test looks at has not changed unseen."""

from __future__ import annotations

import csv
import json
import os
import platform
from pathlib import Path

import pytest
import torch
from short_training import ShortTraining, make_home

from persbench.training.card import versions

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "training_trajectory.json"
# `PERSBENCH_WRITE_GOLDEN=1 pytest tests/training/test_trajectory.py` stores them anew, after a change that is meant.
COLUMNS = ("loss", "learning_rate", "grad_norm", "margin", "logp_chosen", "logp_rejected")


def environment() -> dict[str, str]:
    return versions() | {"machine": platform.machine(), "capability": torch.backends.cpu.get_cpu_capability()}


@pytest.fixture(scope="module")
def trajectory(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, float | str]]:
    home = make_home(tmp_path_factory.mktemp("trajectory"))
    folder = ShortTraining(home, home / "out")()
    with (folder / "losses.csv").open(newline="") as stream:
        return [
            {"phase": row["phase"], "step": int(row["step"])} | {c: float(row[c]) for c in COLUMNS if row[c]}
            for row in csv.DictReader(stream)
        ]


def test_the_stored_trajectory_is_reproduced(trajectory: list[dict[str, float | str]]) -> None:
    if os.environ.get("PERSBENCH_WRITE_GOLDEN"):
        GOLDEN.write_text(json.dumps({"environment": environment(), "steps": trajectory}, indent=1) + "\n")
    golden = json.loads(GOLDEN.read_text())
    # The random base model's weights, and sums in another order, may differ in the last digits elsewhere.
    exact = golden["environment"] == environment()
    assert len(trajectory) == len(golden["steps"]) == 8
    for found, stored in zip(trajectory, golden["steps"], strict=True):
        assert found.keys() == stored.keys()
        for name, value in stored.items():
            wide = 0.05 if name in ("margin", "grad_norm") else 0.005
            expected = value if isinstance(value, str) else pytest.approx(value, rel=1e-5 if exact else wide, abs=2e-3)
            assert found[name] == expected, (stored["phase"], stored["step"], name)
