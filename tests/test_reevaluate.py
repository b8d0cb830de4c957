"""Evaluating a cell of the board again, and telling what differs."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import reevaluate

from persbench.errors import PersbenchError
from persbench.records import load_record

LEADERBOARD = Path(__file__).parent.parent / "leaderboard"
RECORDS = LEADERBOARD / "records" / "seed1"


def test_a_cell_without_a_model_gives_its_record_again(tmp_path: Path) -> None:
    script = LEADERBOARD / "reevaluate.py"
    done = subprocess.run(
        [sys.executable, script, RECORDS, "--cell", "sanity-random__nedda", "--out", tmp_path],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(": the same record again\n")


def test_a_number_and_a_word_that_differ_are_named() -> None:
    record = load_record(RECORDS / "records" / "prompt__nedda.json.gz")
    assert reevaluate.compare(record, record) == []
    other = load_record(RECORDS / "records" / "prompt__nedda.json.gz")
    costume, reply = (other.tasks[f"persbench_{name}"]["samples"][0] for name in ("costume", "reply"))
    costume["loglikelihoods"][1] += 0.5
    reply["reply"] = "Something else."
    scored = costume["metrics"]["content_acc"]
    scored[0] = 1.0 - scored[0]
    found = {one.kind: one for one in reevaluate.compare(record, other)}
    assert {kind: one.size for kind, one in found.items()} == {"loglikelihoods": 0.5, "content_acc": 1.0, "reply": None}
    assert found["loglikelihoods"].place == f"/tasks/persbench_costume/samples/{costume['id']}/loglikelihoods/1"
    assert found["reply"].how.endswith("became 'Something else.'")
    told = reevaluate.report(record, reevaluate.compare(record, other))
    for line in (
        "3 values differ",
        "1 loglikelihoods in persbench_costume, by 5.0e-01 at most",
        "1 content_acc in persbench_costume, by 1.0e+00 at most",
        "1 reply in persbench_reply\n",
    ):
        assert line in told
    shorter = dataclasses.replace(record, tasks={k: v for k, v in record.tasks.items() if k != "persbench_reply"})
    assert reevaluate.compare(record, shorter) == [
        reevaluate.Difference("/tasks/persbench_reply", "only in the record")
    ]


def test_a_draw_is_of_a_model_and_can_be_repeated() -> None:
    names = {reevaluate.drawn(RECORDS, None, seed).name for seed in range(20)}
    assert len(names) > 3
    assert not any(name.startswith("sanity") for name in names)
    assert reevaluate.drawn(RECORDS, None, 7) == reevaluate.drawn(RECORDS, None, 7)


def test_a_trained_cell_without_adapters_and_an_unknown_one_are_refused(tmp_path: Path) -> None:
    record = load_record(RECORDS / "records" / "prompt__nedda.json.gz")
    trained = dataclasses.replace(record, system="mine", signature={**record.signature, "adapter": "0" * 8})
    with pytest.raises(PersbenchError, match="--adapters"):
        reevaluate.command_of(trained, None, None, tmp_path)
    assert f"mine={tmp_path}" in reevaluate.command_of(trained, tmp_path, None, tmp_path)
    assert str(tmp_path / "anchors") in reevaluate.command_of(record, None, None, tmp_path)
    stored = reevaluate.command_of(record, None, None, tmp_path, Path("stored"))
    assert stored[stored.index("--anchors") + 1] == "stored"
    with pytest.raises(PersbenchError, match="holds no record nobody__nedda"):
        reevaluate.drawn(RECORDS, "nobody__nedda", 0)


def test_a_cell_whose_tasks_stand_in_two_records_is_one_of_them_by_its_folder() -> None:
    with pytest.raises(PersbenchError, match=r"icl__nedda has its tasks in 2 records: name one's folder \(.*second"):
        reevaluate.drawn(RECORDS, "icl__nedda", 0)
    assert reevaluate.drawn(RECORDS / "second", "icl__nedda", 0).parent.parent.name == "second"
