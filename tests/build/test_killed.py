"""A build that is killed at any moment goes on where it was, and ends with the very pack of an unbroken one."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from author import Author, author
from small_build import content, inputs, run, small, small_world

from persbench.models.chat import Message
from persbench.records import write_atomic

WHILE_ASKING, WHILE_WRITING = 14, 6


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying_at(number: int, delay: float, act: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function be the last one of its process when it is called so often, give or take a moment."""
    calls = 0

    def acted(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            threading.Timer(delay, die).start()
        return act(*arguments)

    return acted


def test_killed_at_twenty_moments_the_pack_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = small()
    given = inputs(chosen, small_world(tmp_path / "world"))
    run(tmp_path / "whole", chosen, given, unbroken := Author())
    wanted, all_calls = content(tmp_path / "whole"), len(unbroken.asked)
    out, cache = tmp_path / "pack", tmp_path / "calls"
    draw, fork = random.Random(3), multiprocessing.get_context("fork")

    def killed_build(write: Callable[[Sequence[Message]], str]) -> None:
        process = fork.Process(target=run, args=(out, chosen, given, Author(write, workers=2), cache))
        process.start()
        process.join(300)
        assert process.exitcode == -signal.SIGKILL
        assert not out.exists()

    most = all_calls // (2 * WHILE_ASKING)
    for _ in range(WHILE_ASKING):
        killed_build(dying_at(draw.randint(1, most), draw.random() * 0.002, author))
    run(tmp_path / "other", chosen, given, between := Author(), cache)  # the rest of the answers
    assert 0 < len(between.asked) < all_calls
    with monkeypatch.context() as patch:
        for _ in range(WHILE_WRITING):
            dying = dying_at(draw.randint(1, 20), 0.0, write_atomic)
            patch.setattr("persbench.build.pack_files.write_atomic", dying)
            killed_build(author)
            patch.undo()
    run(out, chosen, given, again := Author(), cache)
    assert again.asked == []
    assert content(out) == content(tmp_path / "other") == wanted
    assert not list(tmp_path.glob(".*.part"))
