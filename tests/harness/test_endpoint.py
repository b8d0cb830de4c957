"""A chat endpoint on loopback, through lm-eval's own client: it generates, and is refused what it cannot do."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from persbench.errors import PersbenchError
from persbench.harness.run import run
from persbench.harness.settings import RunSettings
from persbench.packs.bundled import fake_pack
from persbench.records import load_record


class Endpoint(BaseHTTPRequestHandler):
    """Answers every chat with the length of what it was sent, and remembers the messages.

    Where `sick` says so of the messages, it fails with a status of 500 instead.
    """

    seen: list[list[dict[str, str]]] = []  # noqa: RUF012 - the server makes one handler a request
    sick: Callable[[list[dict[str, str]]], bool] = staticmethod(lambda _messages: False)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).seen.append(body["messages"])
        if type(self).sick(body["messages"]):
            self.send_error(500)
            return
        text = f"I have heard {len(body['messages'])} messages, and the last was yours."
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        raw = json.dumps({"id": "x", "object": "chat.completion", "choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Endpoint.seen, Endpoint.sick = [], staticmethod(lambda _messages: False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/chat/completions"
    server.shutdown()
    server.server_close()


def settings(url: str, out: Path, **more: Any) -> RunSettings:
    arguments = {"base_url": url, "eos_string": "<end>", "max_retries": 1} | more.pop("model_args", {})
    return RunSettings(
        model="any", pack=fake_pack(), out=out, backend="local-chat-completions", model_args=arguments, limit=2,
        systems=("prompt",), personas=("ada",), batch_size=1, **more,
    )  # fmt: skip


def test_a_chat_endpoint_is_refused_what_needs_loglikelihoods(url: str, tmp_path: Path) -> None:
    with pytest.raises(PersbenchError, match=r"LocalChatCompletion offers no log-likelihoods.*--tasks persbench_gen"):
        run(settings(url, tmp_path), lambda _line: None)
    assert Endpoint.seen == []


def test_a_chat_endpoint_gets_the_persona_as_a_system_message(url: str, tmp_path: Path) -> None:
    (path,) = run(settings(url, tmp_path, tasks=("persbench_reply",)), lambda _line: None)
    record = load_record(path)
    rows = record.tasks["persbench_reply"]["samples"]
    assert [row["reply"] for row in rows] == ["I have heard 2 messages, and the last was yours."] * 2
    assert all(row["rendering"] == "chat" for row in rows)
    assert [[m["role"] for m in messages] for messages in Endpoint.seen] == [["system", "user"]] * 2
    assert Endpoint.seen[0][0]["content"].startswith("You are Ada Crumb.")
    assert record.signature["device"] == "remote"


@pytest.mark.parametrize("concurrent", [1, 2])
def test_an_endpoint_that_fails_is_an_error_that_says_what_to_do(url: str, tmp_path: Path, concurrent: int) -> None:
    Endpoint.sick = staticmethod(lambda _messages: True)
    asked = settings(url, tmp_path, tasks=("persbench_reply",), model_args={"num_concurrent": concurrent})
    with pytest.raises(PersbenchError, match=r"no answer for prompt as ada: .*500.*\n.*repeat the command"):
        run(asked, lambda _line: None)
    assert not list(tmp_path.rglob("prompt__ada.json"))
    Endpoint.sick = staticmethod(lambda _messages: False)
    (path,) = run(asked, lambda _line: None)
    assert len(load_record(path).tasks["persbench_reply"]["samples"]) == 2


def test_nobody_there_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1/chat/completions"
        with pytest.raises(PersbenchError, match=r"no answer for prompt as ada: ConnectionError"):
            run(settings(url, tmp_path, tasks=("persbench_reply",)), lambda _line: None)


def test_a_server_that_fails_in_the_middle_of_a_dialogue_loses_that_dialogue_alone(url: str, tmp_path: Path) -> None:
    """The second exchange of the early stage fails once and for all; the late stage is played to its end."""

    def early(messages: list[dict[str, str]]) -> bool:
        talk = "letter alone" not in messages[-1]["content"]  # no probe
        return talk and len(messages) == 4 and "spring of the year 10" in messages[0]["content"]

    Endpoint.sick = staticmethod(early)
    asked = settings(url, tmp_path, tasks=("persbench_consistency_gen",))
    (path,) = run(asked, lambda _line: None)
    rows = {row["stage"]: row for row in load_record(path).tasks["persbench_consistency_gen"]["samples"]}
    assert "500" in rows["early"]["faults"]["talk"]
    assert len(rows["early"]["transcripts"]["talk"]) == 1
    assert not rows["late"]["faults"]
    assert len(rows["late"]["transcripts"]["talk"]) == 4
    Endpoint.sick = staticmethod(lambda _messages: False)
    lines: list[str] = []
    run(asked, lines.append)
    assert any("1 dialogues of prompt__ada.json broke off: playing those again" in line for line in lines)
    mended = load_record(path).tasks["persbench_consistency_gen"]["samples"]
    assert [(len(row["transcripts"]["talk"]), row["faults"]) for row in mended] == [(4, {}), (4, {})]
