"""A real HTTP server on loopback that speaks OpenAI's wire format, with scripted answers and injected faults.

The answers come from a function of the messages, the faults from a function of the request, and everything that was
asked and answered is counted:

    with ScriptedServer(lambda messages: "yes", faults=random_faults(0.3, seed=1)) as server:
        annotator = load_annotator(f"openai:scripted@{server.url}", cache=None)

Other folders' tests import it as `scripted_server`.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

Messages = list[dict[str, str]]
Response = tuple[int, bytes, dict[str, str]]  # status, body, headers beside the usual ones
KINDS: Final = ("429", "500", "503", "cut", "cut_body", "empty_body", "malformed", "html", "empty_text")
IN_A_ROW: Final = 4  # random faults of one conversation at most: fewer than the attempts of a call (8 by default)
STATUS: Final = {"400": 400, "401": 401, "404": 404, "429": 429, "500": 500, "503": 503}


@dataclass(frozen=True)
class Fault:
    """What happens instead of an answer.

    Attributes:
        kind: One of `KINDS`, `slow` (an answer after `seconds`), or a status of `STATUS`.
        message: What the error says.
        retry_after: The header, if any.
        seconds: Of delay.
    """

    kind: str
    message: str = "scripted"
    retry_after: str | None = None
    seconds: float = 0.0


Faults = Callable[[dict[str, Any], int], Fault | None]


def random_faults(share: float, seed: int, kinds: Sequence[str] = KINDS) -> Faults:
    """Let that share of requests fail, in all kinds alike; half of the 429 say when to come again.

    Which request meets which fault depends on the threads' order. By chance alone one in a hundred tests would have a
    call that fails at every attempt.
    """
    drawn, lock = random.Random(seed), threading.Lock()
    failed: Counter[str] = Counter()

    def fault(body: dict[str, Any], _: int) -> Fault | None:
        key = conversation_key(body)
        with lock:
            if failed[key] >= IN_A_ROW or drawn.random() >= share:
                failed[key] = 0
                return None
            failed[key] += 1
            kind = drawn.choice(kinds)
            # At once, to keep the tests quick.
            return Fault(kind, retry_after="0" if kind == "429" and drawn.random() < 0.5 else None)

    return fault


class ScriptedServer:
    """The server; use it as a context.

    Args:
        answer: Messages -> text of the answer, or a whole body (a dict) of one's own.
        faults: (body of the request, its number from 0) -> a fault, or None.
        key: If set, requests without `Authorization: Bearer KEY` get a 401 that repeats what they had.
        delay: Seconds before each answer.

    Attributes:
        asked: Bodies of all requests, in the order of their coming.
        headers: Their headers.
        answered: How often each conversation was answered in full, by `conversation_key`.
        faults: Faults sent, by kind.
        most_at_once: The most requests that were open at the same time.
    """

    def __init__(
        self,
        answer: Callable[[Messages], str | dict[str, Any]],
        *,
        faults: Faults | None = None,
        key: str | None = None,
        delay: float = 0.0,
    ) -> None:
        self._answer, self._faults, self._key, self._delay = answer, faults, key, delay
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.answered: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.most_at_once = self._open = 0
        self._lock = threading.Lock()
        server = self

        class Handler(_Handler):
            scripted = server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        """Base URL, up to /v1."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def take(self, body: dict[str, Any], headers: dict[str, str]) -> Fault | None:
        """Count a request, and say what goes wrong with it."""
        with self._lock:
            number = len(self.asked)
            self.asked.append(body)
            self.headers.append(headers)
            self.times.append(time.monotonic())
            self._open += 1
            self.most_at_once = max(self.most_at_once, self._open)
        if self._key is not None and headers.get("authorization") != f"Bearer {self._key}":
            return Fault("401", f"wrong key: {headers.get('authorization')}")
        return self._faults(body, number) if self._faults else None

    def left(self) -> None:
        """Count the end of a request."""
        with self._lock:
            self._open -= 1

    def count_fault(self, kind: str) -> None:
        """Count a fault that was sent."""
        with self._lock:
            self.faults[kind] += 1

    def count_answer(self, body: dict[str, Any]) -> None:
        """Count an answer that is about to be sent."""
        with self._lock:
            self.answered[conversation_key(body)] += 1

    def completion(self, body: dict[str, Any]) -> dict[str, Any]:
        """Make the answer to a request; a word counts as a token."""
        time.sleep(self._delay)
        answer = self._answer(body["messages"])
        if isinstance(answer, dict):
            return answer
        limit = body.get("max_tokens", body.get("max_completion_tokens", 10**9))
        words = answer.split(" ")
        cut = len(words) > limit
        return {
            "id": "scripted", "object": "chat.completion", "created": 0, "model": body["model"],
            "choices": [{
                "index": 0, "finish_reason": "length" if cut else "stop",
                "message": {"role": "assistant", "content": " ".join(words[:limit])},
            }],
            "usage": {
                "prompt_tokens": sum(len(message["content"].split()) for message in body["messages"]),
                "completion_tokens": min(len(words), limit),
            },
        }  # fmt: skip


def conversation_key(body: dict[str, Any]) -> str:
    """Return what makes two requests the same question."""
    return json.dumps([body["messages"], body.get("seed"), body.get("temperature")], sort_keys=True)


class _Handler(BaseHTTPRequestHandler):
    scripted: ScriptedServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Stay quiet."""

    def do_GET(self) -> None:
        models = {"object": "list", "data": [{"id": "scripted", "object": "model"}]}
        self._send(200, json.dumps(models).encode() if self.path.endswith("/models") else b"{}", {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        fault = self.scripted.take(body, {name.lower(): value for name, value in self.headers.items()})
        try:
            response = self._response(fault, body)
        finally:
            self.scripted.left()  # before the client can know, and ask again
        try:
            if response is not None:
                self._send(*response)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _response(self, fault: Fault | None, body: dict[str, Any]) -> Response | None:
        if fault is None:
            data = json.dumps(self.scripted.completion(body)).encode()
            self.scripted.count_answer(body)
            return 200, data, {}
        self.scripted.count_fault(fault.kind)
        if fault.kind == "slow":
            time.sleep(fault.seconds)
            return 200, json.dumps(self.scripted.completion(body)).encode(), {}
        if fault.kind in STATUS:
            more = {"retry-after": fault.retry_after} if fault.retry_after is not None else {}
            error = {"error": {"message": fault.message, "type": "scripted", "code": fault.kind}}
            return STATUS[fault.kind], json.dumps(error).encode(), more
        if fault.kind == "cut":
            self.close_connection = True  # not a byte is sent
            return None
        if fault.kind == "cut_body":
            self.close_connection = True
            data = json.dumps(self.scripted.completion(body)).encode()
            return 200, data[: len(data) // 2], {"content-length": str(len(data))}
        silent = {"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]}
        bodies: dict[str, Response] = {
            "empty_text": (200, json.dumps(silent).encode(), {}),
            "html": (200, b"<html>try again</html>", {"content-type": "text/html"}),
            "empty_body": (200, b"", {}),
            "malformed": (200, b'{"choices": [{"message"', {}),
        }
        return bodies[fault.kind]

    def _send(self, status: int, data: bytes, more: dict[str, str]) -> None:
        headers = {"content-type": "application/json", "content-length": str(len(data))} | more
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
