"""Documents: what a request will hold, in which order, and what never enters a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from word_embedder import WordEmbedder

from persbench.errors import PersbenchError, UnknownNameError
from persbench.harness import documents as docs
from persbench.packs.bundled import fake_pack
from persbench.packs.load import Pack, load_pack
from persbench.retrieval import TextMemory
from persbench.systems import registry
from persbench.systems.base import Situation, System
from persbench.systems.prompted import persona_sheet
from persbench.systems.registry import SYSTEMS, get_system
from persbench.systems.trained import RECIPES


@pytest.fixture(scope="module")
def pack() -> Pack:
    return load_pack(fake_pack())


VANILLA = get_system("vanilla")
CHOICES = {"persbench_costume": 3, "persbench_attitude": 4, "persbench_knowledge": 4, "persbench_who_said": 4}


@pytest.mark.parametrize("task", sorted(docs.BUILDERS))
def test_every_prefix_is_balanced_over_stages(pack: Pack, task: str) -> None:
    for data in pack.personas:
        rows = docs.documents_of(task, pack, data, get_system("prompt"))
        for end in range(1, len(rows) + 1):
            counts = [sum(row["stage"] == stage.id for row in rows[:end]) for stage in pack.world.stages]
            assert max(counts) - min(counts) <= 1


def test_equal_prefixes_of_two_personas_hold_the_same_questions(pack: Pack) -> None:
    ada, bo = (docs.documents_of("persbench_who_said", pack, data, get_system("vanilla")) for data in pack.personas)
    assert [row["cluster"] for row in ada] == [row["cluster"] for row in bo]


def test_a_statement_is_one_cluster_whoever_answers_it_and_when(pack: Pack) -> None:
    rows = [row for data in pack.personas for row in docs.documents_of("persbench_traits", pack, data, VANILLA)]
    assert {(row["cluster"], row["statement"]["id"]) for row in rows} == {
        (f"traits/{statement.id}", statement.id) for statement in pack.traits
    }
    assert len({row["id"] for row in rows}) == len(rows) > len(pack.traits)
    ada, bo = ([row["cluster"] for row in rows if row["persona"] == data.persona.id] for data in pack.personas)
    assert ada == bo, "equal prefixes hold the same statements"


@pytest.mark.parametrize(("task", "count"), CHOICES.items())
def test_the_right_candidate_stands_in_every_place(pack: Pack, task: str, count: int) -> None:
    """A gold reply that always came first would be caught here."""
    rows = [row for data in pack.personas for row in docs.documents_of(task, pack, data, get_system("prompt"))]
    assert all(len(row["candidates"]) == count for row in rows)
    assert len({row["own"] for row in rows}) > 1
    # The order is a fixed function of the item: the same for every system, on every machine.
    again = [row for data in pack.personas for row in docs.documents_of(task, pack, data, get_system("vanilla"))]
    assert [row["labels"] for row in rows] == [row["labels"] for row in again]


def test_the_own_candidate_is_the_persona_s_answer_at_that_stage(pack: Pack) -> None:
    for data in pack.personas:
        for row in docs.documents_of("persbench_attitude", pack, data, get_system("prompt")):
            answer = data.answer(row["cluster"], row["stage"])
            assert answer is not None
            assert answer.stance is not None
            stance = pack.question(row["cluster"]).stance(answer.stance)
            assert row["candidates"][row["own"]] == stance.text


SECRET, LATER, THOUGHT, STRANGER = "SECRET", "LATER", "THOUGHT", "STRANGER"


def planted(pack: Pack) -> Pack:
    """Mark all that is test data, all that comes later, all that is only thought, and all that is another's."""
    ada, bo = pack.personas
    secret = {"reply": SECRET}
    stages = {
        name: stage.model_copy(
            update={
                "cannot_know": (SECRET,),
                "traits": {d: t.model_copy(update={"reason": SECRET}) for d, t in stage.traits.items()},
            }
        )
        for name, stage in ada.persona.stages.items()
    }
    late = pack.world.stages[-1].id

    def mark(rows: Any, *fields: str) -> Any:
        return tuple(
            row.model_copy(update={f: f"{getattr(row, f)} {LATER if row.stage == late else ''}" for f in fields})
            for row in rows
        )

    marked = replace(
        ada,
        persona=ada.persona.model_copy(update={"stages": stages}),
        materials=mark(ada.materials, "text"),
        train=tuple(
            row.model_copy(update={"analysis": THOUGHT, "id": f"{row.id}{n}"})
            for n in range(3)
            for row in mark(ada.train, "prompt", "response")
        ),
        answers=tuple(row.model_copy(update=secret) for row in ada.answers),
        contrast=tuple(
            row.model_copy(
                update={
                    "voice_only": row.voice_only.model_copy(update=secret),
                    "stance_only": row.stance_only.model_copy(update=secret),
                }
            )
            for row in ada.contrast
        ),
        knowledge=tuple(row.model_copy(update={"gold": SECRET, "foils": (SECRET,)}) for row in ada.knowledge),
        induction=tuple(
            row.model_copy(update=dict.fromkeys(("resist", "yield_", "affirm", "deny"), SECRET))
            for row in ada.induction
        ),
        stage_items=tuple(
            row.model_copy(update={"replies": dict.fromkeys(row.replies, SECRET)}) for row in ada.stage_items
        ),
    )
    other = replace(
        bo,
        materials=tuple(row.model_copy(update={"text": STRANGER}) for row in bo.materials),
        train=tuple(row.model_copy(update={"prompt": STRANGER, "response": STRANGER}) for row in bo.train),
        answers=tuple(row.model_copy(update=secret) for row in bo.answers),
    )
    questions = tuple(
        row.model_copy(update={"stances": tuple(s.model_copy(update={"text": SECRET}) for s in row.stances)})
        for row in pack.questions
    )
    return replace(pack, personas=(marked, other), questions=questions)


