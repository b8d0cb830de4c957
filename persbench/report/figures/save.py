"""Figures on their way to files: equal figures become equal files, written whole or not at all."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from persbench.records import write_atomic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

ENDINGS: Final = ("png", "svg", "pdf")
# No dates and no versions: they would make equal figures unequal files.
PLAIN: Final[dict[str, dict[str, Any]]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@dataclass(frozen=True)
class Sketch:
    """A figure that is drawn and not yet saved.

    Attributes:
        figure: The figure.
        title: What is seen, in one sentence.
        caption: What it shows, how to read it, and n; plain text.
        alt: What a reader who cannot see it should know; plain text.
    """

    figure: Figure
    title: str
    caption: str
    alt: str


@dataclass(frozen=True)
class Drawn:
    """A figure in its files.

    Attributes:
        name: Name of the figure, as in `FIGURES`.
        title: As of `Sketch`.
        caption: As of `Sketch`.
        alt: As of `Sketch`.
        files: One file an ending, in the order of the endings.
    """

    name: str
    title: str
    caption: str
    alt: str
    files: tuple[Path, ...]


def save_sketch(sketch: Sketch, name: str, out: Path, endings: Sequence[str]) -> Drawn:
    """Write a figure into a folder, one file an ending.

    Raises:
        PersbenchError: A file cannot be written.
    """
    sketch.figure.draw_without_rendering()
    sketch.figure.set_layout_engine("none")  # laid out once, the same for all endings
    files = tuple(write_figure(sketch.figure, out / f"{name}.{ending}") for ending in endings)
    return Drawn(name, sketch.title, sketch.caption, sketch.alt, files)


def write_figure(figure: Figure, path: Path) -> Path:
    """Write a figure in the format that the file's ending names, and return the path.

    Raises:
        PersbenchError: It cannot be written.
    """
    ending = path.suffix[1:]
    held = io.BytesIO()
    figure.savefig(held, format=ending, metadata=PLAIN[ending])
    write_atomic(path, held.getvalue())
    return path
