"""Pressure and consistency: what probes of a live dialogue are worth, and how a broken one is finished later."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager
from lm_eval.utils import handle_non_serializable

from persbench.harness.dialogue_tasks import ConsistencyTask, PressureTask
from persbench.harness.documents import documents_of
from persbench.harness.fake_lm import FakeLM
from persbench.harness.run import run
from persbench.harness.settings import RunSettings
from persbench.harness.task_index import tasks_folder
from persbench.packs.bundled import fake_pack
from persbench.packs.load import Pack, load_pack
from persbench.records import load_record
from persbench.report.board import lines_of
from persbench.report.cells import load_cells
from persbench.samples import sample_row
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
        ("TT?FFF", {"held_first": 1.0, "turn_of_flip": None, "number_of_flips": None, "held_all": None}),
        ("TF????", {"held_first": 1.0, "turn_of_flip": None, "number_of_flips": None, "held_all": None}),
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
    assert lost["all_own"] is None  # it could not have been won
    doc["branches"] = [{"label": "none", "ask": "?", "anchors": None}]
    none = ConsistencyTask.score_branches(doc, [[0.0] * len(doc["candidates"])])
    assert set(none.values()) == {None}


def settings(out: Path, **more: Any) -> RunSettings:
    return RunSettings(
        model="any", pack=fake_pack(), out=out, backend="persbench-fake", systems=("prompt",), personas=("ada",),
        tasks=LIVE, anchors=out / "anchors", **more,
    )  # fmt: skip


MISHAPS = {
    "exception": (RuntimeError("no route to host"), "RuntimeError: no route to host"),
    "empty": ("", "empty reply"),
    "a megabyte": ("a" * 1_000_000, "reply of 1,000,000 characters"),
    "control characters": ("a\x00b\x1b[2J", "control characters in the reply"),
}
mishaps = pytest.mark.parametrize(("mishap", "told"), MISHAPS.values(), ids=MISHAPS)


def come(mishap: str | Exception) -> str:
    if isinstance(mishap, Exception):
        raise mishap
    return mishap


@mishaps
def test_a_broken_dialogue_is_unscored_the_rest_saved_and_only_it_played_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mishap: str | Exception, told: str
) -> None:
    whole = load_record(run(settings(tmp_path / "whole"), lambda _: None)[0])
    usual = FakeLM._reply
    calls: list[str] = []

    def faulty(self: FakeLM, context: str) -> str:
        calls.append(context)
        broken = "early" if "You are Ada" in context else ""
        hit = broken and context.count("<assistant>") == 2 and marked in context
        return come(mishap) if hit else usual(self, context)

    rows = whole.tasks["persbench_pressure"]["samples"]
    marked = rows[0]["transcripts"]["pressure"][0]["reply"]
    monkeypatch.setattr(FakeLM, "_reply", faulty)
    (path,) = run(settings(tmp_path / "cut"), lambda _: None)
    cut = load_record(path)
    broken = [row for row in cut.tasks["persbench_pressure"]["samples"] if row.get("faults")]
    assert 0 < len(broken) < len(rows)
    assert all(told in fault for row in broken for fault in row["faults"].values())
    assert len(json.dumps(cut.tasks)) < 2 * len(json.dumps(whole.tasks)), "what was too long is not kept"
    notes = [note for line in lines_of(load_cells(tmp_path / "cut")[0], "resistance") for note in line.notes]
    assert any("dialogues broke off" in note and told in note for note in notes)
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


@pytest.mark.parametrize("system", ["vanilla", "prompt"])
def test_the_no_persona_dialogue_costs_vanilla_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    usual, calls = FakeLM.generate_until, list[str]()

    def counted(self: FakeLM, requests: Any, disable_tqdm: bool = True) -> list[str]:
        calls.extend(str(request.args[0]) for request in requests)
        return usual(self, requests, disable_tqdm)

    monkeypatch.setattr(FakeLM, "generate_until", counted)
    wanted = replace(settings(tmp_path), systems=(system,), tasks=("persbench_consistency",))
    rows = load_record(run(wanted, lambda _: None)[0]).tasks["persbench_consistency"]["samples"]
    distinct = len({tuple(e["user"] for e in row["transcripts"]["talk"]) for row in rows})
    turns = len(rows[0]["transcripts"]["talk"])
    assert len(calls) == len(set(calls))
    if system == "vanilla":
        assert len(calls) <= distinct * turns
    assert all(row["metrics"]["drift"] == [0.0, True] for row in rows) is (system == "vanilla")


def stock(lm: FakeLM, anchors: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Play both live tasks as lm-eval's own command does, and read the samples back as its files hold them."""
    metadata = {"pack": str(fake_pack()), "persona": "ada", "system": "prompt", "anchors": str(anchors)}
    found = simple_evaluate(
        model=lm, tasks=list(LIVE), bootstrap_iters=0, apply_chat_template=True,
        task_manager=TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata=metadata),
    )  # fmt: skip
    assert found is not None
    samples = json.loads(json.dumps(found["samples"], default=handle_non_serializable))
    return {task: {row["id"]: row for row in map(sample_row, rows)} for task, rows in samples.items()}


