"""All figures that a set of records allows, into a folder; those that it does not allow are named with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from persbench.errors import PersbenchError, UnknownNameError
from persbench.report.figures.confusion_matrix import draw_confusion
from persbench.report.figures.content_voice import draw_content_voice
from persbench.report.figures.drift import draw_drift
from persbench.report.figures.entrants import entrants
from persbench.report.figures.forest import draw_forest
from persbench.report.figures.resistance import draw_resistance
from persbench.report.figures.save import ENDINGS, Drawn, Sketch, save_sketch
from persbench.report.figures.style import styled
from persbench.report.figures.traits import draw_traits
from persbench.report.figures.values import NothingToDrawError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from persbench.report.cells import Cell
    from persbench.report.figures.entrants import Entrant

    Drawer = Callable[[Sequence[Entrant], str], Sketch]

FIGURES: Final[dict[str, Drawer]] = {
    "content-voice": draw_content_voice,
    "forest": draw_forest,
    "confusion": draw_confusion,
    "resistance": draw_resistance,
    "drift": draw_drift,
    "traits": draw_traits,
}
OF_A_SYSTEM: Final = ("confusion", "drift", "traits")
ON_A_PAGE: Final = ("png", "svg")


def _nobody(name: str) -> None:
    """Tell nobody which figure is begun."""


def draw_all(
    cells: Sequence[Cell],
    out: Path,
    *,
    baseline: str = "prompt",
    only: Collection[str] | None = None,
    endings: Sequence[str] = ON_A_PAGE,
    begun: Callable[[str], None] = _nobody,
) -> tuple[list[Drawn], list[str]]:
    """Draw every figure that the records allow.

    Args:
        cells: Any cells; those of one system with other settings stand apart, and sanity rules are left out.
        out: Folder for the files; equal cells give equal files.
        baseline: System that the others are held against.
        only: Names of the figures wanted, of `FIGURES`; None for all.
        endings: Of png, svg and pdf.
        begun: Is told the name of each figure before it is drawn.

    Returns:
        What was drawn, in the order of `FIGURES`; and what was not, as "name: reason".

    Raises:
        UnknownNameError: No such figure, or no such ending.
        PersbenchError: A file cannot be written.
    """
    for kind, names, known in (("figure", only or (), list(FIGURES)), ("file format", endings, list(ENDINGS))):
        for name in names:
            if name not in known:
                raise UnknownNameError(kind, name, known)
    everyone = entrants(cells)
    drawn: list[Drawn] = []
    missing: list[str] = []
    for name, draw in FIGURES.items():
        if only is not None and name not in only:
            continue
        begun(name)
        try:
            with styled():
                drawn.append(save_sketch(draw(everyone, baseline), name, out, endings))
        except NothingToDrawError as error:
            missing.append(f"{name}: {error}")
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            missing.append(f"{name}: its items are not as persbench writes them ({type(error).__name__}: {error})")
    return drawn, missing


def draw_system(
    cells: Sequence[Cell], system: str, out: Path, *, endings: Sequence[str] = ON_A_PAGE
) -> tuple[list[Drawn], list[str]]:
    """Draw what one system is like: whom it takes for the persona, how its stance fares over turns, its traits.

    Args:
        cells: Any cells that hold one setting of the system.
        system: Its name, or the label that `entrants` gives it.
        out: As for `draw_all`.
        endings: As for `draw_all`.

    Returns:
        As `draw_all`.

    Raises:
        UnknownNameError: No such system.
        PersbenchError: It stands there with several settings.
    """
    everyone = entrants(cells)
    found = [one for one in everyone if one.label == system] or [one for one in everyone if one.system == system]
    if not found:
        raise UnknownNameError("system", system, [one.label for one in everyone])
    if len(found) > 1:
        labels = "; ".join(one.label for one in found)
        raise PersbenchError(
            f"{system} stands there with several settings ({labels}): name one, or give its cells alone."
        )
    return draw_all(found[0].cells, out, baseline=system, only=OF_A_SYSTEM, endings=endings)
