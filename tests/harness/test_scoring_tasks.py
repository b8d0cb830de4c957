"""Task classes: what a set of log-likelihoods is worth, and that nothing unscored becomes a zero."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager

from persbench.harness import documents as docs
from persbench.harness.choice_tasks import AttitudeTask, CostumeTask, KnowledgeTask, WhoSaidTask
from persbench.harness.choosing import ChoiceTask
from persbench.harness.documents.alignment import stance_holders
from persbench.harness.fake_lm import FakeLM
from persbench.harness.task_index import tasks_folder
from persbench.harness.tasks import mean_scored
from persbench.packs.bundled import fake_pack
from persbench.packs.load import Pack, load_pack
from persbench.scoring.confusion import chosen
from persbench.systems.registry import get_system

TASKS: dict[str, type[ChoiceTask]] = {
    "persbench_costume": CostumeTask,
    "persbench_attitude": AttitudeTask,
    "persbench_knowledge": KnowledgeTask,
    "persbench_who_said": WhoSaidTask,
}


@pytest.fixture(scope="module")
def pack() -> Pack:
    return load_pack(fake_pack())


def all_documents(pack: Pack, task: str, system: str = "vanilla") -> list[dict[str, Any]]:
    return [row for data in pack.personas for row in docs.documents_of(task, pack, data, get_system(system))]


def mean(values: list[float | None]) -> float:
    scored = [value for value in values if value is not None]
    return sum(scored) / len(scored)


@pytest.mark.parametrize("task", sorted(TASKS))
def test_equal_scores_give_exactly_chance(pack: Pack, task: str) -> None:
    """A tie counted as won, or a gold that always comes first under argmax, would be caught here."""
    for row in all_documents(pack, task):
        metrics = TASKS[task].score(row, [-1.0] * len(row["candidates"]))
        for name, chance in row["chance"].items():
            assert metrics[name] == pytest.approx(chance)


@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_model_that_knows_the_right_one_scores_one(pack: Pack, task: str) -> None:
    for row in all_documents(pack, task):
        scores = [float(i == row["own"]) for i in range(len(row["candidates"]))]
        metrics = TASKS[task].score(row, scores)
        assert {name: metrics[name] for name in row["chance"]} == dict.fromkeys(row["chance"], 1.0)


@pytest.mark.parametrize("task", sorted(TASKS))
def test_one_missing_score_leaves_what_needs_it_unscored(pack: Pack, task: str) -> None:
    row = all_documents(pack, task)[0]
    scores: list[float | None] = [0.0] * len(row["candidates"])
    scores[row["own"]] = None
    assert set(TASKS[task].score(row, scores).values()) == {None}


def test_costume_by_hand(pack: Pack) -> None:
    row = all_documents(pack, "persbench_costume")[0]
    worth = {"own": -1.0, "voice_only": -1.5, "stance_only": -0.75}
    metrics = CostumeTask.score(row, [worth[label] for label in row["labels"]])
    assert metrics == {"content_acc": 1.0, "content_margin": 0.5, "voice_acc": 0.0, "voice_margin": -0.25}


def test_who_said_by_hand(pack: Pack) -> None:
    """Ada at her late stage is best, but it is early Ada who is asked: the persona is right, the stage is not."""
    row = next(r for r in all_documents(pack, "persbench_who_said") if r["persona"] == "ada" and r["stage"] == "early")
    worth = {"ada/early": -2.0, "ada/late": -1.0, "bo/early": -3.0, "bo/late": -1.25}
    metrics = WhoSaidTask.score(row, [worth[label] for label in row["labels"]])
    assert metrics == {"persona_acc": 1.0, "stage_acc": 0.0, "who_margin": -1.0}
    assert chosen(row["labels"], [worth[label] for label in row["labels"]]) == ["ada/late"]


def test_anchoring_takes_away_what_a_candidate_costs_whoever_speaks(pack: Pack) -> None:
    """A generic sentence that is likely under everyone loses its head start, exactly."""
    row = dict(all_documents(pack, "persbench_attitude")[0])
    sizes = [len(text.encode()) for text in row["candidates"]]
    generic = (row["own"] + 1) % len(sizes)
    raw = [-2.0] * len(sizes)
    raw[generic], raw[row["own"]] = -0.5, -1.9
    row["anchors"] = [-0.5 if i == generic else -2.0 for i in range(len(sizes))]
    task = AttitudeTask.__new__(AttitudeTask)
    pairs = task.process_results(row, [(r * n, False) for r, n in zip(raw, sizes, strict=True)])
    assert pairs["attitude_acc"] == (1.0, True)
    assert pairs["attitude_acc_raw"] == (0.0, True)
    assert pairs["attitude_margin"][0] == pytest.approx(0.1)


def test_without_anchors_the_anchored_metrics_are_unscored(pack: Pack) -> None:
    row = all_documents(pack, "persbench_attitude")[0] | {"anchors": None}
    task = AttitudeTask.__new__(AttitudeTask)
    pairs = task.process_results(row, [(-10.0, False)] * 4)
    assert pairs["attitude_acc"] == (None, False)
    assert pairs["attitude_acc_raw"][1]


def test_the_mean_leaves_unscored_items_out() -> None:
    assert mean_scored([(1.0, True), (None, False), (0.0, True)]) == pytest.approx(0.5)
    assert math.isnan(mean_scored([(None, False)]))


@pytest.mark.parametrize("seed", range(8))
def test_vanilla_is_exactly_at_the_chance_that_stance_frequencies_give(pack: Pack, seed: int) -> None:
    """Without a persona a model says the same to everyone: over all cells it wins as often as its choice is held."""
    lm = FakeLM(seed=seed)
    for task in ("persbench_attitude", "persbench_who_said"):
        for question in pack.questions:
            rows = [row for row in all_documents(pack, task) if row["cluster"] == question.id]
            metric = "attitude_acc" if task == "persbench_attitude" else "persona_acc"
            by_text = {
                text: lm.loglikelihood([_request(rows[0]["ask"], text)])[0][0] / len(text.encode())
                for text in rows[0]["candidates"]
            }
            chosen = max(by_text, key=lambda text: by_text[text])
            won = [TASKS[task].score(row, [by_text[t] for t in row["candidates"]])[metric] for row in rows]
            if task == "persbench_attitude":
                stance = next(s.id for s in question.stances if s.text == chosen)
                expected = stance_holders(pack, question.id)[stance] / len(rows)
            else:
                expected = 1 / len(pack.personas)
            assert mean(won) == pytest.approx(expected)


def test_a_blind_cell_among_perfect_ones_stays_at_chance(pack: Pack) -> None:
    """No score depends on another cell: what neighbours get right gives a blind system no credit by elimination."""
    blind: list[float | None] = []
    for row in all_documents(pack, "persbench_who_said"):
        perfect = row["persona"] == "ada"
        scores = [float(i == row["own"]) if perfect else 0.0 for i in range(len(row["candidates"]))]
        value = WhoSaidTask.score(row, scores)["persona_acc"]
        if not perfect:
            blind.append(value)
    assert mean(blind) == pytest.approx(1 / len(pack.personas))


def _request(ask: str, text: str) -> Any:
    from lm_eval.api.instance import Instance

    return Instance("loglikelihood", {}, (ask, text), 0, ("t", 0, 1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_model_that_rounds_its_likelihoods_is_told_of(
    tmp_path: Path, dtype: torch.dtype, caplog: pytest.LogCaptureFixture
) -> None:
    lm: Any = FakeLM()
    lm.model, lm.softmax_dtype = SimpleNamespace(dtype=dtype), None
    told = {"pack": str(fake_pack()), "persona": "ada", "system": "prompt", "anchors": str(tmp_path)}
    manager = TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata=told)
    simple_evaluate(
        model=lm,
        tasks=["persbench_attitude"],
        limit=1,
        bootstrap_iters=0,
        task_manager=manager,
        apply_chat_template=True,
    )
    assert ("persbench_attitude: the model rounds" in caplog.text) == (dtype == torch.bfloat16)
    assert ("softmax_dtype=float32" in caplog.text) == (dtype == torch.bfloat16)
