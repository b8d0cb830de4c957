"""A forest of paired differences: every system against the baseline, headline by headline."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from matplotlib.ticker import MaxNLocator

from persbench.report.board import columns
from persbench.report.compare import Comparison, comparisons
from persbench.report.figures.entrants import choose
from persbench.report.figures.names import drawn_name
from persbench.report.figures.panels import grid, outer
from persbench.report.figures.save import Sketch
from persbench.report.figures.style import BLUE, GREY, ORANGE, titled
from persbench.report.figures.values import Measure, NothingToDrawError, number, sentences, span, with_ends

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from persbench.report.figures.entrants import Entrant

CONTENT: Final = Measure("persbench_costume", "content_acc", "content accuracy")
TABLE: Final = "board"
MOST_ROWS: Final = 40
FEW: Final = 4  # up to so many systems have a panel each; more stand in the rows of a panel for each metric
ALPHA: Final = 0.05
MOST_TOLD: Final = 12  # differences that the alternative text spells out
WIDTHS: Final = {1: 4.8, 2: 3.2, 3: 2.6, 4: 2.4}  # inches of a panel, by how many stand side by side
HOW_TO_READ: Final = (
    "Each line is a system minus the baseline on the same items, with its 95% interval (bootstrap over questions). "
    "Full marks: p < 0.05 in a paired permutation test, adjusted by Holm over all comparisons with one baseline; "
    "hollow: not. Blue circles are better than the baseline and orange squares worse where the interval excludes 0. "
    "At the right, the personas whose own difference has the same sign."
)


def paired(everyone: Sequence[Entrant], baseline: str) -> tuple[dict[tuple[str, str], Comparison], list[Entrant]]:
    """Compare every entrant with the baseline of its model on its pack.

    Returns:
        (label, metric) -> comparison, with p adjusted over all comparisons with one baseline; and who has a baseline,
        in the order of the board.
    """
    rivals: dict[str, list[Entrant]] = {}
    bases = [one for one in everyone if one.system == baseline]
    by_label = {one.label: one for one in everyone}
    for one in everyone:
        if one.system != baseline and (base := _base_of(one, bases)) is not None:
            rivals.setdefault(base.label, []).append(one)
    found: dict[tuple[str, str], Comparison] = {}
    for label, others in rivals.items():
        cells = [replace(cell, system=one.label) for one in (by_label[label], *others) for cell in one.cells]
        found |= {(one.system, one.column.metric): one for one in comparisons(cells, label, tables=(TABLE,))}
    return found, [one for one in everyone if any(label == one.label for label, _ in found)]


def _base_of(entrant: Entrant, bases: Sequence[Entrant]) -> Entrant | None:
    """Return the baseline of the same model and pack whose other facts agree most; None where there is none."""
    own = entrant.cells[0].signature

    def agreeing(base: Entrant) -> int:
        return sum(base.cells[0].signature.get(key) == value for key, value in own.items())

    same = [
        base for base in bases if all(base.cells[0].signature.get(key) == own.get(key) for key in ("model", "pack"))
    ]
    return max(same, key=agreeing, default=None)


def draw_forest(everyone: Sequence[Entrant], baseline: str) -> Sketch:
    """Draw the paired differences from the baseline with their intervals.

    Raises:
        NothingToDrawError: No system shares items with a baseline of its model.
    """
    found, having = paired(everyone, baseline)
    if not having:
        raise NothingToDrawError(f"no other system shares items with {baseline} on the same model and pack")
    choice = choose(having, CONTENT.mean, CONTENT.name, baseline, most=MOST_ROWS, rest="are left out")
    metrics = [column for column in columns(TABLE) if any((one.label, column.metric) in found for one in choice.named)]
    systems = [(one.label, one.name) for one in choice.named]
    measures = [(column.metric, column.name + (" (less is better)" if column.cost else "")) for column in metrics]
    few = len(systems) <= FEW
    panelled, rows = (systems, measures) if few else (measures, systems)
    across = min(len(panelled), max(WIDTHS))
    figure, panels = grid(len(panelled), across, WIDTHS[across], 0.75 + 0.24 * len(rows))
    for panel, (key, name) in zip(panels, panelled, strict=True):
        _draw(panel, [found.get((key, row) if few else (row, key)) for row, _ in rows])
        panel.set_yticks(range(len(rows)), [row for _, row in rows])
        panel.set_ylim(len(rows) - 0.5, -0.5)
        panel.set_title(name, loc="left", fontsize=9)
    against = drawn_name(baseline)
    outer(panels, across, f"difference from {against}\n(share of items)", "")
    shown = [found[label, metric] for metric, _ in measures for label, _ in systems if (label, metric) in found]
    clear = [one for one in shown if _stands(one)]
    title = f"{len(clear) or 'None'} of {len(shown)} differences from {against} stand after correction"
    titled(figure, title)
    names = dict(systems)
    told = "; ".join(
        f"{names[one.system]} {one.column.name} {with_ends(one.found.interval, '+.2f')}" for one in clear[:MOST_TOLD]
    )
    more = f"; and {len(clear) - MOST_TOLD} more" if len(clear) > MOST_TOLD else ""
    alt = f"Forest plot of {len(shown)} paired differences from {against}. Those that stand: {told or 'none'}{more}."
    return Sketch(figure, title, sentences(HOW_TO_READ, choice.rule, _counts(shown)), alt)


def _counts(shown: Sequence[Comparison]) -> str:
    unscored = sum(one.found.interval.unscored for one in shown)
    smallest = [one.detectable.difference for one in shown if one.detectable.difference is not None]
    told = f"n: {span(one.found.interval.n for one in shown)} items a line"
    told += f", {unscored:,} pairs unscored in all" if unscored else ""
    told += f"; differences of {span(smallest, '.2f')} would have been found with probability 0.8" if smallest else ""
    return f"{told}."


def _stands(one: Comparison) -> bool:
    return one.p_adjusted is not None and one.p_adjusted < ALPHA


def _draw(panel: Axes, lines: Sequence[Comparison | None]) -> None:
    panel.axvline(0, color=GREY, linewidth=0.9, zorder=1)
    panel.grid(visible=False, axis="y")
    panel.text(1.01, 1.01, "sign", transform=panel.transAxes, fontsize=7, color=GREY, va="bottom")
    for place, one in enumerate(lines):
        if one is None or one.found.interval.mean is None:
            told = "not measured" if one is None else "unscored"
            across, white = panel.get_yaxis_transform(), {"facecolor": "white", "edgecolor": "none", "pad": 1}
            panel.text(0.03, place, told, transform=across, va="center", fontsize=7, color=GREY, bbox=white)
        else:
            _draw_line(panel, place, one, one.found.interval.mean)
    panel.xaxis.set_major_locator(MaxNLocator(nbins=4))
    panel.xaxis.set_major_formatter(lambda value, _: number(value, "+.2f").removesuffix("0") if value else "0")


def _draw_line(panel: Axes, place: int, one: Comparison, mean: float) -> None:
    """Draw one difference: circles are better or undecided, squares worse, so that greyscale tells them apart too."""
    interval, colour = one.found.interval, GREY
    if interval.low is not None and interval.high is not None:
        if interval.low > 0 or interval.high < 0:
            colour = ORANGE if (mean < 0) != one.column.cost else BLUE
        panel.plot([interval.low, interval.high], [place, place], color=colour, linewidth=1.3, zorder=2)
    mark, face = "s" if colour == ORANGE else "o", colour if _stands(one) else "white"
    panel.plot([mean], [place], mark, color=colour, markerfacecolor=face, markersize=5.5, zorder=3)
    signs = one.signs.text.partition(" ")[0]
    panel.text(1.01, place, signs, transform=panel.get_yaxis_transform(), va="center", fontsize=7, color=GREY)
