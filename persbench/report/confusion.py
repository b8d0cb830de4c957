"""The confusion matrix of who said, system by system: whose answer a system takes for the persona's own."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from persbench.scoring.choice import anchor, per_byte_lengths
from persbench.scoring.confusion import Confusion, confusion
from persbench.scoring.sanity import PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.report.cells import Cell
    from persbench.samples import Row

TASK: Final = "persbench_who_said"
TWIN: Final = f"{TASK}_gen"


@dataclass(frozen=True)
class SystemConfusion:
    """One system's matrix over all its personas.

    Attributes:
        system: System name.
        asked: How it was asked: `anchored`, `raw` or `letters`.
        found: The matrix.
    """

    system: str
    asked: str
    found: Confusion


def confusions(cells: Sequence[Cell], *, raw: bool = False) -> list[SystemConfusion]:
    """Return the matrix of every system but the sanity systems, by likelihood and, where it was run, by letter.

    Args:
        cells: Results of one evaluation, one cell a system and persona.
        raw: Take log-likelihoods per byte as they are, without anchors.
    """
    by_system: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for cell in cells:
        if cell.system.startswith(PREFIX):
            continue  # a rule of the surface has no likelihoods
        for task, asked in ((TASK, "raw" if raw else "anchored"), (TWIN, "letters")):
            by_system[cell.system, asked] += cell.tasks.get(task, [])
    return [
        SystemConfusion(system, asked, confusion(_item(row, asked) for row in rows))
        for (system, asked), rows in by_system.items()
        if rows
    ]


def _item(row: Row, asked: str) -> tuple[str, list[str], list[float | None]]:
    labels: list[str] = row["labels"]
    if asked == "letters":
        scores = _of_letters(row["chosen"], len(labels))
    else:
        scores = per_byte_lengths(row["loglikelihoods"], row["bytes"])
        scores = scores if asked == "raw" else anchor(scores, row.get("anchors") or [None] * len(scores))
    return f"{row['persona']}/{row['stage']}", labels, scores


def _of_letters(chosen: Sequence[int | None], width: int) -> list[float | None]:
    """Return how often each candidate was chosen over the option orders; unscored if a letter could not be read."""
    if not chosen or None in chosen:
        return [None] * width
    return [float(chosen.count(index)) for index in range(width)]


def markdown_confusions(found: Sequence[SystemConfusion]) -> str:
    """Write each matrix as a Markdown table: rows are whose answer it was, columns whose was chosen, in percent."""
    return "\n".join(f"**{one.system}**, {one.asked}\n\n{_table(one.found)}" for one in found)


def _table(found: Confusion) -> str:
    own = [label for label in found.labels if found.n[label] or found.unscored[label]]
    lines = [
        f"| chosen (%) | {' | '.join(found.labels)} | n | unscored |",
        f"|---|{'---:|' * (len(found.labels) + 2)}",
    ]
    for label in own:
        cells = [_percent(found.share(label, other), own=label == other) for other in found.labels]
        lines.append(f"| {label} | {' | '.join(cells)} | {found.n[label]} | {found.unscored[label]} |")
    return "\n".join(lines) + "\n"


def _percent(share: float | None, *, own: bool) -> str:
    """Write a share; the diagonal stands out, and nothing stands where nothing was chosen."""
    if share is None:
        return "-"
    if not share and not own:
        return ""
    return f"**{100 * share:.0f}**" if own else f"{100 * share:.0f}"
