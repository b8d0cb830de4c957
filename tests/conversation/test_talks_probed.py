"""Stance probes: they branch off what was heard and never enter it, and every one is there, scored or not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from talking_fakes import TalkingFake, talk_settings

from persbench.conversation.probes import depths_of
from persbench.conversation.record_files import load_conversations
from persbench.conversation.records import Conversation, ConversationRecord
from persbench.conversation.run import converse
from persbench.conversation.scene import depth_of, heard, utterances_at
from persbench.errors import PersbenchError
from persbench.harness.anchors import neutral_prompts
from persbench.harness.documents.base import user
from persbench.packs.bundled import fake_pack
from persbench.packs.load import load_pack
from persbench.systems.base import Situation
from persbench.systems.registry import get_system

PACK = load_pack(fake_pack())


def probed(tmp_path: Path, lm: TalkingFake, **changes: object) -> ConversationRecord:
    (path,) = converse(talk_settings(tmp_path / "out", **changes), lambda _: None, lm=lm)
    return load_conversations(path)


@pytest.fixture(scope="module")
def talked(tmp_path_factory: pytest.TempPathFactory) -> tuple[TalkingFake, ConversationRecord]:
    lm = TalkingFake()
    return lm, probed(tmp_path_factory.mktemp("probed"), lm)


def test_depths_are_before_first_middle_and_last() -> None:
    assert [depths_of(turns) for turns in (1, 2, 4, 8, 9, 12)] == [
        (0,),
        (0, 1),
        (0, 1, 2),
        (0, 1, 2, 4),
        (0, 1, 2, 4),
        (0, 1, 3, 6),
    ]


def test_an_exchange_ends_with_ones_own_reply() -> None:
    assert [utterances_at("a", depth) for depth in (0, 1, 4)] == [0, 3, 9]
    assert [utterances_at("b", depth) for depth in (0, 1, 4)] == [0, 2, 8]
    assert [depth_of(after) for after in (0, 2, 3, 8, 9)] == [0, 1, 1, 4, 4]


def test_every_speaker_is_asked_every_question_at_every_depth(
    talked: tuple[TalkingFake, ConversationRecord],
) -> None:
    for talk in talked[1].conversations:
        questions = talked[1].scenarios[talk.scenario]["questions"]
        assert Counter((p.speaker, p.question, depth_of(p.after)) for p in talk.probes) == Counter(
            (side, question, depth) for side in "ab" for question in questions for depth in (0, 1, 2)
        )
        for probe in talk.probes:
            agent = talk.agent(probe.speaker)
            answer = PACK.persona(agent.persona).answer(probe.question, agent.stage)
            assert answer is not None
            assert probe.own == answer.stance
            assert probe.scored
            assert probe.held is (probe.chosen == probe.own)


def test_no_probe_enters_the_talk(talked: tuple[TalkingFake, ConversationRecord]) -> None:
    lm, record = talked
    wordings = {text for question in PACK.questions for text in (question.text, *question.paraphrases)}
    assert lm.asked
    assert not [text for text in lm.asked if any(wording in text for wording in wordings)]
    asked = {probe.ask for talk in record.conversations for probe in talk.probes}
    assert asked <= wordings


def test_a_probe_hears_what_its_speaker_heard_and_no_more(talked: tuple[TalkingFake, ConversationRecord]) -> None:
    lm, record = talked
    scored = {context for context, _ in lm.scored}
    for talk in record.conversations:
        scenario = next(each for each in PACK.scenarios if each.id == talk.scenario)
        for probe in talk.probes:
            agent = talk.agent(probe.speaker)
            before = heard(scenario, PACK, talk, probe.speaker, probe.after) if probe.after else ()
            situation = Situation(PACK, PACK.persona(agent.persona), PACK.stage(agent.stage))
            messages = get_system("prompt").messages(situation, [*before, *user(probe.ask)])
            assert lm.apply_chat_template([{"role": m["role"], "content": m["content"]} for m in messages]) in scored
            assert (talk.turns[-1].text in str(before)) is (probe.after == len(talk.turns))


def test_wordings_turn_with_depth_and_conversation(talked: tuple[TalkingFake, ConversationRecord]) -> None:
    def wordings(talk: Conversation) -> list[str]:
        return [p.ask for p in talk.probes if p.speaker == "a" and p.question == "q03"]

    first, second = (wordings(talk) for talk in talked[1].conversations[:2])
    assert len(set(first)) == 3
    assert second == [*first[1:], first[0]]


def test_scores_are_per_byte_and_anchors_are_the_models_own_without_a_persona(
    talked: tuple[TalkingFake, ConversationRecord],
) -> None:
    lm, record = talked
    probe = record.conversations[0].probes[0]
    assert all(-3 <= score <= -1 for score in probe.scores if score is not None)
    for value in probe.anchors:
        assert value is not None
        assert -3 <= value <= -1
    calm = [context for context, _ in lm.scored if any(prompt in context for prompt in neutral_prompts())]
    assert calm
    assert not [context for context in calm if "Ada Crumb" in context]


class Unscoring(TalkingFake):
    """Scores nothing at all, or nothing where a text is."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def loglikelihood(self, requests: object, disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        if any(self.where in str(r.args[0]) for r in requests):  # type: ignore[attr-defined]
            raise RuntimeError("no memory")
        return super().loglikelihood(requests)


def test_a_probe_that_cannot_be_scored_is_there_and_unscored(tmp_path: Path) -> None:
    usual = probed(tmp_path / "usual", TalkingFake())
    word = usual.conversations[0].turns[4].text
    record = probed(tmp_path / "less", Unscoring(word))
    lost = [probe for talk in record.conversations for probe in talk.probes if not probe.scored]
    assert {(p.speaker, p.after) for p in lost} == {("a", 5)}
    assert all(p.held is None and p.chosen is None for p in lost)
    kept = [p for talk in record.conversations for p in talk.probes if p.scored]
    assert kept == [p for talk in usual.conversations for p in talk.probes if p.scored and p in kept]


def test_a_model_that_scores_nothing_is_no_fault_of_a_talk(tmp_path: Path) -> None:
    with pytest.raises(PersbenchError, match="the model scores no probe: RuntimeError: no memory"):
        probed(tmp_path, Unscoring(""))
    assert list((tmp_path / "out" / "progress").iterdir())  # what was said is kept


def test_depths_may_be_said(tmp_path: Path) -> None:
    record = probed(tmp_path, TalkingFake(), depths=(2, 0), scenarios=("co01",), seeds=1)
    assert [(p.speaker, p.after) for p in record.conversations[0].probes] == [("a", 0), ("a", 5), ("b", 0), ("b", 4)]
