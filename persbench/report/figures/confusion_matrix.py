"""Who said it: whose answer each system takes for the persona's own."""

from __future__ import annotations

import math
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.patches import Rectangle

from persbench.report.confusion import TASK, TWIN, SystemConfusion, confusions
from persbench.report.figures.entrants import choose
from persbench.report.figures.names import drawn_name
from persbench.report.figures.panels import by_life, grid, life_order, outer
from persbench.report.figures.save import Sketch
from persbench.report.figures.style import titled
from persbench.report.figures.values import Measure, NothingToDrawError, height, number, sentences, span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh

    from persbench.report.figures.entrants import Choice, Entrant
    from persbench.scoring.confusion import Confusion

    Table = np.ndarray[Any, np.dtype[np.float64]]

WHO: Final = Measure(TASK, "persona_acc", "who said")
MOST_LABELS: Final = 48  # more would not be readable at any size
COLUMNS: Final = 3
ASKED: Final = {"anchored": "by log-likelihood per byte, anchored", "letters": "by letter"}
HOW_TO_READ: Final = (
    "Everybody answers the same questions; the system, as the persona of a row, chooses among all answers to one of "
    "them. Framed is its own answer; each row adds up to 1, and ties are shared. Dark beside the frame but within the "
    "persona: the right person at the wrong stage of life. A dark column: one answer that suits everybody. Hatched: "
    "unscored."
)
LEAST_SCALE: Final = 0.5  # of a matrix alone, whose page stands beside those of other systems
DARK: Final = 0.6  # of the scale: from here on numbers are written in white


def draw_confusion(everyone: Sequence[Entrant], baseline: str) -> Sketch:
    """Draw a matrix for each system: rows are whose answer was asked for, columns whose was chosen.

    Raises:
        NothingToDrawError: No system has who-said items, or none of them is scored.
    """
    matrices = {one.label: found for one in everyone if (found := _matrix(one)) is not None}
    having = [one for one in everyone if one.label in matrices]
    if not having:
        raise NothingToDrawError(f"no system has scored items of {TASK}")
    choice = choose(having, lambda one: _right(matrices[one.label].found), WHO.name, baseline, rest="are left out")
    shown = [matrices[one.label] for one in choice.named]
    alone = len(shown) == 1
    labels = by_life({label for one in shown for label in one.found.labels}, life_order(everyone))
    owners = [label for label in labels if any(one.found.n[label] or one.found.unscored[label] for one in shown)]
    tables = [_table(one.found, owners, labels) for one in shown]
    rights = [_right(one.found) for one in shown]
    width, fields = (6.2, 4.3) if alone else (3.0, 2.3)
    figure, panels = grid(len(shown), COLUMNS, width, 0.6 + fields * len(owners) / len(labels))
    highest = max([LEAST_SCALE * alone, *(float(np.nanmax(table)) for table in tables)])
    meshes = [_draw(panel, table, owners, labels, highest) for panel, table in zip(panels, tables, strict=True)]
    for panel, one, right in zip(panels, choice.named, rights, strict=True):
        _name_rows(panel, owners, labels, 7 if alone else min(7.0, 70 / len(labels)))
        panel.set_title("" if alone else f"{one.name}: {number(right)} right", loc="left", fontsize=8)
    if alone and len(labels) <= MOST_LABELS // 2:
        _write_shares(panels[0], tables[0], highest)
    chance = _chance(choice.named, shown)
    bar = figure.colorbar(
        meshes[0], ax=panels, shrink=0.7 if alone else 0.9 / math.ceil(len(shown) / COLUMNS), aspect=25, pad=0.01
    )
    bar.set_label(f"share of the items of a row (blind: {number(chance)})", fontsize=8)
    bar.outline.set_visible(False)
    outer(panels, COLUMNS, "whose answer was chosen", "whose answer\nwas to be found")
    title = _title(choice, rights, chance)
    titled(figure, title)
    told = "; ".join(f"{one.name} {number(right)}" for one, right in zip(choice.named, rights, strict=True))
    alt = f"Confusion matrix of {len(owners)} persona-stages. Own answer chosen, blind {number(chance)}: {told}."
    return Sketch(figure, title, sentences(HOW_TO_READ, choice.rule, _counts(shown)), alt)


