"""A key and a password are sent to the endpoint and shown nowhere: no file, log, error, repr or traceback."""

from __future__ import annotations

import base64
import logging
import traceback
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Fault, ScriptedServer

from persbench.annotators.asking import CachedAnnotator
from persbench.annotators.calls import Call
from persbench.annotators.credentials import address, key_from
from persbench.annotators.spec import load_annotator
from persbench.errors import PersbenchError

KEY = "sk-proj-QuiteSecret_0123456789"
PASSWORD = "p@ss:wörd/ÆØ"
QUOTED = "p%40ss%3Aw%C3%B6rd%2F%C3%86%C3%98"
CALL = Call("talk", "v1", ({"role": "user", "content": "What is your key?"},), 50)


def forms(secret: str) -> list[str]:
    return [secret, base64.b64encode(secret.encode()).decode(), repr(secret)[1:-1]]


SECRETS = [
    *forms(KEY), *forms(PASSWORD), QUOTED, QUOTED.lower(), base64.b64encode(f"ada:{PASSWORD}".encode()).decode(),
]  # fmt: skip


class Chatty:
    """Repeats the credentials in the answer, as a hostile or broken endpoint might."""

    server: ScriptedServer

    def __call__(self, _: object) -> str:
        return f"Your header was {self.server.headers[-1].get('authorization')}, is it not?"


def everything(folder: Path, annotator: CachedAnnotator, log: pytest.LogCaptureFixture, more: str = "") -> str:
    """Put together all that could be seen afterwards."""
    files = "".join(path.read_bytes().decode("utf-8", "replace") for path in folder.rglob("*") if path.is_file())
    backend: Any = annotator.backend
    seen = [
        annotator.id,
        repr(annotator),
        repr(backend),
        repr(vars(annotator)),
        repr(vars(backend)),
        log.text,
        files,
        more,
    ]
    return "\n".join([*seen, str(annotator.tally.work()), str(annotator.tally.traffic())])


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setenv("OPENAI_LOG", "debug")
    for name in ("openai", "httpx", "httpx2", "httpcore", "httpcore2"):
        caplog.set_level(logging.DEBUG, name)
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.mark.parametrize("fault", [None, "400", "401", "404", "500", "cut", "malformed"])
def test_a_key_is_sent_and_never_seen(
    fault: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    chatty = Chatty()
    with ScriptedServer(
        chatty,
        faults=lambda _, __: Fault(fault, message=f"what of Bearer {KEY}?") if fault else None,
    ) as server:
        chatty.server = server
        (tmp_path / "annotator.yaml").write_text(
            f"kind: openai\nmodel: scripted\nbase_url: {server.url}\nattempts: 2\nbackoff: 0.001\n"
        )
        annotator = load_annotator(str(tmp_path), cache=tmp_path)
        told = ""
        try:
            told = str(annotator.ask([CALL]))
        except PersbenchError as error:
            told = "".join(traceback.format_exception(error))
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    seen = everything(tmp_path, annotator, log, told)
    assert not [secret for secret in SECRETS if secret in seen]
    if fault is None:
        assert "Your header was Bearer ***, is it not?" in told


def test_a_login_in_the_address_is_sent_and_never_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    chatty = Chatty()
    with ScriptedServer(chatty) as server:
        chatty.server = server
        url = server.url.replace("http://", f"http://ada:{QUOTED}@")
        annotator = load_annotator(f"openai:scripted@{url}", cache=tmp_path)
        told = str(annotator.ask([CALL]))
    sent = base64.b64decode(server.headers[0]["authorization"].removeprefix("Basic ")).decode()
    assert sent == f"ada:{PASSWORD}"
    assert annotator.id.startswith(f"openai:scripted@{server.url}#")
    seen = everything(tmp_path, annotator, log, told)
    assert not [secret for secret in SECRETS if secret in seen]
    with pytest.raises(PersbenchError) as raised:  # the server is gone
        load_annotator(f"openai:scripted@{url}", cache=None).ask([CALL])
    assert not [secret for secret in SECRETS if secret in "".join(traceback.format_exception(raised.value))]


@pytest.mark.parametrize(
    "url",
    [
        f"ftp://ada:{QUOTED}@host/v1", f"http://host/v1?key={KEY}", f"http://ada:{QUOTED}@host:port/v1",
        f"http://{KEY} /v1", f"http://ada:{QUOTED}@/v1", f"http://host/v1#{KEY}",
    ],
)  # fmt: skip
def test_a_broken_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(PersbenchError, match="base URL") as raised:
        address(url)
    assert not [secret for secret in SECRETS if secret in str(raised.value)]


def test_an_address_is_kept_whole_but_for_its_login() -> None:
    assert address("https://ada:b@example.org:8443/v1/").url == "https://example.org:8443/v1"
    assert address("http://[::1]:8000/v1").url == "http://[::1]:8000/v1"
    assert address("http://[::1]:8000/v1").login is None
    login = address("http://ada@example.org/v1").login
    assert login is not None
    assert login.get_secret_value() == "ada:"
    assert "ada" not in repr(login)


def test_a_key_that_no_header_can_hold_is_refused_without_repeating_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for bad in (f"{KEY}\nX-More: 1", f"{KEY} x", f"{KEY}é"):
        monkeypatch.setenv("SOME_KEY", bad)
        with pytest.raises(PersbenchError, match="SOME_KEY holds a blank") as raised:
            key_from("SOME_KEY")
        assert KEY not in str(raised.value)
    monkeypatch.setenv("SOME_KEY", "")
    assert key_from("SOME_KEY") is None


def test_without_a_key_openai_itself_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(PersbenchError, match=r"wants an API key: set the environment variable OPENAI_API_KEY"):
        load_annotator("openai:some-model", cache=None).ask([CALL])
