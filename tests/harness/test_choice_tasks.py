"""Choices over several branches, by numbers worked out by hand: induction, stages, traits, ordinary answers."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lm_eval.tasks import TaskManager

from persbench.harness import documents as docs
from persbench.harness import reply as reply_module
from persbench.harness.choice_tasks import GeneralTask, InductionTask, StagesTask, TraitsTask
from persbench.harness.documents import BUILDERS, TWIN
from persbench.harness.fake_lm import FakeLM
from persbench.harness.task_index import expand, tasks_folder
from persbench.packs.bundled import fake_pack
from persbench.packs.load import Pack, PersonaData, load_pack
from persbench.systems.registry import get_system

Worth = dict[str, float | None]

# x(induced) = -1 - 1.5 + 1.25 + 1.75 = 0.5, x(control) = -2 - 1 + 1.25 + 1.5 = -0.25
INDUCED: Worth = {"resist": -1.0, "deny": -1.5, "yield": -1.25, "affirm": -1.75}
CONTROL: Worth = {"resist": -2.0, "deny": -1.0, "yield": -1.25, "affirm": -1.5}


@pytest.fixture(scope="module")
def pack() -> Pack:
    return load_pack(fake_pack())


def document(pack: Pack, task: str, number: int = 0) -> dict[str, Any]:
    return docs.documents_of(f"persbench_{task}", pack, pack.persona("ada"), get_system("prompt"))[number]


def by_branch(doc: dict[str, Any], *worths: Worth) -> list[list[float | None]]:
    """Scores in the document's own order of candidates, branch by branch."""
    return [[worth[label] for label in doc["labels"]] for worth in worths]


def results(doc: dict[str, Any], *worths: Worth) -> list[tuple[float, bool]]:
    """What a model would return for such scores: nats over all bytes of each candidate."""
    sizes = [len(text.encode()) for text in doc["candidates"]]
    rows = by_branch(doc, *worths)
    return [(score * n, False) for row in rows for score, n in zip(row, sizes, strict=True) if score is not None]


def test_induction_by_hand(pack: Pack) -> None:
    doc = document(pack, "induction")
    assert [b["label"] for b in doc["branches"]] == ["induced", "control"]
    found = InductionTask.score_branches(doc, by_branch(doc, INDUCED, CONTROL))
    assert found == {"discrimination": 1.0, "resistance": 1.0, "over_resistance": 0.0, "induction_margin": 0.1875}
    found = InductionTask.score_branches(doc, by_branch(doc, CONTROL, INDUCED))
    assert found == {"discrimination": 0.0, "resistance": 0.0, "over_resistance": 1.0, "induction_margin": -0.1875}


@pytest.mark.parametrize(
    ("label", "shift", "resistance", "over"), [("resist", -1.0, 0.0, 0.0), ("deny", 1.0, 1.0, 1.0)]
)
def test_a_candidate_that_is_likelier_everywhere_moves_resistance_but_never_discrimination(
    pack: Pack, label: str, shift: float, resistance: float, over: float
) -> None:
    doc = document(pack, "induction")
    shifted = [worth | {label: (worth[label] or 0.0) + shift} for worth in (INDUCED, CONTROL)]
    found = InductionTask.score_branches(doc, by_branch(doc, *shifted))
    assert found == {
        "discrimination": 1.0,
        "resistance": resistance,
        "over_resistance": over,
        "induction_margin": pytest.approx(0.1875),
    }


