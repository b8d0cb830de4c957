"""Where a study listens, the key before it, and what its commands say before a model is loaded."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from served_study import write_study

from persbench.commands.study_serve import init, serve
from persbench.errors import PersbenchError
from persbench.study.guard import host_of, is_loopback
from persbench.study.serving import KEY_FILE, access_key, link, listen, needs_key
from persbench.study.settings import load_study


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "::1"])
def test_loopback_needs_no_key(host: str) -> None:
    assert is_loopback(host)
    assert not needs_key(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.5", "example.org", "", "localhost.example.org", "0", "127.1"]
)
def test_whatever_else_may_be_reached_needs_one(host: str) -> None:
    assert needs_key(host)


def test_names_in_host_headers() -> None:
    assert host_of("127.0.0.1:7860") == "127.0.0.1"
    assert host_of("[::1]:7860") == "::1"
    assert host_of("LOCALHOST") == "localhost"
    assert host_of("[::1") == host_of("") == ""
    assert host_of("localhost@evil.example") == "evil.example"


def test_a_link_can_be_opened_as_it_is_printed() -> None:
    assert link("127.0.0.1", 7860, None) == "http://127.0.0.1:7860/"
    assert link("::1", 7860, "k") == "http://[::1]:7860/?key=k"
    assert link("0.0.0.0", 80, "k") == "http://HOST:80/?key=k"


def test_a_port_that_is_taken_and_an_address_that_is_not_here_are_named() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PersbenchError, match=f"cannot listen on 127.0.0.1 port {port}.*--port"):
            listen("127.0.0.1", port)
    with pytest.raises(PersbenchError, match=r"192\.0\.2\.1"):
        listen("192.0.2.1", 0)
    with pytest.raises(PersbenchError, match="--host"):
        listen("no such host.invalid", 0)


def test_the_key_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    key = access_key(tmp_path / "study")
    assert len(key) >= 32
    assert access_key(tmp_path / "study") == key
    assert access_key(tmp_path / "other") != key
    assert stat.S_IMODE((tmp_path / "study" / KEY_FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"short\n", b"\xff" * 40, b"a b" * 20, b"x" * 1000, b"; Path=/" * 5])
def test_what_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / KEY_FILE).write_bytes(content)
    with pytest.raises(PersbenchError, match=r"access\.key.*Delete it"):
        access_key(tmp_path)


def test_the_example_is_a_study(tmp_path: Path) -> None:
    init(tmp_path / "STUDY.yaml")
    settings, _ = load_study(tmp_path / "STUDY.yaml")
    assert set(settings.scales) == {"likeness", "consistency", "naturalness", "engagement"}
    assert all(scale.points == 5 for scale in settings.scales.values())
    with pytest.raises(PersbenchError, match="already there"):
        init(tmp_path / "STUDY.yaml")


def test_a_study_that_cannot_be_served_says_so_before_a_model_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(PersbenchError, match="does not describe a study"):
        serve(tmp_path / "nowhere.yaml", out=tmp_path / "out")
    study = write_study(tmp_path, systems={"one": "unheard-of", "two": "persllm", "three": "prompt"})
    with pytest.raises(PersbenchError) as caught:
        serve(study, out=tmp_path / "out", port=0)
    assert "unheard-of" in str(caught.value)
    assert "persllm" in str(caught.value)
    assert not (tmp_path / "out").exists()