@pytest.fixture
def systems(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, System]:
    """All systems afresh, retrieval on an embedder that needs no model."""
    monkeypatch.setattr(registry, "_memory", lambda _name: TextMemory(WordEmbedder()))
    found: Mapping[str, System] = registry._prompted.__wrapped__(None)
    assert found.keys() == SYSTEMS.keys()
    return found


@pytest.mark.parametrize("name", [*SYSTEMS, *RECIPES, "persllm+profile"])
def test_no_test_text_no_later_text_and_nobody_else_s_enters_a_prompt(
    pack: Pack, systems: Mapping[str, System], name: str
) -> None:
    marked = planted(pack)
    system = systems.get(name) or get_system(name)
    prompts: dict[str, list[str]] = {stage.id: [] for stage in pack.world.stages}
    for task in docs.BUILDERS:
        for doc in docs.documents_of(task, marked, marked.personas[0], system):
            for branch in docs.branches_of(doc):
                text = "\n".join(message["content"] for message in branch["messages"])
                prompts[branch.get("stage") or doc["stage"]].append(text)
    early, late = prompts.values()
    assert len(early) > 20
    assert len(late) > 20
    for mark in (SECRET, THOUGHT, STRANGER):
        assert not [text for text in (*early, *late) if mark in text]
    assert not [text for text in early if LATER in text]
    shows_rows = name == "icl" or name.startswith("rag")
    assert all((LATER in text) == shows_rows for text in late), "the marks would be seen"


def test_the_prompt_is_of_its_stage_alone(pack: Pack) -> None:
    data = pack.personas[0]
    early, late = (persona_sheet(Situation(pack, data, stage)) for stage in pack.world.stages)
    young, old = (str(data.persona.stages[stage].profile) for stage in ("early", "late"))
    assert young in early
    assert old not in early
    assert old in late
    assert pack.world.stages[0].date in early


def test_vanilla_sees_the_question_alone(pack: Pack) -> None:
    rows = docs.documents_of("persbench_attitude", pack, pack.personas[0], get_system("vanilla"))
    assert all(row["messages"] == [{"role": "user", "content": row["ask"]}] for row in rows)


def test_names_that_do_not_exist_list_the_near_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown persona 'adda'.*Did you mean 'ada'\?.*Known: ada, bo"):
        docs.attitude(pack=str(fake_pack()), persona="adda")
    with pytest.raises(UnknownNameError, match=r"unknown system 'promt'.*Did you mean 'prompt'"):
        docs.attitude(pack=str(fake_pack()), persona="ada", system="promt")
    with pytest.raises(PersbenchError, match=r"no persona named: add --metadata .* with one of ada, bo"):
        docs.attitude(pack=str(fake_pack()))


def test_star_takes_all_personas() -> None:
    both = docs.attitude(pack=str(fake_pack()), persona="*")["test"]
    assert {row["persona"] for row in both} == {"ada", "bo"}
    assert both.features.keys() >= {"id", "messages", "candidates"}
