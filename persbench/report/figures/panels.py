"""Small multiples: a panel for each system or persona, and in which order persona-stages come."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes

    from persbench.report.figures.entrants import Entrant

STAGES: Final = "persbench_stages"


def grid(number: int, columns: int, width: float, height: float, *, share: bool = True) -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel each, row by row; what is left of the last row stays empty.

    Args:
        number: How many panels.
        columns: How many stand side by side, at most.
        width: Of a panel, in inches.
        height: Of a panel, in inches.
        share: Whether all panels have the same axes, written at the outer ones alone.
    """
    across = min(number, columns)
    down = math.ceil(number / across)
    figure = Figure(figsize=(max(4.2, across * width), down * height + 0.5), layout="constrained")
    panels = list(figure.subplots(down, across, squeeze=False, sharex=share, sharey=share).flat)
    for place, panel in enumerate(panels):
        if place >= number:
            panel.set_visible(False)
        elif share and place + across < number:
            panel.tick_params(bottom=False)  # no names stand there, and the title of the next panel does
        elif share:
            panel.tick_params(labelbottom=True)
            # Where the row below is left empty, names may stand in it instead of pushing it down.
            panel.xaxis.set_in_layout(place // across == down - 1)
    return figure, panels[:number]


def life_order(everyone: Iterable[Entrant]) -> dict[str, int]:
    """Return stage id -> its place in life.

    An item of the stages task is asked under every stage in turn, and so tells their order; where no such item is
    there, nothing does.
    """
    found: list[str] = []
    for one in everyone:
        for row in one.rows(STAGES):
            labels = [str(branch["label"]) for branch in row.get("branches", ())]
            found = labels if len(labels) > len(found) else found
    return {label: place for place, label in enumerate(found)}


def by_life(labels: Iterable[str], places: dict[str, int]) -> list[str]:
    """Sort persona/stage labels by persona, and each persona's by life; stages of unknown place come last, by name."""

    def key(label: str) -> tuple[str, int, str]:
        persona, _, stage = label.partition("/")
        return persona, places.get(stage, len(places)), stage

    return sorted(labels, key=key)


def outer(panels: Sequence[Axes], columns: int, x: str, y: str) -> None:
    """Write the axis labels at the outer panels alone."""
    for place, panel in enumerate(panels):
        if place % columns == 0:
            panel.set_ylabel(y)
        if place + columns >= len(panels):
            panel.set_xlabel(x)
