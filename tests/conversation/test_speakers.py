"""Speakers on a tiny model with tiny adapters: who speaks, alone or together, whole or piece by piece."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from speaking_voices import ADA, BO, ask, history, speakers, trained
from tiny_adapter import tiny_adapter, tiny_base, tiny_voices

from persbench.conversation.chat import warm_up
from persbench.conversation.speakers import Ask, Voice
from persbench.errors import FaultsError, PersbenchError
from persbench.harness.adapters import use_adapter


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_voices(tmp_path_factory.mktemp("speakers"))


def test_replies_come_in_order_and_each_hangs_on_its_own_seed_alone(folder: Path) -> None:
    made = speakers(folder, ADA, BO, *trained(folder))
    asks = [ask(voice, seed=seed) for seed in (1, 2) for voice in (*trained(folder), ADA, BO)]
    together = made.replies(asks)
    assert [made.replies([each])[0].raw for each in asks] == [said.raw for said in together]
    assert made.replies(list(reversed(asks))) == list(reversed(together))
    assert len({said.raw for said in together}) == len(asks)


def test_what_is_not_finished_says_so(folder: Path) -> None:
    said = speakers(folder, max_tokens=3).replies([ask(ADA, seed=seed) for seed in range(40)])
    long = [each for each in said if not each.finished and not each.fault]
    assert long
    assert all(len(each.raw) <= 3 for each in said)


def test_what_was_said_before_is_not_computed_again(folder: Path) -> None:
    made = speakers(folder)
    first = "".join(made.stream(ask(ADA, "word " * 60)))
    before = made.lm.tokens_computed
    list(made.stream(ask(ADA, "word " * 60, first or "x", "And now?", seed=1)))
    assert made.lm.tokens_computed - before < 120


def test_a_stream_closed_half_way_leaves_a_model_that_speaks_as_before(folder: Path) -> None:
    made = speakers(folder)
    one = ask(ADA, "Good morning.", seed=5)
    (whole,) = made.replies([one])
    assert len(whole.text) > 4
    usual = made.lm.model.config._attn_implementation
    stream = made.stream(one)
    begun = next(stream)
    stream.close()
    assert whole.text.startswith(begun)
    assert made.lm.model.config._attn_implementation == usual
    assert not torch.is_inference_mode_enabled()
    assert "".join(made.stream(one)) == whole.text
    assert made.replies([one]) == [whole]


def test_one_speaks_at_a_time(folder: Path) -> None:
    made = speakers(folder)
    one = ask(ADA, seed=5)
    (whole,) = made.replies([one])
    stream = made.stream(one)
    said = [next(stream)]
    other: list[str] = []
    thread = threading.Thread(target=lambda: other.extend(made.stream(one)))
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    assert not other
    said += stream
    thread.join(20)
    assert "".join(said) == "".join(other) == whole.text


def test_oldest_exchanges_go_and_the_scene_stays(folder: Path) -> None:
    made = speakers(folder, model_args={"max_length": 1500})
    texts = ["SCENE", "opening", *(f"turn {i} " + "word " * 30 for i in range(9))]
    asked = ask(ADA, *texts, kept=2)
    talk, found = made.fit(ADA, asked.history, 2, 24)
    assert found is not None
    shown = [message["content"] for message in found.messages]
    assert shown[0].startswith("You are Ada Crumb.")
    assert shown[1:3] == ["SCENE", "opening"]
    assert shown[-1] == texts[-1]
    assert talk.dropped > 0
    assert len(shown) == 1 + len(texts) - 2 * talk.dropped
    (said,) = made.replies([asked])
    assert said.dropped_turns == talk.dropped


def test_what_does_not_fit_is_that_replys_fault_alone(folder: Path) -> None:
    made = speakers(folder, model_args={"max_length": 1500})
    huge, usual = made.replies([ask(ADA, "x" * 5000), ask(ADA)])
    assert huge.fault == "its persona and one turn take more than the model's 1500 tokens"
    assert not usual.fault
    with pytest.raises(PersbenchError, match="prompt:ada:early: its persona and one turn take more"):
        next(made.stream(ask(ADA, "x" * 5000)))


@pytest.mark.parametrize("texts", [(), ("a", "b"), ("a", "b", "c", "d")])
def test_a_history_takes_turns(folder: Path, texts: tuple[str, ...]) -> None:
    with pytest.raises(PersbenchError, match="must take turns"):
        speakers(folder).replies([Ask(ADA, history(*texts), 0)])


def test_everybody_who_cannot_speak_is_told_at_once(folder: Path, tmp_path: Path) -> None:
    other = tiny_base(tmp_path / "other", seed=9)
    tiny_adapter(tmp_path / "elsewhere" / "ada", other, "ada")
    shutil.copytree(folder / "persllm" / "ada", tmp_path / "bare" / "ada")
    (tmp_path / "bare" / "ada" / "card.json").unlink()
    strangers = [
        Voice("prompt", "cy", "early"),
        Voice("prompt", "ada", "erly"),
        Voice(f"own={tmp_path / 'bare'}", "ada", "early"),
        Voice(f"two={folder / 'persllm'}", "ada", "early"),
        Voice(f"two={folder}", "ada", "early"),
    ]
    with pytest.raises(FaultsError) as caught:
        speakers(folder, ADA, *strangers)
    text = str(caught.value)
    assert "4 faults" in text
    for part in ("unknown persona 'cy'", "unknown stage 'erly'", "has no card.json", "holds no adapter"):
        assert part in text
    with pytest.raises(FaultsError, match="was trained on"):
        speakers(folder, Voice(f"persllm={tmp_path / 'elsewhere'}", "ada", "early"))


def test_an_adapter_without_a_chat_template_is_told_with_what_to_do(folder: Path, tmp_path: Path) -> None:
    for persona in ("ada", "bo"):
        shutil.copytree(folder / "persllm" / persona, tmp_path / "mute" / persona)
        (tmp_path / "mute" / persona / "chat_template.jinja").unlink()
    mute = [Voice(f"mute={tmp_path / 'mute'}", persona, "early") for persona in ("ada", "bo")]
    with pytest.raises(FaultsError) as caught:
        speakers(folder, ADA, *mute)
    assert str(caught.value).count("has no chat template") == 2
    for part in (str(tmp_path / "mute" / "bo"), "copy chat_template.jinja"):
        assert part in str(caught.value)
    with pytest.raises(FaultsError, match="has no chat template"):
        speakers(folder).replies([ask(mute[0])])
    (said,) = speakers(folder, mute[0], chat_template=False).replies([ask(mute[0])])
    assert said.analysis


def test_two_systems_of_one_name_need_names_of_their_own(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "persllm", tmp_path / "again")
    voices = [Voice(f"persllm={home}", "ada", "early") for home in (folder / "persllm", tmp_path / "again")]
    with pytest.raises(FaultsError, match="has the same name"):
        speakers(folder, *voices)


def test_the_base_speaks_after_an_adapter_as_if_there_had_been_none(folder: Path) -> None:
    alone = speakers(folder).replies([ask(ADA, seed=3)])
    made = speakers(folder, ADA, *trained(folder))
    made.replies([ask(voice) for voice in trained(folder)])
    assert made.replies([ask(ADA, seed=3)]) == alone
    list(made.stream(ask(trained(folder)[1])))
    assert "".join(made.stream(ask(ADA, seed=3))) == alone[0].text


def test_who_is_warmed_up_has_put_the_adapter_on_before_the_first_message(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice, times = trained(folder)[0], 0
    made = speakers(folder, voice)

    def counted(lm: Any, home: Path | None) -> None:
        nonlocal times
        times += 1
        use_adapter(lm, home)

    monkeypatch.setattr("persbench.conversation.speakers.use_adapter", counted)
    warm_up(made, voice)
    assert times == 1
    warm = "".join(made.stream(ask(voice)))
    assert times == 1
    assert warm == "".join(speakers(folder, voice).stream(ask(voice)))
