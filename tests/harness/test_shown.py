"""Long work that lm-eval's own bars know nothing of is seen by people, and only by them."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from persbench.harness.asking import shown
from persbench.harness.run import run
from persbench.harness.settings import RunSettings
from persbench.packs.bundled import fake_pack


class Window(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "rank", "told"), [(Window(), 0, True), (Window(), 1, False), (StringIO(), 0, False)]
)
def test_a_bar_is_for_a_terminal_and_the_first_rank(
    monkeypatch: pytest.MonkeyPatch, stream: StringIO, rank: int, told: bool
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    assert list(shown("abc", SimpleNamespace(rank=rank), "Letters")) == ["a", "b", "c"]
    assert ("Letters" in stream.getvalue()) is told


def test_a_run_shows_its_anchors_and_the_turns_of_its_dialogues(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "stderr", window := Window())
    run(
        RunSettings(
            model="fake", pack=fake_pack(), out=tmp_path / "out", backend="persbench-fake", systems=("prompt",),
            tasks=("persbench_consistency",), personas=("ada",), anchors=tmp_path / "anchors", limit=2,
        ),
        lambda _: None,
    )  # fmt: skip
    assert "Turns of 2 live dialogues" in window.getvalue()
    assert "Log-likelihoods of the untuned model, once a machine" in window.getvalue()
