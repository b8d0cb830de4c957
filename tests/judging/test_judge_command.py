"""`persbench judge` as a user meets it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from known_run import FrameReader, truth_of, write_cell, write_run
from scripted_server import ScriptedServer
from typer.testing import CliRunner, Result

from persbench.cli import app
from persbench.errors import PersbenchError
from persbench.judging.records import load_judged
from persbench.packs.bundled import fake_pack


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(FrameReader(truth_of())) as found:
        yield found


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run")


def persbench(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "160"})


def refused(*arguments: object) -> str:
    result = persbench(*arguments)
    assert isinstance(result.exception, PersbenchError)
    return str(result.exception)


def test_a_run_is_judged_in_one_command_and_a_second_asks_nothing(run: Path, server: ScriptedServer) -> None:
    command = ("judge", run, "--judge", f"openai:scripted@{server.url}", "--pack", fake_pack())
    first = persbench(*command)
    assert first.exit_code == 0, first.output
    asked = len(server.asked)
    assert asked == 16 + 48 + 32 + 9 + 36 + 36 + 72
    for text in ("sort", "agree", "rank", "resist", "contradict", "judge:default|prompts:", "by:openai:scripted@"):
        assert text in first.output
    assert f"next: persbench judge qualify openai:scripted@{server.url}, then persbench report table" in first.output
    assert persbench(*command).exit_code == 0
    assert len(server.asked) == asked
    assert {record.kind: record.unscored for record in load_judged(run)[0]} == dict.fromkeys(
        ("sort", "agree", "rank", "resist", "contradict"), 0
    )


def test_options_may_stand_before_the_folder_and_choose_what_is_judged(run: Path, server: ScriptedServer) -> None:
    where = ("--pack", fake_pack(), "--judge", f"openai:scripted@{server.url}")
    done = persbench("judge", *where, "--kinds", "agree,agree", "--limit", 2, run)
    assert done.exit_code == 0, done.output
    (record,) = load_judged(run)[0]
    assert (record.kind, len(record.rows), record.cases) == ("agree", 12, 48)
    assert "not judged yet 36" in done.output
    assert "without --limit" in done.output


def test_a_dry_run_asks_and_writes_nothing(run: Path, server: ScriptedServer) -> None:
    files = sorted(run.rglob("*"))
    where = ("--pack", fake_pack(), "--judge", f"openai:scripted@{server.url}", "--dry-run")
    done = persbench("judge", "run", run, *where)
    assert done.exit_code == 0, done.output
    assert "249" in done.output
    assert "Nothing was asked" in done.output
    assert server.asked == []
    assert sorted(run.rglob("*")) == files


def test_a_killed_command_goes_on_where_it_was(run: Path) -> None:
    with ScriptedServer(FrameReader(truth_of()), delay=0.05) as server:
        command = ["judge", str(run), "--judge", f"openai:scripted@{server.url}", "--pack", str(fake_pack())]
        command += ["--kinds", "agree"]
        killed = subprocess.Popen([sys.executable, "-m", "persbench.cli", *command], stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while len(server.asked) < 12 and time.monotonic() < end:
            time.sleep(0.01)
        killed.kill()
        killed.wait()
        before = len(server.asked)
        assert 12 <= before < 48
        assert persbench(*command).exit_code == 0
        # What was on its way when it was killed is all that may have been asked for nothing.
        assert len(server.asked) <= 48 + 8
    (record,) = load_judged(run)[0]
    assert (len(record.rows), record.unscored) == (48, 0)


def test_mistakes_are_named_before_anything_is_asked(run: Path, server: ScriptedServer, tmp_path: Path) -> None:
    judge = ("--judge", f"openai:scripted@{server.url}")
    here = (*judge, "--pack", fake_pack())
    assert "unknown kind of judgement 'agre'. Did you mean 'agree'" in refused("judge", run, *here, "--kinds", "agre")
    assert "no folder" in refused("judge", tmp_path / "none", *here)
    assert "alpha as ada: was run on the pack @" in refused("judge", run, *judge)
    write_cell(tmp_path / "choices", "alpha", "ada", {"persbench_attitude": []})
    assert "persbench_induction_reply" in refused("judge", tmp_path / "choices", *here)
    (run / "judged").write_text("in the way")
    assert "call cache" in refused("judge", run, *here)
    assert "names no annotator" in refused("judge", run, "--judge", "gpt", "--pack", fake_pack())
    assert server.asked == []
    assert persbench("judge", run).exit_code == 2  # --judge is missing
