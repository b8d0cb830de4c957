"""Systems as points in a plane of two shares, with intervals both ways: what two of the figures have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from matplotlib.transforms import Bbox

from persbench.report.figures.labels import place_names
from persbench.report.figures.style import GREY, PALE, darkened, look
from persbench.report.figures.values import NothingToDrawError, height

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from persbench.report.figures.entrants import Choice, Entrant
    from persbench.report.figures.values import Measure
    from persbench.scoring.stats import Interval

    Place = tuple[Interval, Interval]

CORNER: Final = 0.025  # of an axis: how far from it a region's name stands


def placed(everyone: Sequence[Entrant], x: Measure, y: Measure) -> list[Entrant]:
    """Return who has a place in the plane.

    Raises:
        NothingToDrawError: Nobody has.
    """
    having = [one for one in everyone if x.mean(one) is not None and y.mean(one) is not None]
    if not having:
        raise NothingToDrawError(f"no system has scored items of {x.task}")
    return having


def draw_points(axis: Axes, choice: Choice, x: Measure, y: Measure) -> list[Place]:
    """Draw the rest as grey dots, and each named system as a mark with both intervals and its name.

    Returns:
        (x, y) of each named system with its intervals.
    """
    if choice.rest:
        rest = [(x.mean(one), y.mean(one)) for one in choice.rest]
        axis.plot(*zip(*rest, strict=True), "o", color=PALE, markersize=3, zorder=3, label="_rest")
    places = [(x.interval(one), y.interval(one)) for one in choice.named]
    for number, (one, (across, up)) in enumerate(zip(choice.named, places, strict=True)):
        style = look(number)
        axis.errorbar(
            [height(across.mean)], [height(up.mean)], xerr=_arms(across), yerr=_arms(up), fmt=style.mark,
            color=style.colour, markeredgecolor="white", markeredgewidth=0.6, elinewidth=0.9, zorder=4, label=one.name,
        )  # fmt: skip
    return places


def name_points(axis: Axes, choice: Choice, places: Sequence[Place], lines: Sequence[tuple[float, float]] = ()) -> None:
    """Write the names of the named, once the axes are as they will be, off the error bars and off points of lines."""
    bars = [Bbox([point, point]) for point in lines]
    for across, up in places:
        x, y = height(across.mean), height(up.mean)
        bars.append(
            Bbox([[x if across.low is None else across.low, y], [x if across.high is None else across.high, y]])
        )
        bars.append(Bbox([[x, y if up.low is None else up.low], [x, y if up.high is None else up.high]]))
    points = [
        (height(across.mean), height(up.mean), one.name, darkened(look(number).colour))
        for number, (one, (across, up)) in enumerate(zip(choice.named, places, strict=True))
    ]
    place_names(axis, points, bars)


def name_regions(
    axis: Axes, top_left: str, top_right: str, bottom_left: str, bottom_right: str, *, boxed: bool = False
) -> None:
    """Write into each corner of the plane, in words, what it means to stand there; boxed where lines run behind."""
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.8} if boxed else None
    for text, right, top in (
        (top_left, False, True), (top_right, True, True), (bottom_left, False, False), (bottom_right, True, False),
    ):  # fmt: skip
        axis.text(
            1 - CORNER if right else CORNER, 1 - CORNER if top else CORNER, text, transform=axis.transAxes,
            ha="right" if right else "left", va="top" if top else "bottom", color=GREY, fontsize=8, style="italic",
            bbox=box,
        )  # fmt: skip


def _arms(found: Interval) -> list[list[float]] | None:
    """Return the lengths of both arms; none where nothing tells the spread."""
    if found.mean is None or found.low is None or found.high is None:
        return None
    return [[max(0.0, found.mean - found.low)], [max(0.0, found.high - found.mean)]]
