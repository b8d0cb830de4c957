"""SmolLM2 as a judge under examination: it answers, is scored by the rules, and does not qualify."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from word_embedder import WordEmbedder

from persbench.judging.judge import load_judge
from persbench.judging.qualify import ExamSettings, qualify
from persbench.models.fetch import fetch_model
from persbench.packs.bundled import fake_pack
from persbench.packs.load import load_pack


@pytest.mark.slow
@pytest.mark.model
def test_a_small_real_model_does_not_qualify(tmp_path: Path) -> None:
    def silent(_: str, __: int) -> Any:
        return nullcontext(lambda _: None)

    judge = load_judge(f"local:{fetch_model()}", cache=tmp_path / "calls.sqlite")
    settings = ExamSettings(kinds=("resist",), limit=2, repeat=0)
    found = qualify(judge, load_pack(fake_pack()), WordEmbedder(), settings, silent)
    (exam,) = found.exams
    assert exam.verdicts == 4
    assert exam.accuracy.n + exam.accuracy.unscored == 2
    assert not found.standing("resist").qualified
    assert found.tokens > 400
    assert "by:local:" in found.signature
