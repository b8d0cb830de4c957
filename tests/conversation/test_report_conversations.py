"""`persbench report conversations` as a user meets it, and its table as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from known_run import FrameReader, truth_of
from known_talks import KnownBackground, probe, record, talk, the_pack
from rich.console import Console
from scripted_server import ScriptedServer
from typer.testing import CliRunner, Result

from persbench.cli import app
from persbench.conversation import report
from persbench.conversation.record_files import FOLDER, save_conversations
from persbench.conversation.records import ConversationRecord
from persbench.conversation.report import ConversationTable, conversation_table
from persbench.errors import PersbenchError
from persbench.packs.bundled import fake_pack
from persbench.packs.pack import Pack


@pytest.fixture(scope="module")
def pack() -> Pack:
    return the_pack()


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "Background", KnownBackground)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(FrameReader(truth_of())) as found:
        yield found


def several(pack: Pack, *systems: str) -> list[ConversationRecord]:
    probes = [probe("a", "q01", 0, "a"), probe("a", "q01", 4, "b"), probe("b", "q01", 0, None)]
    talks = [
        talk("op01", 0, probes=probes), talk("op02", 0, probes=probes), talk("co01", 0, kind="cooperative"),
    ]  # fmt: skip
    return [
        record([replace(t, a=replace(t.a, system=name), b=replace(t.b, system=name)) for t in talks], pack, who=name)
        for name in systems
    ]


def written(folder: Path, records: list[ConversationRecord]) -> Path:
    for number, one in enumerate(records):
        save_conversations(folder / FOLDER / f"{number}.json", one)
    return folder


def persbench(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "160"})


def printed(table: ConversationTable, width: int = 160) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(table.terminal())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_command_prints_the_table_and_writes_the_page(pack: Pack, tmp_path: Path) -> None:
    run = written(tmp_path / "run", several(pack, "prompt", "vanilla"))
    result = persbench("report", "conversations", run, "--pack", fake_pack())
    assert result.exit_code == 0, result.output
    for text in (
        "Opinions and voices",
        "own stance",
        "opposed",
        "cooperative",
        "vanilla",
        "+2 unscored",
        "transcripts:",
    ):
        assert text in result.output
    assert f"next: persbench judge {run} --judge SPEC" in result.output
    assert (run / "transcripts.html").read_text("utf-8").count('class="talk"') == 6
    again = persbench("report", "conversations", run / FOLDER, "--pack", fake_pack(), "--page", tmp_path / "p.html")
    assert again.exit_code == 0, again.output
    assert (tmp_path / "p.html").exists()


def test_csv_holds_every_figure_of_all_and_of_each(pack: Pack, tmp_path: Path) -> None:
    run = written(tmp_path / "run", several(pack, "prompt"))
    result = persbench("report", "conversations", run, "--pack", fake_pack(), "--format", "csv")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    (stance,) = [r for r in rows if (r["kind"], r["persona"], r["metric"]) == ("opposed", "", "own_stance")]
    assert [stance[key] for key in ("mean", "low", "high", "n", "clusters", "unscored", "chance", "conversations")] == [
        "0.5", "0.5", "0.5", "4", "2", "2", "0.25", "2"
    ]  # fmt: skip
    (bo,) = [r for r in rows if (r["kind"], r["persona"], r["metric"]) == ("opposed", "bo", "own_stance")]
    assert (bo["mean"], bo["n"], bo["unscored"]) == ("", "0", "2")  # unscored is empty, and no zero
    assert "pack:fake-1@" in stance["signature"]
    files = [word for name in ("t.csv", "t.md") for word in ("--out", tmp_path / name)]
    (run / "transcripts.html").unlink()
    both = persbench("report", "conversations", run, "--pack", fake_pack(), *files)
    assert not (run / "transcripts.html").exists()  # where files are named, these alone are written
    assert both.exit_code == 0, both.output
    assert (tmp_path / "t.csv").read_text("utf-8") == result.stdout
    assert "|  | chance | 0.25 |" in (tmp_path / "t.md").read_text("utf-8")
    refused = persbench("report", "conversations", run, "--pack", fake_pack(), "--out", tmp_path / "t.pdf")
    assert refused.exit_code != 0


def test_markdown_has_a_row_a_kind_and_system(pack: Pack) -> None:
    text = conversation_table(several(pack, "prompt", "vanilla"), pack).markdown()
    row = next(line for line in text.splitlines() if line.startswith("| opposed | vanilla |"))
    assert row.startswith("| opposed | vanilla | **0.50** [.50 .50]<br>n 4 +2 unscored |")
    # nobody was asked anything in the cooperative talk, and no voice can be told
    assert "| cooperative | prompt | - | - | - | unscored<br>n 0 +4 unscored | unscored<br>n 0 +2 unscored |" in text
    assert "prompt  who:prompt" in text


def test_a_missing_baseline_is_told_and_one_that_is_there_is_not(pack: Pack) -> None:
    trained = several(pack, "persllm")
    assert "--baselines vanilla,prompt" in printed(conversation_table(trained, pack))
    assert "--baselines" not in printed(conversation_table([*trained, *several(pack, "vanilla")], pack))


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_table_stands_at_any_width(pack: Pack, width: int) -> None:
    told = printed(conversation_table(several(pack, "prompt"), pack), width)
    assert max(map(len, told.splitlines())) <= width
    assert "0.50" in told


def test_names_cannot_break_the_table(pack: Pack) -> None:
    name = "[red]x[/red]|<b>`\n\x1b[31m"
    table = conversation_table(several(pack, name), pack)
    assert "\x1b" not in printed(table)
    assert "[red]x[/red]" in printed(table)
    lines = [line for line in table.markdown().splitlines() if line.startswith("| opposed")]
    assert len(lines) == 2
    assert not any("<b>" in line for line in lines)


def test_the_same_conversation_twice_is_refused(pack: Pack, tmp_path: Path) -> None:
    both = several(pack, "prompt") * 2
    with pytest.raises(PersbenchError, match="two records hold the conversation of prompt on op01, seed 0"):
        conversation_table(both, pack)


def test_nothing_and_another_pack_are_refused_in_a_sentence(pack: Pack, tmp_path: Path) -> None:
    result = persbench("report", "conversations", tmp_path)
    assert isinstance(result.exception, PersbenchError)
    assert "no conversations in" in str(result.exception)
    run = written(tmp_path / "run", several(pack, "prompt"))
    result = persbench("report", "conversations", run)  # of the reference world, which they are not
    assert isinstance(result.exception, PersbenchError)
    assert "name theirs by --pack" in str(result.exception)
    result = persbench("report", "conversations", run, "--format", "pdf")
    assert isinstance(result.exception, PersbenchError)
    assert "unknown format 'pdf'" in str(result.exception)
    assert conversation_table([], pack).lines == ()


def test_conversations_are_judged_by_the_command(pack: Pack, tmp_path: Path, server: ScriptedServer) -> None:
    run = written(tmp_path / "run", several(pack, "prompt"))
    command = ("judge", run, "--judge", f"openai:scripted@{server.url}", "--pack", fake_pack())
    result = persbench(*command)
    assert result.exit_code == 0, result.output
    assert "contradict" in result.output
    assert f"persbench report conversations {run}" in result.output
    asked = len(server.asked)
    # three talks of the same words, so each is asked once: two speakers, 2 profile, 4 answers, one pair in both orders
    assert asked == 2 * (2 + 4 + 2)
    shown = persbench("report", "conversations", run, "--pack", fake_pack())
    assert shown.exit_code == 0, shown.output
    assert "without contradiction" in shown.output
    assert persbench(*command).exit_code == 0
    assert len(server.asked) == asked
