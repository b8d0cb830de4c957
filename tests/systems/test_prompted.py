"""`icl` and `rag`: what they add to the persona's sheet, from where, and how much."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from word_embedder import WordEmbedder

from persbench.harness.documents import BUILDERS, documents_of
from persbench.packs.bundled import fake_pack, resolve_pack
from persbench.packs.load import Pack, load_pack
from persbench.packs.schema import Material, TrainDialogue
from persbench.retrieval import TextMemory
from persbench.systems.base import Situation
from persbench.systems.prompted import PAPER_BUDGET, USUAL_BUDGET, InContext, Retrieval, persona_sheet
from persbench.systems.registry import SYSTEMS, get_system


def rag(budgets: Any = USUAL_BUDGET, fingerprint: str = "words") -> Retrieval:
    return Retrieval("rag", budgets, lambda: TextMemory(WordEmbedder(fingerprint)))


@pytest.fixture(scope="module")
def pack() -> Pack:
    return load_pack(fake_pack())


def situation(pack: Pack, stage: str = "late", **rows: Any) -> Situation:
    return Situation(pack, replace(pack.personas[0], **rows), pack.stage(stage))


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def dialogues(counts: dict[tuple[str, str], int]) -> tuple[TrainDialogue, ...]:
    return tuple(
        TrainDialogue.model_validate({
            "id": f"{pattern}{i}", "prompt_id": f"c{pattern}{i}", "pattern": pattern, "stage": stage,
            "prompt": f"{pattern} {i} of {stage}?", "analysis": f"thought {i}", "response": f"reply {i} of {stage}",
        })
        for (pattern, stage), count in counts.items() for i in range(count)
    )  # fmt: skip


def material(name: str, kind: str, text: str, stage: str = "late") -> Material:
    return Material.model_validate({"id": name, "stage": stage, "kind": kind, "text": text})


def test_icl_shows_four_dialogues_of_the_stage_spread_over_patterns(pack: Pack) -> None:
    counts = {("question", "late"): 9, ("opinion", "late"): 9, ("induced", "late"): 9, ("question", "early"): 9}
    at = situation(pack, train=dialogues(counts))
    messages = InContext().messages(at, user("Now?"))
    assert messages[0] == {"role": "system", "content": persona_sheet(at)}
    assert messages[-1]["content"] == "Now?"
    assert [m["role"] for m in messages[1:-1]] == ["user", "assistant"] * 4
    shown = [m["content"] for m in messages[1:-1]]
    assert Counter(text.split()[0] for text in shown[::2]) == {"question": 2, "opinion": 1, "induced": 1}
    assert all("of late" in text for text in shown)
    assert not [text for text in shown if "thought" in text]
    assert InContext().messages(at, user("Or now?"))[:-1] == messages[:-1], "the same ones whatever is asked"
    turned = situation(pack, train=dialogues(counts)[::-1])
    assert InContext().messages(turned, user("Now?")) == messages, "whatever the order of the file"


def test_icl_does_with_fewer_and_leaves_the_last_out_first(pack: Pack) -> None:
    at = situation(pack, train=dialogues({("opinion", "late"): 1, ("question", "late"): 2}))
    whole = InContext().messages(at, user("Now?"))
    assert len(whole) == 2 + 2 * 3
    assert InContext().messages(at, user("Now?"), less=1) == [*whole[:5], whole[-1]]
    assert InContext().messages(at, user("Now?"), less=9) == [whole[0], whole[-1]]
    assert [m["role"] for m in InContext().messages(at, [{"role": "system", "content": "Be brief."}, *user("Now?")])][
        :3
    ] == ["system", "system", "user"]


def test_rag_takes_the_nearest_units_of_the_stage_or_earlier_that_fit(pack: Pack) -> None:
    rows = (
        material("m1", "experience", "the oven came over the bridge"),
        material("m2", "speech", "the oven the oven the oven", "early"),
        material("m3", "knowledge", "salt keeps fish"),
        material("m4", "experience", "the bridge " * 300),
    )
    late = rag().messages(situation(pack, materials=rows), [*user("salt?"), *user("the oven came over the bridge")])
    near = "- the oven came over the bridge\n- the oven the oven the oven\n- salt keeps fish"
    assert late[0]["content"] == f"{persona_sheet(situation(pack))}\n\nWhat comes to your mind:\n{near}"
    early = rag().messages(situation(pack, "early", materials=rows), user("the oven came over the bridge"))
    assert early[0]["content"].endswith("What comes to your mind:\n- the oven the oven the oven")
    less = rag().messages(situation(pack, materials=rows), user("the oven came over the bridge"), less=2)
    assert less[0]["content"].endswith("What comes to your mind:\n- the oven came over the bridge")
    none = rag().messages(situation(pack, materials=rows), user("the oven"), less=3)
    assert none[0]["content"] == persona_sheet(situation(pack))


def test_the_paper_s_budgets_keep_speech_apart(pack: Pack) -> None:
    rows = (
        *(material(f"e{i}", "experience", f"e{i} " * 400) for i in range(5)),
        *(material(f"s{i}", "speech", f"s{i} " * 200) for i in range(5)),
    )
    (system, _) = rag(PAPER_BUDGET).messages(situation(pack, materials=rows), user("What?"))
    objective, speech = system["content"].split("What comes to your mind:")[1].split("What you have said or written:")
    assert (objective.count("\n- "), speech.count("\n- ")) == (3, 2)


def test_fingerprints_change_with_settings_and_embedder() -> None:
    prints = [
        rag().fingerprint, rag(PAPER_BUDGET).fingerprint, rag(fingerprint="other").fingerprint,
        InContext().fingerprint, InContext(3).fingerprint, get_system("prompt").fingerprint,
    ]  # fmt: skip
    assert len(set(prints)) == len(prints)
    assert rag().fingerprint == rag().fingerprint


@pytest.mark.model
def test_documents_of_a_whole_persona_are_built_in_seconds() -> None:
    pack = load_pack(resolve_pack(None))
    data = pack.personas[0]
    begun = time.monotonic()
    for _ in range(2):
        for task in BUILDERS:
            assert documents_of(task, pack, data, SYSTEMS["rag"])
    assert time.monotonic() - begun < 60
    (message, *_) = documents_of("persbench_knowledge", pack, data, SYSTEMS["rag"])[0]["messages"]
    assert 200 < len(message["content"].split("What comes to your mind:")[1].split()) <= 428
