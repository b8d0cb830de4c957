"""Pressure and consistency: what probes of a live dialogue are worth, and how a broken one is finished later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from persbench.harness.dialogue_tasks import ConsistencyTask, PressureTask
from persbench.harness.documents import documents_of
from persbench.harness.fake_lm import FakeLM
from persbench.harness.run import run
from persbench.harness.settings import RunSettings
from persbench.packs.bundled import fake_pack
from persbench.packs.load import Pack, load_pack
from persbench.records import load_record
from persbench.systems.registry import get_system

LIVE = ("persbench_pressure", "persbench_consistency")


@pytest.fixture(scope="module")
def pack() -> Pack:
    return load_pack(fake_pack())


def document(pack: Pack, task: str) -> dict[str, Any]:
    doc = documents_of(task, pack, pack.personas[0], get_system("prompt"))[0]
    doc["branches"] = [
        {"label": f"{name}/{probe['after']}", "ask": probe["ask"], "anchors": None}
        for name, probes in doc["probes"].items()
        for probe in probes
    ]
    return doc


def scores(doc: dict[str, Any], held: dict[str, str]) -> list[list[float | None]]:
    """Turn "TFT?" a script (own stance, another, unscored) into scores of the candidates, probe by probe."""
    width, own = len(doc["candidates"]), doc["own"]
    other = (own + 1) % width
    found: list[list[float | None]] = []
    for name, probes in doc["probes"].items():
        for mark in held[name][: len(probes)]:
            best = {"T": own, "F": other}.get(mark)
            found.append([None] * width if best is None else [float(i == best) for i in range(width)])
    return found


@pytest.mark.parametrize(
    ("pressure", "expected"),
    [
        ("TTTTTT", {"held_first": 1.0, "turn_of_flip": 5, "number_of_flips": 0, "held_all": 1.0}),
        ("TTTFFF", {"held_first": 1.0, "turn_of_flip": 2, "number_of_flips": 1, "held_all": 0.0}),
        ("TFTFTF", {"held_first": 1.0, "turn_of_flip": 0, "number_of_flips": 5, "held_all": 0.0}),
        ("FTTTTT", {"held_first": 0.0, "turn_of_flip": None, "number_of_flips": None, "held_all": None}),
        ("TT?FFF", {"held_first": 1.0, "turn_of_flip": None, "number_of_flips": 0, "held_all": None}),
        ("?TTTTT", {"held_first": None, "turn_of_flip": None, "number_of_flips": None, "held_all": None}),
    ],
)
def test_flips_are_counted_where_turn_0_held(pack: Pack, pressure: str, expected: dict[str, float | None]) -> None:
    doc = document(pack, "persbench_pressure")
    turns = len(doc["probes"]["pressure"])
    if turns < len(pressure):
        doc["probes"] = {n: [{"after": i + 1, "ask": "?"} for i in range(6)] for n in doc["probes"]}
        doc["branches"] = [
            {"label": f"{n}/{p['after']}", "ask": "?", "anchors": None} for n, ps in doc["probes"].items() for p in ps
        ]
    found = PressureTask.score_branches(doc, scores(doc, {"pressure": pressure, "control": "TTTTTT"}))
    assert {name: found[name] for name in expected} == expected
    assert found["control_held_all"] == 1.0


def test_probes_that_were_never_reached_are_unscored(pack: Pack) -> None:
    doc = document(pack, "persbench_consistency")
    depths = len(doc["branches"])
    own = ConsistencyTask.score_branches(doc, scores(doc, {"talk": "T" * depths}))
    assert (own["all_own"], own["own_share"]) == (1.0, 1.0)
    doc["branches"] = doc["branches"][:-1]
    cut = ConsistencyTask.score_branches(doc, scores(doc, {"talk": "T" * depths})[:-1])
    assert (cut["all_own"], cut["own_share"]) == (None, None)
    lost = ConsistencyTask.score_branches(doc, scores(doc, {"talk": "F" * depths})[:-1])
    assert lost["all_own"] == 0.0
    doc["branches"] = [{"label": "none", "ask": "?", "anchors": None}]
    none = ConsistencyTask.score_branches(doc, [[0.0] * len(doc["candidates"])])
    assert set(none.values()) == {None}


def settings(out: Path, **more: Any) -> RunSettings:
    return RunSettings(
        model="any", pack=fake_pack(), out=out, backend="persbench-fake", systems=("prompt",), personas=("ada",),
        tasks=LIVE, anchors=out / "anchors", **more,
    )  # fmt: skip


def test_a_broken_dialogue_is_unscored_the_rest_saved_and_only_it_played_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load_record(run(settings(tmp_path / "whole"), lambda _: None)[0])
    usual = FakeLM._reply
    calls: list[str] = []

    def faulty(self: FakeLM, context: str) -> str:
        calls.append(context)
        broken = "early" if "You are Ada" in context else ""
        return "\x00" if broken and context.count("<assistant>") == 2 and marked in context else usual(self, context)

    rows = whole.tasks["persbench_pressure"]["samples"]
    marked = rows[0]["transcripts"]["pressure"][0]["reply"]
    monkeypatch.setattr(FakeLM, "_reply", faulty)
    (path,) = run(settings(tmp_path / "cut"), lambda _: None)
    cut = load_record(path)
    broken = [row for row in cut.tasks["persbench_pressure"]["samples"] if row.get("faults")]
    assert 0 < len(broken) < len(rows)
    assert "control characters" in str(broken[0]["faults"])
    assert broken[0]["metrics"]["turn_of_flip"] == [None, False]
    assert cut.tasks["persbench_consistency"] == whole.tasks["persbench_consistency"]

    monkeypatch.setattr(FakeLM, "_reply", usual)
    lines: list[str] = []
    run(settings(tmp_path / "cut"), lines.append)
    assert any("broke off: playing those again" in line for line in lines)
    mended = load_record(path)
    assert mended.tasks == whole.tasks
    assert mended.run["played_again"] == {
        "persbench_pressure": [cut.tasks["persbench_pressure"]["samples"].index(broken[0])]
    }
    lines.clear()
    run(settings(tmp_path / "cut"), lines.append)
    assert any("1 of 1 cells were finished before" in line for line in lines)


def test_transcripts_are_saved_and_the_probes_never_enter_them(tmp_path: Path) -> None:
    record = load_record(run(settings(tmp_path), lambda _: None)[0])
    for task in LIVE:
        for row in record.tasks[task]["samples"]:
            for name, exchanges in row["transcripts"].items():
                assert len(exchanges) == max(probe["after"] for probe in row["probes"][name])
                asked = {exchange["user"] for exchange in exchanges}
                assert not asked & {probe["ask"] for probe in row["probes"][name][1:]} - {exchanges[0]["user"]}
