"""How a training went: its losses, step by step."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from persbench.errors import PersbenchError
from persbench.report.figures.save import write_figure
from persbench.report.figures.style import BLUE, GREY, ORANGE, styled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SMOOTHING: Final = 8


def plot_losses(source: Path | Sequence[Mapping[str, Any]], path: Path, title: str = "") -> list[Path]:
    """Draw how a training went: the loss of SFT, and loss and preference accuracy of DPO where there was one.

    The thin line is each step, the bold one the mean of the last eight.

    Args:
        source: The losses.csv of a trained folder, or its rows.
        path: Where to, without ending or with any: a PNG and an SVG are written.
        title: Above the figure.

    Returns:
        The files written.

    Raises:
        PersbenchError: There is nothing to draw, or the file cannot be read.
    """
    rows = _rows(source) if isinstance(source, Path) else list(source)
    phases = [name for name in ("sft", "dpo") if any(row["phase"] == name for row in rows)]
    if not phases:
        raise PersbenchError("there are no losses to draw")
    with styled():
        figure = Figure(figsize=(4.2 * (len(phases) + ("dpo" in phases)), 2.8), layout="constrained")
        axes = figure.subplots(1, len(phases) + ("dpo" in phases), squeeze=False)[0]
        for axis, phase in zip(axes, phases, strict=False):
            _line(axis, rows, phase, "loss", BLUE)
            unit = "nats per token" if phase == "sft" else "nats per pair"
            axis.set(title=f"{phase.upper()} loss", xlabel="optimiser step", ylabel=unit)
        if "dpo" in phases:
            _line(axes[-1], rows, "dpo", "preference_accuracy", ORANGE)
            axes[-1].axhline(0.5, color=GREY, linewidth=0.8, linestyle="--")
            axes[-1].set(
                title="DPO: chosen over rejected", xlabel="optimiser step", ylabel="share of pairs", ylim=(0, 1.02)
            )
        if title:
            figure.suptitle(title)
        return [write_figure(figure, path.with_suffix(ending)) for ending in (".png", ".svg")]


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))
    except OSError as error:
        raise PersbenchError(f"{path} cannot be read ({error.strerror}).") from error


def _line(axis: Any, rows: Sequence[Mapping[str, Any]], phase: str, column: str, colour: str) -> None:
    points = [(int(row["step"]), float(row[column])) for row in rows if row["phase"] == phase and row[column] != ""]
    steps, values = [step for step, _ in points], [value for _, value in points]
    means = [sum(part) / len(part) for i in range(len(values)) if (part := values[max(0, i + 1 - SMOOTHING) : i + 1])]
    axis.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axis.plot(steps, values, color=colour, linewidth=0.8, alpha=0.4)
    axis.plot(steps, means, color=colour, linewidth=1.8)
