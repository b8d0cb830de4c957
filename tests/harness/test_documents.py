"""Documents: what a request will hold, in which order, and what never enters a prompt."""

from __future__ import annotations

import pytest

from persbench.errors import PersbenchError, UnknownNameError
from persbench.harness import documents as docs
from persbench.packs.bundled import fake_pack
from persbench.packs.load import Pack, load_pack
from persbench.systems.base import Situation
from persbench.systems.prompted import persona_sheet
from persbench.systems.registry import SYSTEMS, get_system


@pytest.fixture(scope="module")
def pack() -> Pack:
    return load_pack(fake_pack())


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
            stance = pack.question(row["cluster"]).stance(answer.stance)
            assert row["candidates"][row["own"]] == stance.text


@pytest.mark.parametrize("system", sorted(SYSTEMS))
def test_no_test_text_enters_a_prompt(pack: Pack, system: str) -> None:
    for data in pack.personas:
        for stage in pack.world.stages:
            situation = Situation(pack, data, stage)
            prompt = "\n".join(m["content"] for m in get_system(system).messages(situation, []))
            profile = data.persona.stages[stage.id]
            secret = [*profile.cannot_know, *(target.reason for target in profile.traits.values())]
            secret += [row.reply for row in data.answers] + [row.gold for row in data.knowledge]
            secret += [foil for row in data.knowledge for foil in row.foils]
            secret += [row.voice_only.reply for row in data.contrast] + [row.stance_only.reply for row in data.contrast]
            secret += [m.text for m in data.materials]
            assert secret
            assert not [text for text in secret if text in prompt]


def test_the_prompt_is_of_its_stage_alone(pack: Pack) -> None:
    data = pack.personas[0]
    early, late = (persona_sheet(Situation(pack, data, stage)) for stage in pack.world.stages)
    assert data.persona.stages["early"].profile in early
    assert data.persona.stages["late"].profile not in early
    assert data.persona.stages["late"].profile in late
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
