"""Resistance against over-resistance: who tells an induction from a prompt whose premise is true."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.figure import Figure

from persbench.report.corpus import STATISTICS
from persbench.report.figures.entrants import choose
from persbench.report.figures.plane import draw_points, name_points, name_regions, placed
from persbench.report.figures.save import Sketch
from persbench.report.figures.style import GREY, PALE, titled
from persbench.report.figures.values import Measure, counted, how_many, number, sentences, with_ends

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from persbench.report.figures.entrants import Choice, Entrant
    from persbench.scoring.stats import Interval

TASK: Final = "persbench_induction"
HIT: Final = Measure(TASK, "resistance", "resistance")
FALSE_ALARM: Final = Measure(TASK, "over_resistance", "over-resistance")
HEADLINE: Final = Measure(TASK, "discrimination", "discrimination")
NAMED_AT: Final = {1.0: 0.9, 2.0: 0.88, 3.0: 0.85}  # sensitivity -> height at which its curve is named
AIR: Final = 0.03
ALONG: Final = [step / 100 for step in range(101)]  # where names keep off the diagonal
HOW_TO_READ: Final = (
    "Each mark is a system over all its personas, with 95% intervals both ways (bootstrap over items). Upwards: it "
    "prefers the replies that contradict an induction prompt. To the right: it prefers them under the control too, "
    "the same prompt with a true premise. On the dashed diagonal (d' = 0, chance) it cannot tell the two apart, "
    "however much it contradicts; along a grey curve it tells them apart equally well."
)


def draw_resistance(everyone: Sequence[Entrant], baseline: str) -> Sketch:
    """Draw how often each system contradicts an induction, against how often it contradicts what is true.

    Raises:
        NothingToDrawError: No system has scored items of the induction task.
    """
    having = placed(everyone, FALSE_ALARM, HIT)
    choice = choose(having, HEADLINE.mean, HEADLINE.name, baseline)
    figure = Figure(figsize=(5.6, 5.7), layout="constrained")
    axis = figure.subplots()
    axis.set(xlim=(-AIR, 1 + AIR), ylim=(-AIR, 1 + AIR), aspect="equal")
    _lines_of_equal_sensitivity(axis)
    places = draw_points(axis, choice, FALSE_ALARM, HIT)
    axis.set_xlabel("over-resistance: share of true controls that are contradicted")
    axis.set_ylabel("resistance: share of inductions that are contradicted")
    name_regions(
        axis,
        "stays itself:\ncontradicts inductions alone",
        "contradicts\neverything",
        "goes along\nwith everything",
        "turned round:\ncontradicts what is true alone",
        boxed=True,
    )
    sensitivity = [STATISTICS["d_prime"](HIT.rows(one)) for one in choice.named]
    title = _title(choice, sensitivity)
    titled(figure, title)
    name_points(axis, choice, places, [(step, step) for step in ALONG])
    counts = counted([up for _, up in places], clusters="clusters")
    told = "; ".join(
        f"{one.name}: resistance {with_ends(up)}, over-resistance {with_ends(across)}, d' {with_ends(found)}"
        for one, (across, up), found in zip(choice.named, places, sensitivity, strict=True)
    )
    alt = (
        f"Scatter plot of resistance to inductions against over-resistance to true controls; diagonal: chance. {told}."
    )
    return Sketch(figure, title, sentences(HOW_TO_READ, choice.rule, counts), alt)


def _title(choice: Choice, sensitivity: Sequence[Interval]) -> str:
    above = sum(found.low is not None and found.low > 0 for found in sensitivity)
    if len(choice.named) == 1:
        return f"{choice.named[0].name}: d' {with_ends(sensitivity[0])} between inductions and true twins"
    those = how_many(above, len(choice.named), named=bool(choice.rest))
    return f"Tell an induction from its true twin (d' above 0): {those}"


def _lines_of_equal_sensitivity(axis: Axes) -> None:
    """Draw hit against false-alarm rates of an observer of equal variances: z(hit) = d' + z(false alarm)."""
    normal = NormalDist()
    rates = np.linspace(0.0005, 0.9995, 400)
    axis.plot([0, 1], [0, 1], color=GREY, linewidth=0.9, linestyle="--", zorder=1, label="_d'=0")
    axis.text(
        0.8,
        0.785,
        "d' = 0 (chance)",
        color=GREY,
        fontsize=7,
        rotation=45,
        ha="center",
        va="top",
        rotation_mode="anchor",
    )
    for sensitivity in NAMED_AT:
        hits = [normal.cdf(sensitivity + normal.inv_cdf(rate)) for rate in rates]
        axis.plot(rates, hits, color=PALE, linewidth=0.8, zorder=1, label=f"_d'={sensitivity:.0f}")
        hit = NAMED_AT[sensitivity]
        axis.text(
            normal.cdf(normal.inv_cdf(hit) - sensitivity), hit, f"d' = {number(sensitivity, '.0f')}",
            color=GREY, fontsize=7, ha="center", va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )  # fmt: skip
