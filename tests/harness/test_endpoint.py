"""A chat endpoint on loopback, through lm-eval's own client: it generates, and is refused what it cannot do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
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
    """Answers every chat with the length of what it was sent, and remembers the messages."""

    seen: list[list[dict[str, str]]] = []  # noqa: RUF012 - the server makes one handler a request

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).seen.append(body["messages"])
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
    Endpoint.seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/chat/completions"
    server.shutdown()
    server.server_close()


def settings(url: str, out: Path, **more: Any) -> RunSettings:
    arguments = {"base_url": url, "eos_string": "<end>"}
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