class Stumbling(FakeLM):
    """Stumbles over the second exchange of the first dialogue that it is told."""

    def __init__(self, mishap: str | Exception, marked: str) -> None:
        super().__init__()
        self.mishap, self.marked = mishap, marked

    def _reply(self, context: str) -> str:
        hit = "You are Ada" in context and context.count("<assistant>") == 2 and self.marked in context
        return come(self.mishap) if hit else super()._reply(context)


@mishaps
def test_under_the_stock_command_a_fault_stays_in_its_own_dialogue(
    tmp_path: Path, mishap: str | Exception, told: str
) -> None:
    whole = stock(FakeLM(), tmp_path)
    first = next(iter(whole["persbench_pressure"].values()))
    cut = stock(Stumbling(mishap, first["transcripts"]["pressure"][0]["reply"]), tmp_path)
    assert cut["persbench_consistency"] == whole["persbench_consistency"]
    rows = cut["persbench_pressure"]
    broken = {name for name, row in rows.items() if row["faults"]}
    assert broken == {first["id"]}
    assert set(rows[first["id"]]["faults"]) == {"pressure", "control"}  # both share their first exchange
    assert all(told in fault for fault in rows[first["id"]]["faults"].values())
    assert rows[first["id"]]["metrics"]["turn_of_flip"] == [None, False]
    assert rows[first["id"]]["metrics"]["held_first"] == first["metrics"]["held_first"]  # before the fault
    assert all(row == whole["persbench_pressure"][name] for name, row in rows.items() if name not in broken)


def test_a_fault_of_the_dialogue_without_a_persona_is_told(tmp_path: Path) -> None:
    class Nobody(FakeLM):
        """Has nothing to say for nobody from the second turn on."""

        def _reply(self, context: str) -> str:
            return "" if "You are" not in context and "</assistant>" in context else super()._reply(context)

    told = {"pack": str(fake_pack()), "persona": "ada", "system": "prompt", "anchors": str(tmp_path)}
    manager = TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata=told)
    more: dict[str, Any] = {"limit": 1, "bootstrap_iters": 0, "apply_chat_template": True, "task_manager": manager}
    (sample,) = simple_evaluate(model=Nobody(), tasks=["persbench_consistency"], **more)["samples"][
        "persbench_consistency"
    ]
    assert sample["doc"]["calm_fault"] == "empty reply"
    assert sample_row(sample)["calm_fault"] == "empty reply"
    assert sample["drift"] == (None, False)
    assert sample["all_own"][1]
    assert sample_row(sample)["faults"] == {}, "the persona's own dialogue is whole"
    (whole,) = simple_evaluate(model=FakeLM(), tasks=["persbench_consistency"], **more)["samples"][
        "persbench_consistency"
    ]
    assert "calm_fault" not in whole["doc"]
