"""Figures on the site: drawn into its folder, over the systems of each base model and for each system alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from persbench.report.figures import FIGURES, draw_all, draw_system
from persbench.report.figures.drawing import OF_A_SYSTEM
from persbench.report.site.safe import clean, slug

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from persbench.report.figures import Drawn
    from persbench.report.site.evaluations import Evaluation

FOLDER = "figures"
SHARED = [name for name in FIGURES if name not in OF_A_SYSTEM]  # the others stand on each system's own page


@dataclass(frozen=True)
class Drawing:
    """A figure of a page.

    Attributes:
        title: What is seen.
        caption: What it shows and how to read it.
        alt: What a reader who cannot see it should know.
        picture: File that is shown, below the site's folder.
        files: All of its files: (ending, path below the site's folder).
        model: Base model of its systems; empty where there is one alone.
    """

    title: str
    caption: str
    alt: str
    picture: str
    files: tuple[tuple[str, str], ...]
    model: str = ""


def drawings_of(
    systems: Sequence[Evaluation], out: Path, begun: Callable[[str], None] = lambda _: None
) -> tuple[list[Drawing], dict[str, list[Drawing]], list[str]]:
    """Draw what the records allow.

    Args:
        systems: Without rules.
        out: The site's folder.
        begun: Is told what is drawn next.

    Returns:
        Figures over all systems, base model by base model; slug of a system -> its own; and what was not drawn of the
        former, with the reason.
    """
    models = sorted({one.model for one in systems})
    several = len(models) > 1
    shared: list[Drawing] = []
    missing: list[str] = []
    for model in models:
        cells = [cell for one in systems if one.model == model for cell in one.cells]
        folder = out / FOLDER / slug(model or "any") if several else out / FOLDER
        drawn, left_out = draw_all(cells, folder, only=SHARED, begun=begun)
        shared += [_drawing(each, out, model if several else "") for each in drawn]
        missing += [clean(f"{model}: {text}" if several else text) for text in left_out]
    own = {}
    for one in systems:
        begun(one.name)
        drawn, _ = draw_system(one.cells, one.system, out / FOLDER / one.slug)
        own[one.slug] = [_drawing(each, out) for each in drawn]
    return shared, own, missing


def _drawing(drawn: Drawn, out: Path, model: str = "") -> Drawing:
    files = tuple((path.suffix[1:], path.relative_to(out).as_posix()) for path in drawn.files)
    picture = next((path for ending, path in files if ending == "svg"), files[0][1])
    return Drawing(clean(drawn.title), clean(drawn.caption), clean(drawn.alt), picture, files, model)
