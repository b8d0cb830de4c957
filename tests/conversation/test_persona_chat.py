"""`persbench chat`: what is asked and remembered, what a terminal may show, and how it ends."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import echoing_chat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persbench.commands.chat import chat as chat_command
from persbench.conversation.asks import Voice
from persbench.conversation.chat import Chat, harmless
from persbench.errors import PersbenchError

VOICE = Voice("prompt", "ada", "late")


@given(st.text(st.characters(exclude_categories=())))
def test_nothing_that_steers_a_terminal_is_shown(text: str) -> None:
    shown = harmless(text)
    assert not [char for char in shown if unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t"]
    assert harmless(shown) == shown
    shown.encode()


def test_plain_words_are_shown_as_they_are() -> None:
    text = "Zoë said: «naïve» 👩‍🚀\n\ttwice"
    assert harmless(text) == text
    assert harmless("\x1b[2J\x07\x7f\r\u202eabc\x9b31m") == "␛[2J␇␡␍abc\ufffd31m"


def test_a_conversation_remembers_both_sides_and_counts_seeds() -> None:
    chat = Chat(VOICE, seed=7)
    assert chat.again() is None
    first = chat.say("Hello?")
    chat.hear(" Hello. \n")
    second = chat.say("How are you?")
    assert (first.seed, second.seed) == (7, 8)
    assert [m["content"] for m in second.history] == ["Hello?", "Hello.", "How are you?"]
    assert [m["role"] for m in second.history] == ["user", "assistant", "user"]
    chat.hear("Well.")
    third = chat.again()
    assert third is not None
    assert (third.history, third.seed) == (second.history, 9)


def test_after_nothing_at_all_the_turns_still_alternate() -> None:
    chat = Chat(VOICE)
    chat.say("Hello?")
    chat.hear("  ")
    assert chat.messages == []
    asked = chat.again()
    assert asked is not None
    assert [m["content"] for m in asked.history] == ["Hello?"]


def test_another_stage_has_heard_nothing_and_can_be_asked_the_same() -> None:
    chat = Chat(VOICE)
    chat.say("Is the bridge open?")
    chat.hear("It is.")
    chat.move("early")
    asked = chat.again()
    assert asked is not None
    assert asked.voice == Voice("prompt", "ada", "early")
    assert [m["content"] for m in asked.history] == ["Is the bridge open?"]


def scripted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *lines: str
) -> tuple[echoing_chat.Echo, int, str, str]:
    """Run a chat whose messages come from a pipe; returns who spoke, failures, stdout and stderr."""
    speakers = echoing_chat.Echo()
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    chat = echoing_chat.terminal(speakers)
    chat.run()
    assert speakers.closed == len(speakers.asks)  # a reply that is left open would hold the model
    out = capsys.readouterr()
    return speakers, chat.failed, out.out, out.err


def test_a_scripted_chat_reads_as_a_conversation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, failed, out, err = scripted(
        monkeypatch, capsys, "Good morning.", "", "/stage early", "/again", "/stage", "/quit", "never said"
    )
    assert failed == 0
    assert out == (
        "you: Good morning.\nAda Crumb: Good morning. late 0 \nyou: \nyou: /stage early\nyou: /again\n"
        "Ada Crumb: Good morning. early 1 \nyou: /stage\nyou: /quit\n"
    )
    assert "* early  the spring of the year 10" in err
    assert "  late  the autumn of the year 20" in err


def test_what_is_thought_is_shown_and_is_no_part_of_what_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    saved = tmp_path / "chat.json"
    speakers, failed, out, err = scripted(
        monkeypatch, capsys, "Is \x1b it? => It is.", "mull => nothing", "mull => fail", f"/save {saved}"
    )
    assert failed == 2
    assert out.startswith("you: Is ␛ it? => It is.\nAda Crumb: It is. late 0 \nyou: mull => nothing\nAda Crumb: \n")
    assert "(thinks: Is ␛ it? )\n" in err
    assert "(thinks: mull )\nthe model said nothing" in err
    assert "(thinks: mull )\nits persona and one turn" in err
    assert [m["content"] for m in json.loads(saved.read_text())["messages"]] == [
        "Is \x1b it? => It is.", "It is. late 0",
    ]  # fmt: skip
    assert len(speakers.asks) == 3


def test_control_characters_reach_the_terminal_neither_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, out, err = scripted(monkeypatch, capsys, "\x1b]0;title\x07 \x1b[2J", "break", "\x1b", "/\x1b[31m")
    assert "\x1b" not in out + err
    assert "\x07" not in out + err
    assert "␛]0;title␇" in out


def test_what_goes_wrong_is_said_and_the_conversation_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    speakers, failed, _, err = scripted(
        monkeypatch,
        capsys,
        "fail",
        "break",
        "nothing",
        "/again",
        "x" * 20_001,
        "/stage nowhere",
        "/nothing",
        "/save",
        "fine",
    )
    assert failed == 4
    assert [m["content"] for m in speakers.asks[-1].history] == ["fine"]
    for part in (
        "more than the model's 64 tokens",
        "RuntimeError: out of",
        "the model said nothing",
        "20,001 characters",
        "unknown stage 'nowhere'",
        "unknown command '/nothing'",
        "name the file",
    ):
        assert part in err


def test_ctrl_c_pressed_twice_ends_the_chat_as_quit_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    speakers, failed, out, _ = scripted(monkeypatch, capsys, "Good morning.", "interrupt", "never said")
    assert len(speakers.asks) == 2
    assert failed == 0
    assert out.endswith("you: interrupt\nAda Crumb: \n")


def test_a_conversation_is_saved_for_people_and_programs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    people, programs, theirs = tmp_path / "chat.md", tmp_path / "deep" / "chat.json", tmp_path / "theirs.md"
    theirs.write_text("theirs")
    _, _, _, err = scripted(
        monkeypatch, capsys,
        f"/save {people}", "Hello.", f"/save {people}", f"/save {programs}", "More.", f"/save {people}",
        f"/save {theirs}", f"/save {tmp_path}", "/save /proc/nowhere/x", "/save a\x00b", f"/save {'x' * 300}",
    )  # fmt: skip
    assert people.read_text("utf-8") == (
        "# Ada Crumb, late (prompt)\n\n**You:** Hello.\n\n**Ada Crumb:** Hello. late 0\n"
        "\n**You:** More.\n\n**Ada Crumb:** More. late 1\n"
    )
    saved = json.loads(programs.read_text("utf-8"))
    assert saved["voice"] == {"system": "prompt", "persona": "ada", "stage": "late"}
    assert [m["role"] for m in saved["messages"]] == ["user", "assistant"]
    assert theirs.read_text() == "theirs"
    assert "nothing was said yet" in err
    assert err.count("already there") == 2
    assert err.count("cannot write") == 3


@pytest.mark.model
def test_the_default_model_chats_from_a_pipe(tmp_path: Path) -> None:
    saved = tmp_path / "chat.json"
    command = [sys.executable, "-m", "persbench", "chat", "prompt:nedda", "--max-tokens", "6", "--dtype", "float32"]
    given = f"Good morning.\n/stage early\n/again\n/save {saved}\n"
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"you: Good morning\.\nNedda Skirrow: .+\nyou: /stage early", done.stdout)
    messages = json.loads(saved.read_text())["messages"]
    assert [m["role"] for m in messages] == ["user", "assistant"]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("who", "part"),
    [
        ("prompt", "names no persona"),
        ("prompt:nobody", "unknown persona"),
        ("prompt:nedda:nowhere", "unknown stage"),
        ("persllm:nedda", "DIR"),
        ("unheard:nedda", "unknown system"),
        ("sanity:nedda", "says nothing"),
    ],
)
def test_who_cannot_speak_is_said_before_a_model_is_loaded(who: str, part: str) -> None:
    with pytest.raises(PersbenchError, match=part):
        chat_command(who)
