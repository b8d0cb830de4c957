"""The board's own records stand the examination that others' must stand."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from persbench.models.fetch import default_embedder_path
from persbench.packs.bundled import bundled_pack
from persbench.packs.load import load_pack
from persbench.submission.check import check_record
from persbench.submission.examiner import Examiner
from persbench.submission.findings import METRICS, Findings
from persbench.submission.form import Formed, record_of

RECORDS = Path(__file__).parents[2] / "leaderboard" / "records" / "seed1" / "records"
pytestmark = pytest.mark.skipif(not RECORDS.is_dir(), reason="no records here")


@cache
def examiner() -> Examiner:
    return Examiner(load_pack(bundled_pack()))


def formed(content: Any) -> Formed:
    found = record_of(content, faults := Findings())
    assert found is not None, faults.text()
    return found


def content_of(name: str) -> Any:
    return json.loads(gzip.decompress((RECORDS / f"{name}.json.gz").read_bytes()))


@pytest.mark.parametrize("name", ["sanity-majority_stance__nedda", "sanity-unigram_fluency__osmer"])
def test_a_sanity_system_on_the_whole_world(name: str) -> None:
    found = formed(content_of(name))
    recount = check_record(found, examiner(), faults := Findings())
    assert not faults, faults.text()
    assert recount.same == sum(len(row["metrics"]) for rows in found.rows.values() for row in rows) > 300
    next(iter(found.rows.values()))[0]["scores"][0] += 1e-6
    check_record(found, examiner(), faults)
    assert faults.number == {METRICS: 1}


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.skipif(default_embedder_path() is None, reason="the embedder is not fetched")
def test_a_model_on_the_whole_world_and_the_same_record_changed_by_hand() -> None:
    found = formed(content_of("prompt__nedda"))
    recount = check_record(found, examiner(), faults := Findings())
    assert not faults, faults.text()
    assert not recount.left_out
    assert recount.same == sum(len(row["metrics"]) for rows in found.rows.values() for row in rows) > 4_000
    changed = found.rows["persbench_costume"][7]
    changed["metrics"]["content_acc"][0] = 1.0 - changed["metrics"]["content_acc"][0]
    task = {"persbench_costume": found.record.tasks["persbench_costume"]}
    check_record(replace(found, record=replace(found.record, tasks=task)), examiner(), faults)
    assert faults.number[METRICS] == 1
    assert changed["id"] in faults.text()
