"""What the processes of `test_jobs` do: apart from it, since each of them would load all that a test loads."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from persbench.errors import PersbenchError
from persbench.harness.cache_budget import part_of_free


def act(out: Path, share: Sequence[str], notice: Callable[[str], None]) -> list[Path]:
    for name in share:
        notice(f"at {name}")
        if name == "bad":
            raise PersbenchError("bad: mend it")
        if name == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        (out / name).write_text(name)
    return [out / name for name in share]


def wait(out: Path, share: Sequence[str], notice: Callable[[str], None]) -> list[Path]:
    del notice
    (out / share[0]).write_text(str(os.getpid()))
    time.sleep(60)
    return []


def outlive(out: Path, share: Sequence[str], notice: Callable[[str], None]) -> list[Path]:
    """Say who works; the second share says whether the process of the first, which has nothing to do, is gone."""
    del notice
    first, second = out / "first", out / "second"
    if share[0] == first.name:
        first.write_text(str(os.getpid()))
        return [first]
    begun = time.monotonic()
    while not (first.is_file() and first.read_text()) or psutil.pid_exists(int(first.read_text())):
        if time.monotonic() - begun > 30:
            return []
        time.sleep(0.1)
    second.write_text("gone")
    return [second]


def budget(out: Path, share: Sequence[str], notice: Callable[[str], None]) -> list[Path]:
    """Write down which part of the free memory is taken by a process of the run."""
    del notice
    (out / share[0]).write_text(str(part_of_free()))
    return [out / share[0]]
