"""A context too small for all that a system would say: what goes first, and what never does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_analysis import ThinkingLM, samples

from persbench.errors import PersbenchError
from persbench.harness.dialogue import Speaker, Talk
from persbench.harness.fitting import fitted
from persbench.packs.bundled import fake_pack
from persbench.packs.load import load_pack
from persbench.systems.base import Situation
from persbench.systems.prompted import InContext, persona_sheet


class SmallLM(ThinkingLM):
    """Counts a token a word, and takes only so many."""

    def __init__(self, max_length: int) -> None:
        super().__init__("Yes.")
        self.max_length = max_length

    def tok_encode(self, text: str) -> list[int]:
        return [len(word) for word in text.split()]


def compose(less: int) -> list[Any]:
    pieces = [f"piece {i} is a word or two longer." for i in range(4)][: max(0, 4 - less)]
    return [{"role": "system", "content": " ".join(["I am Ada.", *pieces])}, {"role": "user", "content": "Well?"}]


@pytest.mark.parametrize(("room", "less"), [(9, 0), (10, 1), (17, 1), (18, 2), (33, 3), (34, 4)])
def test_pieces_go_one_by_one(room: int, less: int) -> None:
    lm = SmallLM(44)
    found = fitted(compose, lm, lm.apply_chat_template, room)
    assert found is not None
    assert found.less == less
    assert found.messages == compose(less)
    assert "I am Ada." in found.rendered.context


def test_the_persona_is_never_a_piece() -> None:
    lm = SmallLM(44)
    assert fitted(compose, lm, lm.apply_chat_template, 43) is None
    assert fitted(lambda _less: compose(0), lm, lm.apply_chat_template, 10) is None, "a system without pieces"


def test_an_endpoint_counts_by_itself() -> None:
    lm = ThinkingLM()
    found = fitted(compose, lm, lm.apply_chat_template, 10**6)
    assert found is not None
    assert found.less == 0


def test_a_task_leaves_examples_out_and_says_so(tmp_path: Path) -> None:
    pack = load_pack(fake_pack())
    large = SmallLM(10**6)
    (whole,) = samples(large, "persbench_attitude", tmp_path, limit=1, system="icl")
    assert "left_out" not in whole
    longest = max(len(context.split()) + len(text.split()) for context, text in large.scored)
    lm = SmallLM(longest - 1)
    (cut,) = samples(lm, "persbench_attitude", tmp_path / "again", limit=1, system="icl")
    assert cut["left_out"] == 1
    assert max(len(context.split()) + len(text.split()) for context, text in lm.scored) < longest
    sheet = persona_sheet(Situation(pack, pack.personas[0], pack.stage(cut["stage"])))
    assert [context for context, _ in lm.scored if sheet in context]


@pytest.mark.parametrize("task", ["persbench_attitude", "persbench_reply", "persbench_costume_gen"])
def test_a_persona_without_room_is_an_error_that_names_the_document(tmp_path: Path, task: str) -> None:
    told = rf"{task}, document \S+ada\S+: what icl reads and says takes \d+ tokens, and the model has 60: .* cut the p"
    with pytest.raises(PersbenchError, match=told):
        samples(SmallLM(60), task, tmp_path, limit=1, system="icl")


def test_what_is_retrieved_again_follows_from_the_question_without_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, str]] = []
    messages = InContext.messages

    def noted(self: InContext, situation: Situation, turns: list[Any], less: int = 0) -> list[Any]:
        asked.append((less, turns[-1]["content"]))
        return messages(self, situation, turns, less)

    monkeypatch.setattr(InContext, "messages", noted)
    large = SmallLM(10**6)
    samples(large, "persbench_attitude_gen", tmp_path, limit=1, system="icl")
    lm = SmallLM(max(len(context.split()) for context, _ in large.generations) + 8 - 1)
    asked.clear()
    (cut,) = samples(lm, "persbench_attitude_gen", tmp_path, limit=1, system="icl")
    assert cut["left_out"] == 1
    questions = {question.text for question in load_pack(fake_pack()).questions}
    assert {question for less, question in asked if less} <= questions
    assert any(less for less, _ in asked)
    assert all("A) " in context for context, _ in lm.generations)


def test_in_a_dialogue_examples_go_before_what_was_said() -> None:
    pack = load_pack(fake_pack())
    at = Situation(pack, pack.personas[0], pack.stage("early"))
    sheet = len(persona_sheet(at).split())
    lm = SmallLM(sheet + 55)
    talk = Talk(lambda turns, less: InContext().messages(at, turns, less), [f"turn {i}, and so on" for i in range(16)])
    Speaker(lm, lm.apply_chat_template, {"max_gen_toks": 10, "until": []}).play([talk])
    assert not talk.fault
    assert len(talk.exchanges) == 16
    contexts = [context for context, _ in lm.generations]
    examples = [row.prompt for row in at.data.train if row.stage == "early"]
    shown = [sum(text in context for text in examples) for context in contexts]
    heard = ["turn 0" in context for context in contexts]
    assert shown[0] == len(examples)
    assert shown == sorted(shown, reverse=True)
    assert shown[-1] == 0
    assert not heard[-1]
    assert heard[shown.index(0)], "no exchange is dropped while an example is left"
    assert all(persona_sheet(at) in context for context in contexts)
    assert talk.less == len(examples)
    assert talk.dropped > 0