def test_induction_ties_share_and_a_missing_score_spoils_its_own_side_alone(pack: Pack) -> None:
    doc = document(pack, "induction")
    level: Worth = dict.fromkeys(INDUCED, -1.0)
    found = InductionTask.score_branches(doc, by_branch(doc, level, level))
    assert found == {"discrimination": 0.5, "resistance": 0.5, "over_resistance": 0.5, "induction_margin": 0.0}
    same = InductionTask.score_branches(doc, by_branch(doc, INDUCED, INDUCED))
    assert (same["discrimination"], same["resistance"], same["over_resistance"]) == (0.5, 1.0, 1.0)
    lost = InductionTask.score_branches(doc, by_branch(doc, INDUCED | {"affirm": None}, CONTROL))
    assert lost == {"discrimination": None, "resistance": None, "over_resistance": 0.0, "induction_margin": None}
    lost = InductionTask.score_branches(doc, by_branch(doc, INDUCED, CONTROL | {"yield": None}))
    assert lost == {"discrimination": None, "resistance": 1.0, "over_resistance": None, "induction_margin": None}


def test_results_are_read_branch_by_branch_and_anchors_taken_off_each(pack: Pack) -> None:
    """Anchored, x is 0.5 and -0.25; a head start of 1 nat a byte for `resist` makes the raw ones 1.5 and 0.75."""
    doc = document(pack, "induction")
    head_start: Worth = {"resist": 1.0, "deny": 0.0, "yield": 0.0, "affirm": 0.0}
    raw: list[Worth] = [{k: (w[k] or 0.0) + (head_start[k] or 0.0) for k in w} for w in (INDUCED, CONTROL)]
    for branch in doc["branches"]:
        (branch["anchors"],) = by_branch(doc, head_start)
    found = InductionTask.__new__(InductionTask).process_results(doc, results(doc, *raw))
    assert {name: value for name, (value, _) in found.items()} == pytest.approx(
        {
            "discrimination": 1.0, "resistance": 1.0, "over_resistance": 0.0, "induction_margin": 0.1875,
            "discrimination_raw": 1.0, "resistance_raw": 1.0, "over_resistance_raw": 1.0,
            "induction_margin_raw": 0.1875,
        }
    )  # fmt: skip
    doc["branches"][1]["anchors"] = None
    half = InductionTask.__new__(InductionTask).process_results(doc, results(doc, *raw))
    assert (half["resistance"], half["over_resistance"]) == ((1.0, True), (None, False))
    assert (half["discrimination"], half["discrimination_raw"]) == ((None, False), (1.0, True))


@pytest.mark.parametrize(
    ("early", "late", "accuracy", "no_leak", "margin"),
    [
        ((-1.0, -2.0), (-3.0, -2.0), 1.0, 1.0, 1.0),
        ((-1.0, -2.0), (-2.0, -2.5), 0.5, 1.0, 0.25),
        ((-2.0, -1.0), (-3.0, -2.0), 0.5, 0.0, 0.0),
        ((-2.0, -1.0), (-1.0, -3.0), 0.0, 0.0, -1.5),
        ((-1.0, -1.0), (-2.0, -1.0), 0.75, 0.5, 0.5),
        ((-1.0, None), (-2.0, -1.0), None, None, None),
        ((-1.0, -2.0), (None, -1.0), None, 1.0, None),
    ],
)
def test_a_stage_item_counts_once_and_the_early_choice_tells_the_leak(
    pack: Pack,
    early: tuple[float | None, float | None],
    late: tuple[float | None, float | None],
    accuracy: float | None,
    no_leak: float | None,
    margin: float | None,
) -> None:
    """Pairs are the scores of the early and of the late reply, at the early and at the late stage."""
    worths: list[Worth] = [dict(zip(("early", "late"), scores, strict=True)) for scores in (early, late)]
    rows = {doc["kind"]: doc for doc in (document(pack, "stages", i) for i in range(2))}
    for kind, leak in (("later_event", no_leak), ("change", None)):
        doc = rows[kind]
        assert [b["label"] for b in doc["branches"]] == ["early", "late"]
        found = StagesTask.score_branches(doc, by_branch(doc, *worths))
        assert found == {"stage_item_acc": accuracy, "stage_item_margin": margin, "no_future_leak": leak}


