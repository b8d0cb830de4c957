"""`persbench judge qualify` as a user meets it, on a real server on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted_server import Messages, ScriptedServer
from table_judge import constant
from typer.testing import CliRunner, Result
from word_embedder import WordEmbedder

from persbench.annotators.budget import BudgetSpent
from persbench.annotators.frames import frames
from persbench.cli import app
from persbench.errors import PersbenchError
from persbench.judging.judge import load_judge
from persbench.judging.qualification import load_qualifications, qualification_path
from persbench.packs.bundled import fake_pack
from persbench.packs.load import load_pack


def first_always(messages: Messages) -> str:
    fields: dict[str, list[str]] = {}
    for frame in frames(messages[1]["content"]):
        fields.setdefault(frame.field, []).append(frame.text)
    marks = {"replies": "rank", "line": "contradict", "prompt": "resist", "reply": "agree"}
    kind = next((kind for field, kind in marks.items() if field in fields), "sort")
    return json.dumps(constant(kind, fields, 0))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    monkeypatch.setenv("PERSBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("persbench.models.embedder.default_embedder", WordEmbedder)
    with ScriptedServer(first_always) as found:
        yield found


def persbench(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


def test_a_judge_is_examined_in_one_command_and_a_second_asks_nothing(server: ScriptedServer, tmp_path: Path) -> None:
    spec = f"openai:scripted@{server.url}"
    command = ("judge", "qualify", spec, "--pack", fake_pack(), "--repeat", 4)
    done = persbench(*command)
    assert done.exit_code == 0, done.output
    for text in ("agree, content", "rank, voice", "judge:default|prompts:", "|pack:fake-1@", "does not beat judges"):
        assert text in done.output
    assert f"next: persbench judge RUN --judge {spec}" in done.output
    path = qualification_path(tmp_path / "cache", load_judge(spec, cache=None).id, load_pack(fake_pack()).hash)
    (found,), faults = load_qualifications(tmp_path / "cache")
    assert (path.exists(), faults, found.judge["name"]) == (True, [], "default")
    assert {exam.accuracy.mean for exam in found.exams} == {0.5}
    asked = len(server.asked)
    assert asked > 0
    again = persbench(*command, "--out", tmp_path / "run")
    assert again.exit_code == 0, again.output
    assert len(server.asked) == asked
    (other,), _ = load_qualifications(tmp_path / "run")
    assert (other.exams, other.tokens, other.judge) == (found.exams, found.tokens, found.judge)


def test_a_few_pairs_after_all_of_them_take_nothing_away(server: ScriptedServer, tmp_path: Path) -> None:
    command = ("judge", "qualify", f"openai:scripted@{server.url}", "--pack", fake_pack(), "--repeat", 0)
    part = persbench(*command, "--kinds", "rank", "--limit", 2, "--personas", "ada")
    assert "examined on the first 2 pairs of ada alone: rank: content; rank: voice; rank: knowledge" in part.output
    whole = persbench(*command)
    assert "examined on" not in whole.output
    (full,), _ = load_qualifications(tmp_path / "cache")
    again = persbench(*command, "--kinds", "rank", "--limit", 2)
    assert again.exit_code == 0, again.output
    (found,), _ = load_qualifications(tmp_path / "cache")
    assert found.exams == full.exams
    assert "examined on" not in again.output


def test_a_dry_run_asks_and_writes_nothing(server: ScriptedServer, tmp_path: Path) -> None:
    done = persbench("judge", "qualify", f"openai:scripted@{server.url}", "--pack", fake_pack(), "--dry-run")
    assert done.exit_code == 0, done.output
    # 36 pairs in two orders, and again with another seed
    assert "rank" in done.output
    assert "144" in done.output
    assert server.asked == []
    assert not (tmp_path / "cache").exists()


def test_a_spent_budget_keeps_what_was_answered(server: ScriptedServer) -> None:
    command = ("judge", "qualify", f"openai:scripted@{server.url}", "--pack", fake_pack(), "--kinds", "resist")
    stopped = persbench(*command, "--budget", 3000)
    assert isinstance(stopped.exception, BudgetSpent)
    asked = len(server.asked)
    assert 0 < asked < 12
    done = persbench(*command)
    assert done.exit_code == 0, done.output
    assert len(server.asked) == 12  # three items, two replies each, and again with another seed


def test_mistakes_are_named_before_anything_is_asked(server: ScriptedServer) -> None:
    spec = f"openai:scripted@{server.url}"
    for arguments, told in (
        ((spec, "--pack", fake_pack(), "--kinds", "agre"), "unknown kind of judgement 'agre'. Did you mean 'agree'"),
        ((spec, "--pack", fake_pack(), "--personas", "eve"), "unknown persona 'eve'"),
        (("nobody", "--pack", fake_pack()), "names no annotator"),
        ((spec, "--pack", "/nowhere"), "nowhere"),
    ):
        done = persbench("judge", "qualify", *arguments)
        assert isinstance(done.exception, PersbenchError), arguments
        assert told in str(done.exception)
    assert server.asked == []
