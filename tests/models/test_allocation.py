from __future__ import annotations

import subprocess
import sys

import pytest

from persbench.models import allocation

BLOCKS = """
import resource, torch
from persbench.models.allocation import keep_freed_memory
kept = keep_freed_memory() if {keep} else None
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(2**24)  # 64 MB: more than glibc keeps by itself
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(kept, faults())
"""


def run(*, keep: bool) -> tuple[str, int]:
    done = subprocess.run([sys.executable, "-c", BLOCKS.format(keep=keep)], check=True, capture_output=True, text=True)
    kept, count = done.stdout.split()
    return kept, int(count)


def test_freed_memory_is_used_again_without_a_page_fault() -> None:
    kept, faults = run(keep=True)
    if kept == "False":
        pytest.skip("this allocator is not glibc's")
    assert faults < 100
    assert run(keep=False)[1] > 100 * max(faults, 1)


def test_another_allocator_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bare:
        pass

    monkeypatch.setattr("ctypes.CDLL", lambda _: Bare())
    assert allocation.keep_freed_memory() is False
