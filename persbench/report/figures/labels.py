"""Names beside their points, so that they cover neither each other nor what is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from matplotlib.transforms import Bbox

from persbench.report.figures.style import halo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

DIRECTIONS: Final = ((1, 0), (1, 1), (1, -1), (-1, 0), (-1, 1), (-1, -1), (0, 1), (0, -1))
DISTANCES: Final = (6.0, 13.0, 22.0, 34.0, 48.0)  # points
LINE_FROM: Final = 12.0  # points: from here on a thin line says whose name it is
MARK: Final = 5.0  # points: half a mark's width, with some air
POINTS_AN_INCH: Final = 72.0


def place_names(
    axis: Axes, points: Sequence[tuple[float, float, str, str]], keep_off: Sequence[Bbox] = ()
) -> list[Annotation]:
    """Write a name beside each point where it covers least; the nearest free place wins.

    Args:
        axis: Where the points stand; nothing that changes its layout may come afterwards.
        points: (x, y, name, colour), in data units.
        keep_off: Boxes that should stay free, such as error bars, in data units.

    Returns:
        The names, in the order of the points.
    """
    figure = axis.get_figure(root=True)
    if figure is None:
        raise ValueError("the axes stand in no figure")
    figure.draw_without_rendering()  # fixes the layout that pixels are counted in
    pixels = figure.dpi / POINTS_AN_INCH

    def to_pixels(x: float, y: float) -> tuple[float, float]:
        across, up = axis.transData.transform((x, y))
        return float(across), float(up)

    taken = [Bbox(axis.transData.transform(box.get_points())).padded(pixels) for box in keep_off]  # a line has no area
    taken += [_around(*to_pixels(x, y), MARK * pixels) for x, y, *_ in points]
    taken += [text.get_window_extent() for text in axis.texts]
    inside = axis.get_window_extent()
    names: list[Annotation] = []
    for x, y, name, colour in points:
        text = axis.annotate(
            name,
            (x, y),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=8,
            zorder=6,
            color=colour,
            path_effects=halo(),
        )
        text.set_in_layout(False)
        size = text.get_window_extent()
        places = [
            (_box(*to_pixels(x, y), size, dx, dy, far * pixels), dx, dy, far)
            for far in DISTANCES
            for dx, dy in DIRECTIONS
        ]
        box, dx, dy, far = min(places, key=lambda place: _cost(place[0], place[3], taken, inside))
        text.set(
            position=(dx * far, dy * far),
            ha={1: "left", 0: "center", -1: "right"}[dx],
            va={1: "bottom", 0: "center", -1: "top"}[dy],
        )
        if far >= LINE_FROM:
            axis.annotate(
                "", (x, y), xytext=(dx * far, dy * far), textcoords="offset points", zorder=2,
                arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3},
            ).set_in_layout(False)  # fmt: skip
        taken.append(box)
        names.append(text)
    return names


def _around(x: float, y: float, half: float) -> Bbox:
    return Bbox([[x - half, y - half], [x + half, y + half]])


def _box(x: float, y: float, size: Bbox, dx: int, dy: int, far: float) -> Bbox:
    """Return where a text of a size would stand, in pixels."""
    left = x + dx * far - size.width * (1 - dx) / 2
    bottom = y + dy * far - size.height * (1 - dy) / 2
    return Bbox([[left, bottom], [left + size.width, bottom + size.height]])


def _cost(box: Bbox, far: float, taken: Sequence[Bbox], inside: Bbox) -> float:
    area = box.width * box.height
    covered = sum(_common(box, other) for other in taken)
    outside = area - _common(box, inside)
    return 4 * (covered + outside) / area + far / POINTS_AN_INCH


def _common(one: Bbox, other: Bbox) -> float:
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return float(max(0.0, width) * max(0.0, height))
