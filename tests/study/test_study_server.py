"""What the server of a study takes and refuses, without a browser: forged ids, keys, origins, sizes, headers."""

from __future__ import annotations

import http.client
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
from rater_page import SECRETS, said, stored
from served_study import STUDY, Served, heard, write_study

from persbench.study.guard import HEADERS

FORM = "application/x-www-form-urlencoded"
SCALES = tuple(STUDY["scales"])


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    cookies: list[str]
    text: str


class Client:
    """A rater without a browser."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookie = ""

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = FORM, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {"Cookie": self.cookie} if self.cookie else {}
        sent |= {"Content-Type": kind} if body is not None else {}
        connection.request(
            method, path, body, sent | {name.replace("_", "-"): value for name, value in headers.items()}
        )
        response = connection.getresponse()
        text = response.read().decode("utf-8")
        cookies = response.headers.get_all("Set-Cookie") or []
        connection.close()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, cookies, text)

    def post(self, path: str, **fields: object) -> Answer:
        answer = self.ask("POST", path, urlencode({k.replace("__", "-"): v for k, v in fields.items()}).encode())
        if answer.cookies:
            self.cookie = answer.cookies[0].partition(";")[0]
        return answer

    def home(self) -> str:
        return self.ask("GET", "/").text

    def field(self, name: str) -> str:
        found = re.search(rf'name="{name}" value="([^"]*)"', self.home())
        assert found, name
        return found.group(1)

    def begin(self) -> None:
        answer = self.post("/begin", event=event(), consent=self.field("consent"), agree="yes")
        assert answer.status == 303

    def say(self, text: str, *, task: int = 1, turn: int = 1, event_id: str = "") -> Answer:
        return self.post("/say", event=event_id or event(), task=task, turn=turn, text=text)

    def wait(self) -> None:
        begun = time.monotonic()
        while time.monotonic() - begun < 60:
            if '"said"' in self.ask("GET", "/reply").text:
                return
            time.sleep(0.02)
        raise AssertionError("no reply")

    def pseudonym(self) -> str:
        found = re.search(r"R\d{4}", self.home())
        assert found
        return found.group()


def event() -> str:
    return secrets.token_hex(12)


@pytest.fixture
def client(served: Served) -> Client:
    return Client(served.port)


@pytest.fixture
def rater(client: Client) -> Client:
    client.begin()
    return client


def test_every_answer_has_the_headers(client: Client) -> None:
    asked = [
        client.ask("GET", "/"),
        client.ask("GET", "/static/study.css"),
        client.ask("GET", "/nothing/here"),
        client.ask("GET", "/reply"),
        client.ask("DELETE", "/"),
        client.ask("POST", "/say", b"x" * 100_000),
        client.ask("POST", "/say", b"{}", "application/json"),
    ]
    assert [answer.status for answer in asked] == [200, 200, 404, 403, 405, 413, 409]
    for answer in asked:
        for name, value in HEADERS.items():
            assert answer.headers[name.lower()] == value
        assert "server" not in answer.headers
    policy = asked[0].headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_a_page_holds_no_script_or_style_of_its_own_and_names_no_system(rater: Client) -> None:
    rater.say("hello")
    rater.wait()
    page = rater.home()
    assert re.findall(r"<script(?![^>]*src=)", page) == []
    assert re.findall(r'<style|style="|\son\w+=', page) == []
    assert re.findall(r'(?:src|href|action)="(?!/)[^"]*"', page) == []
    assert not [secret for secret in SECRETS if secret in page + rater.ask("GET", "/reply").text]


def test_cookies_are_out_of_reach_of_scripts_and_other_pages(client: Client) -> None:
    answer = client.post("/begin", event=event(), consent=client.field("consent"), agree="yes")
    assert "HttpOnly" in answer.cookies[0]
    assert "samesite=strict" in answer.cookies[0].lower()


def test_a_megabyte_is_refused_and_nothing_of_it_kept(rater: Client, served: Served) -> None:
    assert rater.say("x" * 1_000_000).status == 413
    answer = rater.say("y" * 5_000)
    assert answer.status == 422
    assert "at most 2,000" in answer.text
    assert said(served.folder, rater.pseudonym()) == []
    # A body without an end is not waited for for ever.
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as raw:
        raw.sendall(b"POST /say HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(200):
            raw.sendall(b"10000\r\n" + b"z" * 65536 + b"\r\n")
        assert b"413" in raw.recv(4096)


@pytest.mark.parametrize(
    "fields",
    [
        {"task": 99, "turn": 1},
        {"task": 0, "turn": 1},
        {"task": -1, "turn": 1},
        {"task": 1, "turn": 2},
        {"task": 2, "turn": 1},
        {"task": "1; DROP TABLE messages", "turn": 1},
        {"task": "１", "turn": 1},
        {"task": "9" * 400, "turn": 1},
        {"task": 1, "turn": 1, "event": "short"},
        {"task": 1, "turn": 1, "event": ":reply-1-1"},
        {"task": 1, "turn": 1, "event": "x" * 5000},
        {"turn": 1},
    ],
)
def test_forged_numbers_change_nothing(rater: Client, served: Served, fields: dict[str, object]) -> None:
    answer = rater.post("/say", **({"event": event(), "text": "forged"} | fields))
    assert answer.status == 409
    assert "forged" not in str(said(served.folder, rater.pseudonym()))


def test_an_event_id_stands_for_one_thing_and_the_same_thing_twice_is_once(rater: Client, served: Served) -> None:
    once = event()
    assert rater.say("once", event_id=once).status == 303
    assert rater.say("once", event_id=once).status == 303
    rater.wait()
    assert rater.say("other words", event_id=once).status == 409
    assert rater.say("other words", turn=2, event_id=once).status == 409
    assert rater.post("/finish", event=once, task=1).status == 409
    assert [row[3] for row in said(served.folder, rater.pseudonym())] == ["once", heard("once")]


def test_nobody_speaks_for_another(rater: Client, served: Served) -> None:
    rater.say("mine")
    rater.wait()
    name = rater.pseudonym()
    other = Client(served.port)
    other.begin()
    mine, theirs = (client.cookie.partition("=") for client in (rater, other))
    assert mine[0] == theirs[0]
    for forged in (
        theirs[2][:-1] + ("1" if theirs[2].endswith("0") else "0"),
        mine[2].replace("-", "")[:-8],
        "' OR 1=1 --",
        "x" * 3000,
        "\u00ff",
    ):
        other.cookie = f"{mine[0]}={forged}"
        answer = other.say("not mine", turn=2)
        assert answer.status in (303, 403)
        assert "mine</div>" not in other.home()
    assert [row[3] for row in said(served.folder, name)] == ["mine", heard("mine")]


@pytest.mark.parametrize("value", ["6", "0", "-1", "3.5", "", "five", "1" * 500, "<b>"])
def test_values_off_the_scale_are_refused_and_the_rest_stays_chosen(rater: Client, served: Served, value: str) -> None:
    for turn in (1, 2):
        rater.say("hello", turn=turn)
        rater.wait()
    rater.post("/finish", event=event(), task=1)
    answer = rater.post("/rate", event=event(), task=1, **{f"scale__{name}": 4 for name in SCALES[1:]},
                        **{f"scale__{SCALES[0]}": value})  # fmt: skip
    assert answer.status == 422
    assert answer.text.count("checked") == len(SCALES) - 1
    rated = "SELECT count(*) FROM ratings a JOIN tasks t ON t.id = a.task JOIN raters r ON r.id = t.rater"
    query = f"{rated} WHERE pseudonym = ?"
    assert stored(served.folder, query, rater.pseudonym()) == [(0,)]


def test_what_comes_out_of_order_is_refused(rater: Client, served: Served) -> None:
    assert rater.post("/finish", event=event(), task=1).status == 409
    assert rater.post("/rate", event=event(), task=1, **{f"scale__{name}": 3 for name in SCALES}).status == 409
    assert rater.post("/prefer", event=event(), first=1, second=2, choice="a").status == 409
    assert rater.post("/withdraw", event=event()).status == 422
    assert rater.post("/begin", event=event(), consent="another", agree="yes").status == 409
    assert stored(served.folder, "SELECT count(*) FROM events e JOIN raters r ON r.id = e.rater WHERE pseudonym = ?",
                  rater.pseudonym()) == [(1,)]  # fmt: skip


def test_who_does_not_agree_does_not_begin(client: Client, served: Served) -> None:
    before = stored(served.folder, "SELECT count(*) FROM raters")
    assert client.post("/begin", event=event(), consent=client.field("consent")).status == 422
    assert client.post("/begin", event="", consent=client.field("consent"), agree="yes").status == 409
    assert client.say("too early").status == 200
    assert stored(served.folder, "SELECT count(*) FROM raters") == before


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"text=%ff%fe%00&task=1&turn=1", FORM),
        (b"&".join(b"a%d=1" % i for i in range(1000)), FORM),
        (b"\xff\x00" * 100, FORM),
        (b"", FORM),
        (b'{"text": "x"}', "application/json"),
        (b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\nx\r\n--x--', "multipart/form-data; boundary=x"),
    ],
)
def test_what_is_no_form_is_refused(rater: Client, body: bytes, kind: str) -> None:
    assert rater.ask("POST", "/say", body, kind).status == 409


@pytest.mark.parametrize(
    "path", ["/static/../server.py", "/static/%2e%2e/%2e%2e/store.py", "/static//etc/passwd", "/static/", "/templates"]
)
def test_only_the_page_s_own_files_are_given(client: Client, path: str) -> None:
    answer = client.ask("GET", path)
    assert answer.status == 404
    assert "import" not in answer.text


def test_other_origins_and_other_names_are_refused(rater: Client, served: Served) -> None:
    body = urlencode({"event": event(), "task": 1, "turn": 1, "text": "from elsewhere"}).encode()
    assert rater.ask("POST", "/say", body, Sec_Fetch_Site="cross-site").status == 403
    assert rater.ask("POST", "/say", body, Origin="https://evil.example").status == 403
    assert rater.ask("POST", "/say", body, Origin="null").status == 403
    assert rater.ask("GET", "/", Host="evil.example").status == 421
    assert said(served.folder, rater.pseudonym()) == []
    own_origin = f"http://127.0.0.1:{served.port}"
    assert rater.ask("POST", "/say", body, Origin=own_origin, Host=f"127.0.0.1:{served.port}").status == 303


@pytest.fixture
def open_door(tmp_path: Path) -> Iterator[Served]:
    server = Served(write_study(tmp_path), tmp_path / "store", host="0.0.0.0")
    server.start()
    yield server
    server.stop()


def test_elsewhere_than_on_loopback_a_key_is_asked_for(open_door: Served) -> None:
    key = (open_door.folder / "access.key").read_text().strip()
    assert (open_door.folder / "access.key").stat().st_mode & 0o077 == 0
    client = Client(open_door.port)
    for path in ("/", "/code", "/reply", "/?key=", "/?key=wrong", f"/?key={key[:-1]}", "/?key=%ff"):
        answer = client.ask("GET", path)
        assert answer.status == 403
        assert "A key is needed" in answer.text
    assert client.post("/begin", event=event(), agree="yes").status == 403
    assert stored(open_door.folder, "SELECT count(*) FROM raters") == [(0,)]
    answer = client.ask("GET", f"/?key={key}")
    assert (answer.status, answer.headers["location"]) == (303, "/")
    client.cookie = answer.cookies[0].partition(";")[0]
    assert "Welcome" in client.home()
    open_door.kill()
    open_door.start()  # the same key still opens
    assert "Welcome" in client.home()


def test_nothing_of_a_device_is_stored(rater: Client, served: Served) -> None:
    rater.ask("GET", "/", User_Agent="A very particular browser", Referer="http://127.0.0.1/secret")
    rater.say("hello")
    rater.wait()
    raw = b"".join(path.read_bytes() for path in served.folder.iterdir() if path.is_file())
    assert b"particular browser" not in raw
    assert b"127.0.0.1" not in raw
    token = rater.cookie.partition("=")[2]
    assert token.encode() not in raw
    assert token.replace("-", "").encode() not in raw


def test_a_full_study_takes_nobody_more(own: Served) -> None:
    write_study(own.study.parent, limits={"raters": 1})
    own.start()
    first, second = Client(own.port), Client(own.port)
    first.begin()
    answer = second.post("/begin", event=event(), consent=second.field("consent"), agree="yes")
    assert answer.status == 403
    assert "Every place of this study is taken" in answer.text


def test_line_breaks_count_once(own: Served) -> None:
    write_study(own.study.parent, limits={"message_characters": 5})
    own.start()
    client = Client(own.port)
    client.begin()
    assert client.say("a\r\nb\r\nc").status == 303
    client.wait()
    assert said(own.folder, client.pseudonym())[0][3] == "a\nb\nc"


@pytest.mark.model
def test_the_command_serves_the_default_model(tmp_path: Path) -> None:
    study = write_study(tmp_path, turns={"min": 1, "max": 2}, replies={"max_tokens": 6})
    out = tmp_path / "out"
    command = [sys.executable, "-m", "persbench", "study", "serve", str(study), "--out", str(out), "--port", "0"]
    with (
        (tmp_path / "errors").open("w+") as errors,
        subprocess.Popen([*command, "--dtype", "float32"], stdout=subprocess.PIPE, stderr=errors, text=True) as server,
    ):
        try:
            assert server.stdout is not None
            opened = re.search(r"http://127\.0\.0\.1:(\d+)/\n", server.stdout.readline())
            assert opened, errors.seek(0) or errors.read()
            client = Client(int(opened.group(1)))
            client.begin()
            client.say("Good morning.")
            client.wait()
            client.say("How are you?", turn=2)
            client.wait()
            server.send_signal(signal.SIGINT)
            assert server.wait(timeout=60) == 0
        finally:
            server.kill()
        errors.seek(0)
        printed = errors.read()
    assert f"next: persbench study report {out}" in printed.replace("\n", " ").replace("  ", " ")
    assert "Traceback" not in printed
    assert [(turn, role) for _, turn, role, _ in said(out, "R0001")] == [
        (1, "user"), (1, "assistant"), (2, "user"), (2, "assistant"),
    ]  # fmt: skip
