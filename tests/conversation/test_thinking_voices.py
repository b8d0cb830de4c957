"""A trained voice thinks before it speaks: what is thought, what is said, what is shown of both, what is computed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from speaking_voices import ADA, ask, speakers, trained
from tiny_adapter import tiny_voices

from persbench.conversation import speech
from persbench.conversation.asks import Piece
from persbench.harness import analysis
from persbench.harness.seeded import Drawn


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tiny_voices(tmp_path_factory.mktemp("thinking"))
    torch.set_num_threads(threads)


def test_a_trained_voice_thinks_greedily_and_then_says_its_response_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = speakers(folder, *trained(folder))
    thoughts = {"one": " True? ", "two": "on and on", "three": "no", "five": "so"}
    words: dict[str, str | Exception] = {
        "one": " It is.",
        "two": " Yes. [Analysis] And?",
        "three": " ",
        "five": RuntimeError("no memory"),
    }
    asked: list[tuple[str, dict[str, Any], int]] = []

    def tried(_: Any, contexts: Any, settings: Any, seeds: Any, __: Any) -> list[Drawn | Exception]:
        found: list[Drawn | Exception] = []
        for context, seed in zip(contexts, seeds, strict=True):
            asked.append((context.context, settings, seed))
            (name,) = (each for each in ("one", "two", "three", "four", "five") if f">{each}<" in context.context)
            text: str | Exception = (
                words[name] if "[Response]" in context.context else thoughts.get(name, ValueError("bad bytes"))
            )
            found.append(text if isinstance(text, Exception) else Drawn(text, finished=name != "two"))
        return found

    monkeypatch.setattr(speech, "tried", tried)
    voice = trained(folder)[0]
    names = ("one", "one", "two", "three", "four", "five")
    first, again, second, third, fourth, fifth = made.replies(
        [ask(voice, name, seed=seed) for seed, name in enumerate(names)]
    )
    assert (first.text, first.analysis, first.finished) == ("It is.", "True?", True)
    assert first.raw == "[Analysis] True? [Response] It is."
    assert again == first
    assert (second.text, second.analysis, second.finished) == ("Yes.", "on and on", False)
    assert third.fault == (
        "empty reply: the model ended its turn, or set a further mark, right after '[Analysis] no [Response]'"
    )
    assert (fourth.fault, fifth.fault) == ("ValueError: bad bytes", "RuntimeError: no memory")
    thinking, saying = asked[:5], asked[5:]
    assert all(context.endswith("[Analysis]") and not settings["do_sample"] for context, settings, _ in thinking)
    assert [context.rpartition("<|assistant|>")[2] for context, _, _ in saying] == [
        "[Analysis] True? [Response]", "[Analysis] True? [Response]", "[Analysis] on and on [Response]",
        "[Analysis] no [Response]", "[Analysis] so [Response]",
    ]  # fmt: skip
    assert [seed for _, _, seed in saying] == [0, 1, 2, 3, 5]
    assert all(settings["do_sample"] and settings["max_gen_toks"] == 24 for _, settings, _ in saying)


def test_a_voice_whose_analysis_never_ends_is_heard_all_the_same(folder: Path) -> None:
    voice = trained(folder)[0]
    made = speakers(folder, voice, max_tokens=5)
    said = made.replies([ask(voice, seed=seed) for seed in range(12)])
    (thought,) = {each.analysis for each in said}
    assert thought
    assert len(thought) <= analysis.TOKENS
    assert len({each.text for each in said}) > 6
    for each in said:
        assert each.raw.startswith(f"[Analysis] {thought} [Response]")
        assert len(each.text) <= 5
        assert bool(each.fault) == (not each.text)


@pytest.mark.parametrize("trained_one", [False, True])
def test_a_streamed_reply_is_the_one_that_would_be_given(folder: Path, trained_one: bool) -> None:
    voice = trained(folder)[0] if trained_one else ADA
    made = speakers(folder, voice)
    heard = set[str]()
    for seed in range(3):
        one = ask(voice, "Good morning.", "Is it?", "Say more.", seed=seed)
        (said,) = made.replies([one])
        pieces = [*made.aloud(one)]
        heard.add(said.text)
        assert "".join(each.text for each in pieces if not each.is_thought) == said.text
        assert "".join(each.text for each in pieces if each.is_thought) == (said.analysis or "")
        assert [each.is_thought for each in pieces] == sorted((each.is_thought for each in pieces), reverse=True)
    assert "".join(made.stream(one)) == said.text
    assert len(heard) > 1


def test_a_voice_shows_that_it_thinks_before_anything_is_computed(folder: Path) -> None:
    voice = trained(folder)[0]
    made = speakers(folder, voice)
    made.wear(voice, afresh=True)
    before = made.lm.tokens_computed
    pieces = made.aloud(ask(voice))
    assert next(pieces) == Piece("", is_thought=True)
    assert made.lm.tokens_computed == before
    assert next(pieces).is_thought
    pieces.close()
    assert not made.alone.locked()


def test_an_analysis_is_not_computed_again_for_what_is_said_after_it(folder: Path) -> None:
    voice = trained(folder)[0]
    made = speakers(folder, voice, max_tokens=1)
    list(made.stream(ask(voice, "word " * 60)))
    made.speech = replace(made.speech, thinking=made.speech.thinking | {"max_gen_toks": 8})
    before = made.lm.tokens_computed
    list(made.stream(ask(voice, "word " * 60)))
    assert made.lm.tokens_computed - before < 60
