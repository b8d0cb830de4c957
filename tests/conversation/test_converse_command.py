"""`persbench converse` from end to end on a tiny model on disk: records, table, page, and what a user does wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_adapter import tiny_voices
from typer.testing import CliRunner

from persbench.cli import app
from persbench.conversation.record_files import load_conversations
from persbench.errors import PersbenchError
from persbench.packs.bundled import fake_pack

USUAL = ("--pack", str(fake_pack()), "--device", "cpu", "--turns", "2", "--seeds", "1", "--max-tokens", "12")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """On so small a model threads wait for each other more than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_voices(tmp_path_factory.mktemp("converse"))


def converse(folder: Path, out: Path, *arguments: str) -> str:
    command = ["converse", "--model", str(folder / "base"), "--anchors", str(folder / "anchors"), "--out", str(out)]
    result = CliRunner().invoke(app, [*command, *USUAL, *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_trained_personas_talk_beside_baselines_and_a_table_and_a_page_come_of_it(folder: Path, tmp_path: Path) -> None:
    trained = f"persllm={folder / 'persllm'}"
    said = converse(folder, tmp_path / "out", "--a", trained, "--b", trained, "--baselines", "vanilla,prompt")
    records = sorted((tmp_path / "out" / "conversations").iterdir())
    assert [path.stem for path in records] == ["persllm__persllm", "prompt__prompt", "vanilla__vanilla"]
    record = load_conversations(records[0])
    assert [talk.scenario for talk in record.conversations] == ["op01", "co01"]
    assert record.signature["recipes"] == "persllm/1,persllm/2"
    assert record.signature["analysis"] == "greedy"
    assert "analysis" not in load_conversations(records[1]).signature
    for talk in record.conversations:
        assert all(
            probe.scored and probe.analysis is not None for probe in talk.probes if probe.after <= len(talk.turns)
        )
    assert "3 records" in said
    page = tmp_path / "out" / "transcripts.html"
    assert page.is_file()
    assert "Sit down, Bo" in page.read_text()
    assert f"next: persbench report conversations {tmp_path / 'out'}" in said
    assert "played before" in converse(folder, tmp_path / "out", "--a", trained, "--b", trained)


def test_a_trained_talk_says_the_same_words_in_an_unbroken_and_in_a_resumed_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from persbench.conversation import run
    from persbench.conversation.record_files import save_conversations
    from persbench.conversation.records import ConversationRecord

    trained = f"persllm={folder / 'persllm'}"
    systems = ("--a", trained, "--b", "prompt")
    converse(folder, tmp_path / "whole", *systems)

    def stop(path: Path, record: ConversationRecord) -> None:
        save_conversations(path, record)
        raise PersbenchError("the power fails")

    monkeypatch.setattr(run, "save_conversations", stop)
    with pytest.raises(PersbenchError, match="the power fails"):
        converse(folder, tmp_path / "out", *systems)
    monkeypatch.undo()
    assert "going on after 2 utterances" in converse(folder, tmp_path / "out", *systems)
    name = "conversations/persllm__prompt.json"
    assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--a", "prompt", "--b", "prompt", "--probes", "0,x"), "--probes '0,x': write numbers of exchanges"),
        (("--a", "prompt", "--b", "prompt", "--probes", "5"), "--probes 5: 2 turns are 1 exchanges"),
        (("--a", "promt:ada", "--b", "prompt:bo"), "unknown system 'promt'"),
        (("--a", "prompt:ada", "--b", "prompt:cy"), "unknown persona 'cy'"),
        (("--a", "prompt", "--b", "prompt", "--scenario", "op9"), "unknown scenario 'op9'"),
    ],
)
def test_a_users_mistake_is_one_message(folder: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(PersbenchError) as caught:
        converse(folder, tmp_path / "out", *arguments)
    assert message in str(caught.value)
    assert not (tmp_path / "out" / "conversations").exists()


def test_two_runs_never_write_to_one_folder(folder: Path, tmp_path: Path) -> None:
    from filelock import FileLock

    (tmp_path / "out").mkdir()
    with (
        FileLock(tmp_path / "out" / ".lock"),
        pytest.raises(PersbenchError, match="another run writes to"),
    ):
        converse(folder, tmp_path / "out", "--a", "prompt", "--b", "prompt")


@pytest.mark.model
def test_the_default_model_talks_as_two_personas(tmp_path: Path) -> None:
    command = ["converse", "--a", "prompt", "--b", "prompt", "--out", str(tmp_path), "--pack", str(fake_pack())]
    more = ["--scenario", "op01", "--turns", "2", "--seeds", "1", "--max-tokens", "16", "--probes", "1"]
    result = CliRunner().invoke(app, [*command, *more, "--anchors", str(tmp_path / "anchors")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    (talk,) = load_conversations(tmp_path / "conversations" / "prompt__prompt.json").conversations
    assert [turn.speaker for turn in talk.turns] == ["a", "b", "a"]
    assert all(turn.text for turn in talk.turns)
    assert [probe.scored for probe in talk.probes] == [True] * 4
