from __future__ import annotations

from pathlib import Path

import pytest

from persbench.errors import PersbenchError
from persbench.report.figures import plot_losses

CSV = """step,phase,loss,preference_accuracy
1,sft,3.0,
2,sft,2.5,
1,dpo,0.69,0.5
2,dpo,0.5,1.0
"""


def test_losses_are_drawn_as_png_and_svg_and_the_same_each_time(tmp_path: Path) -> None:
    source = tmp_path / "losses.csv"
    source.write_text(CSV)
    files = plot_losses(source, tmp_path / "losses", "ada, persllm")
    assert [path.name for path in files] == ["losses.png", "losses.svg"]
    first = [path.read_bytes() for path in files]
    for title in ("SFT loss", "DPO loss", "DPO: chosen over rejected", "ada, persllm"):
        assert f"<!-- {title} -->" in first[1].decode()
    assert [path.read_bytes() for path in plot_losses(source, tmp_path / "losses", "ada, persllm")] == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["losses.csv", "losses.png", "losses.svg"]


def test_sft_alone_is_one_picture(tmp_path: Path) -> None:
    rows = [{"step": i, "phase": "sft", "loss": 3.0 - i / 10, "preference_accuracy": ""} for i in range(1, 20)]
    text = plot_losses(rows, tmp_path / "losses")[1].read_text()
    assert "SFT loss" in text
    assert "DPO" not in text


def test_nothing_to_draw_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PersbenchError, match="no losses to draw"):
        plot_losses([], tmp_path / "x")
    with pytest.raises(PersbenchError, match="cannot be read"):
        plot_losses(tmp_path / "none.csv", tmp_path / "x")
