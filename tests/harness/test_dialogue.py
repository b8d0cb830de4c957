"""Live dialogue: replies are really generated and fed back, one batch a turn; what goes wrong stays in its dialogue."""

from __future__ import annotations

from typing import Any

import pytest
from lm_eval.api.instance import Instance

from persbench.errors import PersbenchError
from persbench.harness.anchors import AnchorStore
from persbench.harness.dialogue import LONGEST, Speaker, Talk
from persbench.harness.fake_lm import FakeLM

SETTINGS = {"until": ["\nUser:"], "max_gen_toks": 16, "do_sample": False}


class Recorder(FakeLM):
    """A fake that keeps every batch, and misbehaves where it is told to."""

    def __init__(self, **mishaps: Any) -> None:
        super().__init__()
        self.batches: list[list[str]] = []
        self.mishaps = mishaps  # text in the context -> what comes instead of a reply

    def generate_until(self, requests: Any, disable_tqdm: bool = True) -> list[str]:
        self.batches.append([str(r.args[0]) for r in requests])
        return [self._one(str(r.args[0])) for r in requests]

    def _one(self, context: str) -> str:
        for word, mishap in self.mishaps.items():
            if word in context:
                if isinstance(mishap, Exception):
                    raise mishap
                return str(mishap)
        return self._reply(context)


def talks(count: int, turns: int = 3) -> list[Talk]:
    def compose(history: list[Any], less: int) -> list[Any]:
        return [{"role": "system", "content": "You are Ada."}, *history]

    return [Talk(compose, [f"turn {t} of talk{n}" for t in range(turns)]) for n in range(count)]


def play(lm: FakeLM, played: list[Talk], **more: Any) -> list[Talk]:
    Speaker(lm, lm.apply_chat_template, SETTINGS, **more).play(played)
    return played


def test_turn_t_of_all_dialogues_is_one_batch_and_every_reply_is_fed_back() -> None:
    lm = Recorder()
    played = play(lm, talks(4))
    assert [len(batch) for batch in lm.batches] == [4, 4, 4]
    for number, talk in enumerate(played):
        said = [exchange["reply"] for exchange in talk.exchanges]
        for turn in range(3):
            context = lm.batches[turn][number]
            assert [reply in context for reply in said] == [k < turn for k in range(3)], "canned, or dropped"
            # the reply is the model's own to that very context
            assert said[turn] == lm._reply(context)
            assert context.startswith("<system>You are Ada.</system>")


def test_equal_contexts_are_asked_once() -> None:
    lm = Recorder()
    both = talks(1) + talks(1)
    both[1].turns = [both[0].turns[0], "another", "way"]
    play(lm, both)
    assert [len(batch) for batch in lm.batches] == [1, 2, 2]
    assert both[0].exchanges[0] == both[1].exchanges[0]


@pytest.mark.parametrize(
    ("mishap", "told"),
    [
        (RuntimeError("no route to host"), "RuntimeError: no route to host"),
        ("  \n", "empty reply"),
        ("x" * (LONGEST + 1), "reply of 20,001 characters"),
        ("a\x00b", "control characters"),
        ("bell\x07", "control characters"),
    ],
)
def test_a_fault_ends_its_own_dialogue_and_no_other(mishap: Any, told: str) -> None:
    lm = Recorder(**{"turn 1 of talk2": mishap})
    played = play(lm, talks(4))
    assert told in played[2].fault
    assert len(played[2].exchanges) == 1
    whole = play(FakeLM(), talks(4))
    for number in (0, 1, 3):
        assert played[number].exchanges == whole[number].exchanges
        assert not played[number].fault


class Tidying(Recorder):
    """Its template shows what was thought in earlier turns to nobody; a strict one shows no earlier reply at all."""

    strict = False

    def apply_chat_template(self, chat_history: Any, add_generation_prompt: bool = True) -> str:
        shown = [
            message | {"content": "" if self.strict else message["content"].rpartition("</think>")[2]}
            if message["role"] == "assistant"
            else message
            for message in chat_history
        ]
        return super().apply_chat_template(shown, add_generation_prompt)


