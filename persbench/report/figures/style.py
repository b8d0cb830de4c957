"""One style for all figures: colours, marks and fonts that survive print, greyscale and colour blindness."""

from __future__ import annotations

import textwrap
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.patheffects import withStroke

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure
    from matplotlib.patheffects import AbstractPathEffect

# Okabe and Ito's palette, told apart by people with any kind of colour blindness; its yellow is too faint on white.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
AMBER, SKY, BLACK = "#E69F00", "#56B4E9", "#000000"
COLOURS: Final = (BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, BLACK)
# Nine marks and seven colours have no common factor: the pair is another one 63 times. In greyscale the mark tells.
MARKS: Final = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
GREY, PALE, FAINT = "#666666", "#BBBBBB", "#F3F3F3"
LINES: Final = ("-", "--", "-.", ":")
DPI: Final = 150
TITLE_CHARACTERS_AN_INCH: Final = 12.5
DARKENING: Final = 0.7
# matplotlib brings DejaVu Sans along, so that equal records give equal pictures anywhere; the others are asked only for
# scripts that it lacks, and only where they are installed.
FONT: Final = "DejaVu Sans"
WIDER_FONTS: Final = ("Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Zen Hei", "PingFang SC")
STYLE: Final[Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 6,
    "hatch.linewidth": 0.5,
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "svg.hashsalt": "persbench",  # equal data, equal file
}


@dataclass(frozen=True)
class Look:
    """How one system looks in every panel of a figure."""

    colour: str
    mark: str
    line: str


def look(place: int) -> Look:
    """Return the look of the system at a place."""
    return Look(COLOURS[place % len(COLOURS)], MARKS[place % len(MARKS)], LINES[place % len(LINES)])


def darkened(colour: str) -> str:
    """Return a colour dark enough to be read as text."""
    red, green, blue = (round(DARKENING * int(colour[at : at + 2], 16)) for at in (1, 3, 5))
    return f"#{red:02X}{green:02X}{blue:02X}"


def halo() -> list[AbstractPathEffect]:
    """Return the white rim of a text that may stand on lines."""
    return [withStroke(linewidth=2.2, foreground="white", alpha=0.85)]


@cache
def fonts() -> tuple[str, ...]:
    """Return the fonts that text is drawn in: the first that has a glyph draws it."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return (FONT, *(name for name in WIDER_FONTS if name in installed))


@contextmanager
def styled() -> Iterator[None]:
    """Draw and save in the one style, whatever a user's own settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE | {"font.family": list(fonts())})
        yield


def titled(figure: Figure, title: str) -> None:
    """Write a figure's title at its left, in as many lines as it needs."""
    width = int(figure.get_figwidth() * TITLE_CHARACTERS_AN_INCH)
    figure.suptitle(textwrap.fill(title, width), x=0.01, ha="left", fontsize=10, fontweight="bold")
