"""Free replies at the level of items: numbers worked out by hand, and silence, ties, length and single stages."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lm_eval.tasks import TaskManager
from word_embedder import WordEmbedder

from persbench.harness import documents as docs
from persbench.harness import reply as reply_module
from persbench.harness.choice_tasks import WhoSaidTask
from persbench.harness.task_index import tasks_folder
from persbench.packs.bundled import fake_pack
from persbench.packs.load import load_pack
from persbench.report.board import lines_of
from persbench.report.cells import Cell
from persbench.samples import sample_row
from persbench.systems.registry import get_system

NAMES = ["persbench_reply", "persbench_general_reply", "persbench_induction_reply", "persbench_distinction"]
FOUR = ["salt tide rope", "bread rain debt", "lamp oar stone", "bell goose coin"]


@pytest.fixture(scope="module")
def tasks() -> dict[str, Any]:
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    metadata = {"pack": str(fake_pack()), "persona": "ada", "system": "prompt"}
    manager = TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata=metadata)
    return dict(manager.load(NAMES)["tasks"])


@pytest.fixture(autouse=True)
def _words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply_module, "embedder_named", lambda _name: WordEmbedder())


def scored(task: Any, *replies: str, **changed: Any) -> dict[str, float | None]:
    doc = dict(task.documents[0]) | changed
    found = task.process_results(doc, list(replies))
    assert all(told == (value is not None) for value, told in found.values())
    return {name: value for name, (value, _) in found.items()}


def test_the_own_answer_word_for_word(tasks: dict[str, Any]) -> None:
    """Nothing is shared with the others: every overlap is whole with the own answer and none with them."""
    found = scored(tasks["persbench_reply"], "salt tide rope", candidates=FOUR, own=0)
    assert found["rouge_l_lift"] == pytest.approx(100.0)
    assert found["cosine_lift"] == pytest.approx(1.0)
    assert (found["rouge_l_nearest"], found["cosine_nearest"], found["bleu_nearest"]) == (1.0, 1.0, 1.0)
    assert (found["length_words"], found["distinct_2"]) == (3.0, 1.0)


def test_half_of_the_own_and_half_of_another_answer_is_a_tie(tasks: dict[str, Any]) -> None:
    """ROUGE-L: 1 of 2 words and 1 of 3 with either, F1 0.4; two of four share the place, and the mean is over three."""
    found = scored(tasks["persbench_reply"], "salt bread", candidates=FOUR, own=0)
    assert found["rouge_l_lift"] == pytest.approx(40.0 - (40.0 + 0.0 + 0.0) / 3)
    assert found["rouge_l_nearest"] == 0.5
    assert found["cosine_nearest"] == 0.5
    assert scored(tasks["persbench_reply"], "never", candidates=FOUR, own=0)["rouge_l_nearest"] == 0.25


@pytest.mark.parametrize("silence", ["", "  \n\t"])
def test_silence_is_unscored_and_has_no_words(tasks: dict[str, Any], silence: str) -> None:
    found = scored(tasks["persbench_reply"], silence)
    assert {name for name, value in found.items() if value is not None} == {"length_words"}
    assert found["length_words"] == 0.0
    assert scored(tasks["persbench_general_reply"], silence) == {"general_rouge_l": None, "general_words": 0.0}
    found = scored(tasks["persbench_induction_reply"], silence)
    assert found.pop("induction_reply_words") == 0.0
    assert set(found.values()) == {None}
    silent = {"intra_bleu": None, "sampled_words": 0.0, "sampled_distinct_2": None}
    assert scored(tasks["persbench_distinction"], silence, silence) == silent


def test_one_silent_sample_of_two(tasks: dict[str, Any]) -> None:
    found = scored(tasks["persbench_distinction"], "salt tide salt tide", " ")
    # pairs: salt tide, tide salt, salt tide: two of three differ
    assert found == {"intra_bleu": None, "sampled_words": 2.0, "sampled_distinct_2": pytest.approx(2 / 3)}
    assert scored(tasks["persbench_distinction"], "salt", "tide")["sampled_distinct_2"] is None


def test_an_ordinary_reply_by_hand(tasks: dict[str, Any]) -> None:
    """Two of the reply's four words stand in this order among the reference's three: precision 1/2, recall 2/3."""
    found = scored(tasks["persbench_general_reply"], "salt and tide again", candidates=["salt tide rope"], own=0)
    assert found == {
        "general_rouge_l": pytest.approx(100 * 2 * (1 / 2) * (2 / 3) / (1 / 2 + 2 / 3)),
        "general_words": 4.0,
    }


def test_a_reply_longer_than_any_context_is_scored_as_it_is(tasks: dict[str, Any]) -> None:
    """The own answer, and then 5,000 words of nothing: recall is whole and precision vanishes."""
    text = "salt tide rope " + "winter " * 5_000
    found = scored(tasks["persbench_reply"], text, candidates=FOUR, own=0)
    assert found["length_words"] == 5_003
    precision = 3 / 5_003
    assert found["rouge_l_lift"] == pytest.approx(100 * 2 * precision / (1 + precision))
    assert found["rouge_l_nearest"] == 1.0
    assert found["distinct_2"] == pytest.approx(4 / 5_002)  # salt tide, tide rope, rope winter, winter winter


def test_an_embedder_that_is_not_there_leaves_its_own_numbers_unscored(
    tasks: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reply_module, "embedder_named", lambda _name: None)
    found = scored(tasks["persbench_reply"], "salt tide rope", candidates=FOUR, own=0)
    assert (found["cosine_lift"], found["cosine_nearest"]) == (None, None)
    assert found["rouge_l_lift"] == pytest.approx(100.0)


def test_who_lives_one_stage_alone_has_no_other_to_be_taken_for(tmp_path: Path) -> None:
    """The stage is no question then: neither right nor unscored, and its chance level is the others' alone."""
    pack = load_pack(fake_pack())
    ada = pack.persona("ada")
    early = {"early": ada.persona.stages["early"]}
    answers = tuple(answer for answer in ada.answers if answer.stage == "early")
    short = replace(ada, persona=ada.persona.model_copy(update={"stages": early}), answers=answers)
    pack = replace(pack, personas=(short, pack.persona("bo")))
    rows = []
    for data in pack.personas:
        for doc in docs.documents_of("persbench_who_said", pack, data, get_system("prompt")):
            lls = [-1.0 * (i + 1) * len(text.encode()) for i, text in enumerate(doc["candidates"])]
            doc["anchors"] = [0.0] * len(lls)
            found = WhoSaidTask.__new__(WhoSaidTask).process_results(doc, [(ll, False) for ll in lls])
            sample = {"doc": doc, "resps": [[(ll, False)] for ll in lls], "metrics": list(found)} | found
            rows.append(sample_row(sample))
    single = [row for row in rows if row["persona"] == "ada"]
    assert single
    assert all(row["metrics"]["stage_acc"] == [None, False] and set(row["chance"]) == {"persona_acc"} for row in single)
    cells = [Cell("prompt", "ada", {}, {"persbench_who_said": rows})]
    (line,) = lines_of(cells, "dynamics")
    entry = line.entries["stage_acc"]
    assert (entry.chance, entry.idle, entry.value.unscored) == (0.5, len(single), 0)
    assert entry.value.n == len(rows) - len(single)
