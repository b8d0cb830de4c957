"""`persbench build` as a user meets it, against a real server on loopback that fails in three calls of ten."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from author import MATERIAL, author
from small_build import Bags, content, small_world
from typer.testing import CliRunner, Result

from persbench.cli import app
from persbench.errors import PersbenchError
from persbench.models.chat import Message
from persbench.packs.check import check_pack

sys.path.append(str(Path(__file__).resolve().parents[1] / "annotators"))

from scripted_server import ScriptedServer, random_faults

KEY = "sk-loopback-5f2c77"
FEW = ("--questions", "1", "--opinions", "1", "--induced", "0")


@pytest.fixture(autouse=True)
def _words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persbench.models.embedder.default_embedder", Bags)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(
        lambda messages: author(cast("list[Message]", messages)), faults=random_faults(0.3, seed=4), key=KEY
    ) as server:
        yield server


def annotator(folder: Path, server: ScriptedServer) -> Path:
    """A folder that names the server, with short pauses."""
    folder.mkdir()
    settings: dict[str, Any] = {"kind": "openai", "model": "scripted", "base_url": server.url, "backoff": 0.001}
    settings |= {"attempts": 40, "prices": {"prompt": 1.0, "completion": 2.0}}
    (folder / "annotator.yaml").write_text(yaml.safe_dump(settings))
    return folder


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["build", *map(str, arguments)])


def command(tmp_path: Path, spec: object, *more: object) -> Result:
    files = ("--objective", MATERIAL / "life.md", MATERIAL / "place.txt", "--subjective", MATERIAL / "letters.txt")
    fixed = ("--name", "Hanne Orlow", "--stages", MATERIAL / "stages.yaml", "--licence", "CC0-1.0")
    return invoke(*fixed, *files, "--annotator", spec, "--out", tmp_path / "pack", *more)


def test_with_faults_nothing_is_lost_and_nothing_is_asked_twice(tmp_path: Path, server: ScriptedServer) -> None:
    spec, world = annotator(tmp_path / "annotator", server), small_world(tmp_path / "world")
    dry = command(tmp_path, spec, "--world", world, *FEW, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "Nothing was asked" in dry.output
    assert server.asked == []
    assert not (tmp_path / "pack.calls").exists()
    done = command(tmp_path, spec, "--world", world, *FEW)
    assert done.exit_code == 0, done.output
    assert check_pack(tmp_path / "pack") == []
    assert sum(server.faults.values()) > 50
    assert set(server.answered.values()) == {1}
    report = json.loads((tmp_path / "pack" / "built" / "build.json").read_text("utf-8"))
    assert report["total"]["calls"] == len(server.answered)
    assert "unanswered" not in str(report["drops"])
    traffic = json.loads((tmp_path / "pack.calls" / "traffic.json").read_text("utf-8"))
    assert sum(sum(task["faults"].values()) for task in traffic.values()) == sum(server.faults.values())
    texts = [done.output.encode(), dry.output.encode(), *content(tmp_path / "pack").values()]
    assert not any(KEY.encode() in text for text in [*texts, *content(tmp_path / "pack.calls").values()])
    asked = len(server.asked)
    assert command(tmp_path, spec, "--world", world, *FEW).exit_code == 0
    assert len(server.asked) == asked


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--split", "halves"], "unknown split 'halves'"),
        (["--id", "no id"], "cannot be the persona's id"),
        (["--licence", " "], "--licence ' ': empty text"),
        (["--stages", "no.yaml"], "no.yaml: missing file"),
        (["--subjective", "no.txt", "--stages", "no.yaml"], "no.txt"),
        (["--world", "/no/world"], "it is not a folder here"),
        (["--annotator", "oracle:delphi"], "names no annotator"),
        (["--out", str(MATERIAL)], "holds something else already"),
    ],
)
def test_bad_input_is_one_error_that_says_what_to_do(tmp_path: Path, more: list[str], message: str) -> None:
    result = command(tmp_path, "openai:none@http://127.0.0.1:9/v1", *more)
    assert isinstance(result.exception, PersbenchError), result.output
    assert message in str(result.exception)
    assert not (tmp_path / "pack").exists()
    assert not MATERIAL.with_name("material.calls").exists(), "a refused folder gets no neighbour"


def test_speech_alone_is_no_life(tmp_path: Path) -> None:
    fixed = ("--name", "H", "--stages", MATERIAL / "stages.yaml", "--licence", "CC0-1.0", "--out", tmp_path / "pack")
    result = invoke(*fixed, "--subjective", MATERIAL / "letters.txt", "--annotator", "openai:none")
    assert "no --objective file" in str(result.exception)


@pytest.mark.parametrize(
    ("out", "message"),
    [(".", "holds something else already"), ("..", "holds something else"), ("/", "no place beside")],
)
def test_a_folder_without_a_name_of_its_own_is_one_error(
    out: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "notes.txt").write_text("mine")
    monkeypatch.chdir(tmp_path / "here")
    error = command(tmp_path, "openai:m@http://127.0.0.1:9", "--out", out).exception
    assert isinstance(error, PersbenchError), error
    assert message in str(error)
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