@pytest.mark.parametrize("turn", [0, 1, 2])
def test_a_reply_that_the_template_changes_ends_its_own_dialogue_and_no_other(turn: int) -> None:
    played = play(Tidying(**{f"turn {turn} of talk2": "<think>Who asks?</think> Well."}), talks(4))
    assert played[2].fault == "a reply that the model's chat template changes"
    assert len(played[2].exchanges) == turn
    whole = play(FakeLM(), talks(4))
    assert all(played[i].exchanges == whole[i].exchanges and not played[i].fault for i in (0, 1, 3))


def test_a_template_that_shows_no_reply_is_an_error_and_no_row_of_faults() -> None:
    lm = Tidying()
    lm.strict = True
    with pytest.raises(PersbenchError, match="chat template drops part of the conversation"):
        play(lm, talks(2))


def test_a_model_that_never_replies_is_an_error_and_no_row_of_faults() -> None:
    with pytest.raises(PersbenchError, match="gives no reply in live dialogue: broken"):
        play(Recorder(turn=RuntimeError("broken")), talks(3))


class Short(Recorder):
    max_length = 60

    def tok_encode(self, text: str) -> list[int]:
        return [0] * len(text.split())


def test_whole_oldest_turns_go_and_never_the_persona() -> None:
    lm = Short()
    (talk,) = play(lm, talks(1, turns=6))
    last = lm.batches[-1][0]
    assert talk.dropped > 0
    assert "You are Ada." in last
    assert talk.exchanges[0]["reply"] not in last
    assert "turn 0 of talk0" not in last
    assert talk.exchanges[-2]["reply"] in last
    assert all(len(batch[0].split()) + SETTINGS["max_gen_toks"] <= 60 for batch in lm.batches)  # type: ignore[operator]


def test_a_reply_longer_than_the_context_goes_whole_and_the_dialogue_goes_on() -> None:
    lm = Short(**{"turn 0 of talk0": "endless " * 200})
    lm.max_length = 120  # enough for the two others
    (talk,) = play(lm, talks(1))
    assert [len(exchange["reply"].split()) > 150 for exchange in talk.exchanges] == [True, False, False]
    assert (talk.fault, talk.dropped) == ("", 1)
    assert not any("endless" in context for (context,) in lm.batches)
    assert all("You are Ada." in context for (context,) in lm.batches)


def test_a_persona_too_long_for_the_model_is_a_fault() -> None:
    lm = Short()
    lm.max_length = 18
    (talk,) = play(lm, talks(1))
    assert "more than the model's 18 tokens" in talk.fault
    assert lm.batches == []


def test_stored_replies_are_not_asked_again(tmp_path: Any) -> None:
    store = AnchorStore(tmp_path, "m")
    first = Recorder()
    said = play(first, talks(3), store=store)
    again = Recorder()
    repeated = play(again, talks(3), store=AnchorStore(tmp_path, "m"))
    assert again.batches == []
    assert [t.exchanges for t in repeated] == [t.exchanges for t in said]


def test_what_a_speaker_said_is_not_said_again_and_faults_are_not_remembered(tmp_path: Any) -> None:
    first = Speaker(Recorder(), FakeLM().apply_chat_template, SETTINGS)
    said, again, store = talks(3), talks(3), AnchorStore(tmp_path, "m")
    first.play(said)
    lm = Recorder()
    play(lm, again, known=first.said, store=store)
    assert lm.batches == []
    assert [t.exchanges for t in again] == [t.exchanges for t in said]
    assert {store.get_reply(key) for key in first.said} == set(first.said.values())
    broken = Speaker(Recorder(talk1=""), FakeLM().apply_chat_template, SETTINGS, AnchorStore(tmp_path / "b", "m"))
    broken.play(talks(3))
    assert len(broken.said) == 6
    play(lm, talks(3), known=broken.said)
    assert [len(batch) for batch in lm.batches] == [1, 1, 1], "the broken one alone"


def test_instances_are_lm_eval_s_own() -> None:
    seen: list[Any] = []

    class Typed(FakeLM):
        def generate_until(self, requests: Any, disable_tqdm: bool = True) -> list[str]:
            seen.extend(requests)
            return super().generate_until(requests)

    play(Typed(), talks(1, turns=1))
    assert isinstance(seen[0], Instance)
    assert seen[0].args[1] == SETTINGS
    assert seen[0].args[1] is not SETTINGS, "a backend that pops a key must not change the next turn's settings"