def _counts(shown: Sequence[SystemConfusion]) -> str:
    ways = " or ".join(dict.fromkeys(ASKED[one.asked] for one in shown))
    unscored = [sum(one.found.unscored.values()) for one in shown]
    more = f", {span(unscored)} unscored" if any(unscored) else ""
    return f"Choices are {ways}. n: {span(sum(one.found.n.values()) for one in shown)} items a system{more}."


def _chance(named: Sequence[Entrant], shown: Sequence[SystemConfusion]) -> float:
    """Return the share that a blind choice among each item's answers gets right."""
    tasks = [TWIN if one.asked == "letters" else TASK for one in shown]
    return fmean(1 / len(row["labels"]) for one, task in zip(named, tasks, strict=True) for row in one.rows(task))


def _matrix(entrant: Entrant) -> SystemConfusion | None:
    """Return the matrix by likelihood, else by letter; None where nothing is scored."""
    found = {one.asked: one for one in confusions(entrant.cells) if sum(one.found.n.values())}
    return found.get("anchored") or found.get("letters")


def _right(found: Confusion) -> float | None:
    """Return the share of scored items in which the very persona-stage was chosen."""
    n = sum(found.n.values())
    return sum(found.credit.get((own, own), 0.0) for own in found.n) / n if n else None


def _table(found: Confusion, owners: Sequence[str], labels: Sequence[str]) -> Table:
    shares = [[found.share(own, label) for label in labels] for own in owners]
    return np.array([[height(share) for share in row] for row in shares], dtype=np.float64)


def _draw(panel: Axes, table: Table, owners: Sequence[str], labels: Sequence[str], highest: float) -> QuadMesh:
    """Draw a matrix, lines between persons, and a frame around each own answer."""
    panel.grid(visible=False)
    panel.patch.set(hatch="////", facecolor="white", edgecolor="#CCCCCC")  # seen where nothing is scored
    mesh = panel.pcolormesh(
        np.ma.masked_invalid(table), cmap="Blues", vmin=0, vmax=highest, edgecolors="white", linewidth=0.3
    )
    panel.set(aspect="equal", xlim=(0, len(labels)), ylim=(len(owners), 0))
    people = [label.partition("/")[0] for label in labels]
    for place in range(1, len(labels)):
        if people[place] != people[place - 1]:
            panel.axvline(place, color="#999999", linewidth=0.5)
            if labels[place] in owners:
                panel.axhline(owners.index(labels[place]), color="#999999", linewidth=0.5)
    for row, own in enumerate(owners):
        frame = Rectangle((labels.index(own), row), 1, 1, fill=False, edgecolor="black", linewidth=0.9, zorder=3)
        panel.add_patch(frame)
    return mesh


def _name_rows(panel: Axes, owners: Sequence[str], labels: Sequence[str], size: float) -> None:
    """Write whose each row and column is, where there is room for it."""
    if len(labels) > MOST_LABELS:
        panel.set(xticks=[], yticks=[])
        return
    names = {label: drawn_name(label.replace("/", ", "), 20) for label in labels}
    panel.set_xticks(np.arange(len(labels)) + 0.5, [names[label] for label in labels], rotation=90, fontsize=size)
    panel.set_yticks(np.arange(len(owners)) + 0.5, [names[own] for own in owners], fontsize=size)


def _write_shares(panel: Axes, table: Table, highest: float) -> None:
    """Write every share above zero into its field, in percent."""
    for (row, column), share in np.ndenumerate(table):
        if share > 0:
            colour = "white" if share > DARK * highest else "black"
            text = f"{100 * share:.0f}"
            panel.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=colour, fontsize=7)


def _title(choice: Choice, rights: Sequence[float | None], chance: float) -> str:
    scored = [right for right in rights if right is not None]
    if len(choice.named) == 1:
        return (
            f"{choice.named[0].name} finds its own answer in {number(scored[0])} of the items (blind: {number(chance)})"
        )
    drawn = f" by the {len(choice.named)} drawn" if choice.rest else ""
    return f"The own answer is found{drawn} in {span(scored, '.2f')} of the items (blind: {number(chance)})"