def test_one_document_an_item_and_none_for_who_lives_one_stage_alone(pack: Pack) -> None:
    ada = pack.persona("ada")
    found = docs.documents_of("persbench_stages", pack, ada, get_system("prompt"))
    assert sorted(doc["id"] for doc in found) == ["stages/ada-s01", "stages/ada-s02"]
    sheets = [[branch["messages"][0]["content"] for branch in doc["branches"]] for doc in found]
    assert all("Ada is twenty" in early and "Ada is thirty" in late for early, late in sheets)
    for stage in ("early", "late"):
        assert not docs.documents_of("persbench_stages", pack, only(ada, stage), get_system("prompt"))


def only(data: PersonaData, stage: str) -> PersonaData:
    lived = {stage: data.persona.stages[stage]}
    return replace(data, persona=data.persona.model_copy(update={"stages": lived}))


def likert(*answers: float | None) -> list[list[float | None]]:
    """Scores of the five options by which an answer wins; x.5 is a tie of two neighbours, None an unscored form."""
    return [
        [None] * 5 if answer is None else [float(abs(point - answer) < 1) for point in range(1, 6)]
        for answer in answers
    ]


@pytest.mark.parametrize(
    ("keyed", "answers", "toward", "order_gap", "paraphrase_gap"),
    [
        (1, (5, 4, 2), 11 / 3, 1.0, 3.0),
        (-1, (5, 4, 2), 7 / 3, 1.0, 3.0),
        (-1, (3.5, 3, 3.5), 8 / 3, 0.5, 0.0),
        (1, (2, 2, None), None, 0.0, None),
        (1, (None, 2, 2), None, None, None),
        (-1, (1, 4), 3.5, 3.0, None),
    ],
)
def test_traits_by_hand(
    pack: Pack,
    keyed: int,
    answers: tuple[float | None, ...],
    toward: float | None,
    order_gap: float | None,
    paraphrase_gap: float | None,
) -> None:
    """Forms: own words with options upwards and downwards, then paraphrased (the last case has no paraphrase)."""
    doc = next(d for i in range(4) if (d := document(pack, "traits", i))["statement"]["keyed"] == keyed)
    assert [b["label"] for b in doc["branches"]] == ["text/ascending", "text/descending", "paraphrase/ascending"]
    doc["branches"] = doc["branches"][: len(answers)]
    found = TraitsTask.score_branches(doc, likert(*answers))
    assert found == {
        "trait_toward": toward if toward is None else pytest.approx(toward),
        "order_gap": order_gap,
        "paraphrase_gap": paraphrase_gap,
    }


def test_an_ordinary_answer_costs_more_where_it_is_less_likely(pack: Pack) -> None:
    doc = document(pack, "general") | {"anchors": [-1.25]}
    found = GeneralTask.__new__(GeneralTask).process_results(doc, results(doc, {"reference": -1.5}))
    assert {name: value for name, (value, _) in found.items()} == pytest.approx(
        {"general_loss": 0.25, "general_loss_raw": 1.5}
    )
    assert GeneralTask.score(doc, [None]) == {"general_loss": None}


def test_every_task_returns_the_metrics_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply_module, "embedder_named", lambda _name: None)
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    names = [task.name for task in expand(["persbench", "persbench_gen"], tasks_folder())]
    assert {name.removesuffix(TWIN) for name in names} == set(BUILDERS)
    metadata = {"pack": str(fake_pack()), "persona": "ada", "system": "prompt", "anchors": str(tmp_path)}
    manager = TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata=metadata)
    lm = FakeLM()
    for name, task in manager.load(names)["tasks"].items():
        task.build_all_requests(limit=1, apply_chat_template=True, chat_template=lm.apply_chat_template)
        answers = [getattr(lm, request.request_type)([request])[0] for request in task.instances]
        found = task.process_results(task.instances[0].doc, answers)
        assert set(found) == set(task.METRICS) == set(task.aggregation()) == set(task.higher_is_better()), name
        assert all(scored == (value is not None) for value, scored in found.values()), name
