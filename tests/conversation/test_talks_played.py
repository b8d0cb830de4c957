"""The loop of live conversations: who hears what, what goes wrong where, and what a killed run comes to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from talking_fakes import TalkingFake, talk_settings

from persbench.conversation import run as run_module
from persbench.conversation.plan import pairings_of
from persbench.conversation.play import opened
from persbench.conversation.record_files import load_conversations, save_conversations
from persbench.conversation.records import ConversationRecord
from persbench.conversation.run import converse
from persbench.conversation.scene import heard
from persbench.errors import FaultsError, PersbenchError
from persbench.packs.bundled import fake_pack
from persbench.packs.load import load_pack

PACK = load_pack(fake_pack())
OP, CO = PACK.scenarios


def played(out: Path, lm: TalkingFake | None = None, **changes: Any) -> ConversationRecord:
    (path,) = converse(talk_settings(out, **changes), lambda _: None, lm=lm or TalkingFake())
    return load_conversations(path)


def test_every_scenario_is_played_with_every_seed_and_speakers_take_turns(tmp_path: Path) -> None:
    record = played(tmp_path / "out")
    assert [(c.scenario, c.seed) for c in record.conversations] == [("op01", 0), ("op01", 1), ("co01", 0), ("co01", 1)]
    for talk in record.conversations:
        assert [turn.speaker for turn in talk.turns] == ["a", "b", "a", "b", "a"]
        assert [turn.authored for turn in talk.turns] == [True, False, False, False, False]
        assert not talk.fault
    assert record.conversations[0].turns[0].text == OP.opening
    assert record.conversations[2].a.persona == "bo"
    assert record.pair == "prompt"
    assert record.scenarios["co01"]["aim_b"] == CO.aim_b
    assert not (tmp_path / "out" / "progress" / "prompt__prompt.json").exists()


def test_seeds_and_turns_differ_and_the_same_command_says_the_same(tmp_path: Path) -> None:
    first = played(tmp_path / "one")
    assert played(tmp_path / "two") == first
    texts = [turn.text for talk in first.conversations for turn in talk.turns if not turn.authored]
    assert len(set(texts)) == len(texts) == 16


def test_each_side_knows_its_own_aim_alone_and_hears_the_other_as_the_user(tmp_path: Path) -> None:
    lm = TalkingFake()
    talk = played(tmp_path / "out", lm, scenarios=("op01",), seeds=1).conversations[0]
    as_a = heard(OP, PACK, talk, "a", 3)
    as_b = heard(OP, PACK, talk, "b", 4)
    assert [m["role"] for m in as_a] == ["user", "assistant", "user", "assistant"]
    assert [m["content"] for m in as_a[1:]] == [turn.text for turn in talk.turns[:3]]
    assert [m["role"] for m in as_b] == ["user", "assistant", "user", "assistant"]
    assert [m["content"] for m in as_b[1:]] == [turn.text for turn in talk.turns[1:4]]
    for own, other, view in ((OP.aim_a, OP.aim_b, as_a), (OP.aim_b, OP.aim_a, as_b)):
        assert OP.setting in view[0]["content"]
        assert own in view[0]["content"]
        assert other not in str(view)
    assert OP.opening in as_b[0]["content"]
    assert "with Bo Wick" in as_a[0]["content"]
    assert "with Ada Crumb" in as_b[0]["content"]
    # The model's own contexts are these views under the persona's sheet.
    contexts = [text for text in lm.asked if OP.setting in text]
    assert len(contexts) == 4
    assert "Bo is forty-one" in contexts[0]
    assert contexts[2].endswith(f"<user>{talk.turns[2].text}</user><assistant>")


def test_a_conversation_that_goes_wrong_ends_alone_and_is_named(tmp_path: Path) -> None:
    usual = played(tmp_path / "usual")
    second = usual.conversations[1].turns[2].text
    lines: list[str] = []
    lm = TalkingFake(**{second: RuntimeError("no memory")})
    (path,) = converse(talk_settings(tmp_path / "out"), lines.append, lm=lm)
    record = load_conversations(path)
    broken = record.conversations[1]
    assert broken.fault == "turn 3, prompt as bo: RuntimeError: no memory"
    assert broken.turns == usual.conversations[1].turns[:3]
    assert [c.turns for i, c in enumerate(record.conversations) if i != 1] == [
        c.turns for i, c in enumerate(usual.conversations) if i != 1
    ]
    assert any(line.startswith("op01, seed 1, broke off: turn 3") for line in lines)
    unreached = [probe for probe in broken.probes if probe.after > 3]
    assert unreached
    assert all(set(probe.scores) == {None} and not probe.scored and probe.held is None for probe in unreached)
    assert all(probe.scored for probe in broken.probes if probe.after <= 3)


@pytest.mark.parametrize("mishap", ["", "  \n", "a\x07b", "x" * 30_000])
def test_what_is_no_reply_ends_a_conversation(tmp_path: Path, mishap: str) -> None:
    record = played(tmp_path / "out", TalkingFake(**{CO.opening: mishap}))
    assert [bool(talk.fault) for talk in record.conversations] == [False, False, True, True]
    assert len(record.conversations[2].turns) == 1


def test_no_reply_at_all_is_no_fault_of_a_conversation(tmp_path: Path) -> None:
    with pytest.raises(PersbenchError, match="no conversation came to a first reply: RuntimeError: down"):
        played(tmp_path / "out", TalkingFake(**{" ": RuntimeError("down")}))


@pytest.mark.parametrize("turn", [1, 3, 4])
def test_an_interrupted_run_goes_on_to_the_same_bytes(
    tmp_path: Path, turn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,) = converse(talk_settings(tmp_path / "whole"), lambda _: None, lm=TalkingFake())
    out = tmp_path / "out"

    def stop(path: Path, record: ConversationRecord) -> None:
        save_conversations(path, record)
        if len(record.conversations[0].turns) == turn + 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "save_conversations", stop)
    with pytest.raises(KeyboardInterrupt):
        converse(talk_settings(out), lambda _: None, lm=TalkingFake())
    monkeypatch.undo()
    lm, lines = TalkingFake(), list[str]()
    (path,) = converse(talk_settings(out), lines.append, lm=lm)
    assert path.read_bytes() == whole.read_bytes()
    assert len(lm.asked) == 4 * (4 - turn)
    assert f"[1/1] prompt: going on after {4 * turn} utterances" in lines


def test_a_run_killed_by_kill_9_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    here, out = Path(__file__).parent, tmp_path / "out"
    done = subprocess.run(
        [sys.executable, str(here / "killed_talk.py"), str(out), "2"],
        env=os.environ | {"PYTHONPATH": str(here.parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (out / "conversations").exists()
    (path,) = converse(talk_settings(out), lambda _: None, lm=TalkingFake())
    (whole,) = converse(talk_settings(tmp_path / "whole"), lambda _: None, lm=TalkingFake())
    assert path.read_bytes() == whole.read_bytes()


def test_a_repeated_command_plays_nothing_and_a_half_written_record_is_played_again(tmp_path: Path) -> None:
    lines: list[str] = []
    (path,) = converse(talk_settings(tmp_path / "out"), lines.append, lm=TalkingFake())
    before, lm = path.read_bytes(), TalkingFake()
    converse(talk_settings(tmp_path / "out"), lines.append, lm=lm)
    assert (lm.asked, lm.scored, path.read_bytes()) == ([], [], before)
    assert lines[-1] == "[1/1] prompt: played before"
    path.write_bytes(before[: len(before) // 2])
    converse(talk_settings(tmp_path / "out"), lines.append, lm=TalkingFake())
    assert path.read_bytes() == before
    assert any("not a readable record" in line for line in lines)


def test_records_of_other_settings_are_never_mixed(tmp_path: Path) -> None:
    played(tmp_path / "out")
    with pytest.raises(PersbenchError, match=r"made with other settings \(turns 4 -> 6; probes '0,1,2' -> '0,1,2,3'\)"):
        played(tmp_path / "out", turns=6)
    with pytest.raises(PersbenchError, match="made with other settings"):
        played(tmp_path / "out", scenarios=("op01",))


def test_baselines_play_the_same_scenarios_and_a_pair_of_two_systems_is_one_record(tmp_path: Path) -> None:
    settings = talk_settings(tmp_path / "out", a="prompt", b="vanilla", baselines=("vanilla", "prompt"), turns=1)
    paths = converse(settings, lambda _: None, lm=TalkingFake())
    assert [path.name for path in paths] == ["prompt__vanilla.json", "vanilla__vanilla.json", "prompt__prompt.json"]
    records = [load_conversations(path) for path in paths]
    assert [record.pair for record in records] == ["prompt / vanilla", "vanilla", "prompt"]
    assert len({record.signature["b"] for record in records}) == 2
    assert {tuple(c.scenario for c in record.conversations) for record in records} == {("op01", "op01", "co01", "co01")}


def names(**changes: Any) -> list[tuple[str, ...]]:
    pairing = pairings_of(talk_settings(Path("out"), **changes), PACK)[0]
    return [(c.scenario.id, *(f"{v.persona}/{v.stage}" for v in (c.a, c.b))) for c in pairing.castings]


def test_who_plays_what() -> None:
    assert names() == [("op01", "ada/early", "bo/early"), ("co01", "bo/late", "ada/late")]
    assert names(scenarios=("cooperative",)) == [("co01", "bo/late", "ada/late")]
    assert names(a="prompt:ada", b="prompt:bo") == [("op01", "ada/early", "bo/early")]
    assert names(a="prompt:ada:late", b="prompt:bo", scenarios=("op01",)) == [("op01", "ada/late", "bo/early")]
    assert names(a="prompt:ada", b="prompt:bo", scenarios=("co01",)) == [("co01", "ada/late", "bo/late")]
    settings = talk_settings(Path("out"), a="prompt:ada:late", b="rag:bo", scenarios=("op01",))
    assert pairings_of(settings, PACK)[0].stem == "prompt-ada-late__rag-bo"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scenarios": ("op1",)}, "unknown scenario 'op1'. Did you mean 'op01'"),
        ({"a": "prompt:ada", "b": "prompt:ada"}, "no scenario for ada and ada: name one by --scenario"),
        ({"a": "prompt:bo", "scenarios": ("op01",)}, "in op01 bo would talk with itself"),
        ({"a": "prompt:adda"}, "unknown persona 'adda'"),
        ({"depths": (0, 3)}, "--probes 3: 4 turns are 2 exchanges"),
    ],
)
def test_what_cannot_be_played_is_told_before_anything_is_loaded(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(PersbenchError) as caught:
        converse(talk_settings(tmp_path / "out", model="no such model", **changes), lambda _: None)
    assert message in str(caught.value)


def test_all_systems_that_cannot_speak_are_told_at_once(tmp_path: Path) -> None:
    settings = talk_settings(tmp_path / "out", a="promt", b="persllm=nowhere", baselines=("sanity:longest", "persllm"))
    with pytest.raises(FaultsError) as caught:
        converse(settings, lambda _: None, lm=TalkingFake())
    text = str(caught.value)
    assert "4 faults" in text
    for part in ("unknown system 'promt'", "no folder nowhere", "says nothing", "say where its adapters are"):
        assert part in text


def test_a_pack_without_scenarios_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    (folder / "scenarios.jsonl").unlink()
    with pytest.raises(PersbenchError, match=r"has no scenarios\.jsonl.*write one"):
        converse(talk_settings(tmp_path / "out", pack=folder), lambda _: None, lm=TalkingFake())


def test_openings_are_the_authors_own() -> None:
    pairing = pairings_of(talk_settings(Path("out")), PACK)[0]
    assert [c.turns[0].text for c in opened(pairing.castings, 1)] == [OP.opening, CO.opening]
    assert replace(opened(pairing.castings, 1)[0], fault="x").said_by("b") == []
