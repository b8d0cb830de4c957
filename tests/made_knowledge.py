"""Records of "knowledge" that a test makes: a system that is right on some items and on no others."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import unseen

from persbench.records import load_record, save_record

if TYPE_CHECKING:
    from collections.abc import Mapping

BOARD = Path(__file__).parent.parent / "leaderboard" / "records" / "seed1"


def save_made(folder: Path, system: str, right: Mapping[str, bool]) -> None:
    """Save a record of a system by a real one's form: items by id, right or not, at a margin of one hundredth."""
    (folder / "records").mkdir(exist_ok=True)
    cell = load_record(BOARD / "records" / "prompt__nedda.json.gz")
    task = cell.tasks[unseen.TASK]
    samples = [
        {
            **task["samples"][0],
            "id": f"knowledge/{name}",
            "cluster": f"knowledge/{name}",
            "metrics": {"knowledge_acc": [float(found), True], "knowledge_margin": [0.01, True]},
        }
        for name, found in right.items()
    ]
    made = dataclasses.replace(cell, system=system, tasks={unseen.TASK: {**task, "samples": samples}})
    save_record(folder / "records" / f"{system}__nedda.json", made)
