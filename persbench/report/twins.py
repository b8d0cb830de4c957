"""How far choices by likelihood and their twins by letter agree: do they take the same candidate of an item?"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sklearn.metrics import cohen_kappa_score

from persbench.report.corpus import branch_scores
from persbench.scoring.choice import anchor, per_byte_lengths, winners
from persbench.scoring.stats import Interval, cluster_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.report.cells import Cell
    from persbench.samples import Row

TWIN: Final = "_gen"
ORDERS: Final = 2


@dataclass(frozen=True)
class Agreement:
    """One choice task of one system, asked both ways.

    Attributes:
        system: System name.
        task: The likelihood task.
        same: Share of letters that name the candidate which the likelihood takes, with its interval over questions.
        kappa: Cohen's kappa of the two choices; None where either never varies.
        stable: Share of items whose letter is the same in both option orders.
        read: Share of letters that could be read.
    """

    system: str
    task: str
    same: Interval
    kappa: float | None
    stable: float | None
    read: float


def agreements(cells: Sequence[Cell]) -> list[Agreement]:
    """Compare every choice task with its twin where both were run on the same system and persona."""
    pairs: dict[tuple[str, str], list[tuple[Row, Row]]] = defaultdict(list)
    for cell in cells:
        for task, rows in cell.tasks.items():
            twins = {row["id"]: row for row in cell.tasks.get(task + TWIN, [])}
            pairs[cell.system, task] += [(row, twins[row["id"]]) for row in rows if row["id"] in twins]
    return [_agreement(system, task, found) for (system, task), found in sorted(pairs.items()) if found]


def _agreement(system: str, task: str, pairs: list[tuple[Row, Row]]) -> Agreement:
    same: list[float | None] = []
    clusters: list[str] = []
    both: list[tuple[int, int]] = []
    stable: list[bool] = []
    letters: list[int | None] = []
    for row, twin in pairs:
        chosen: list[int | None] = twin["chosen"]
        for number, scores in enumerate(_by_branch(row)):
            won = winners(scores)
            asked = chosen[number * ORDERS : (number + 1) * ORDERS]
            letters += asked
            if all(letter is not None for letter in asked):
                stable.append(len(set(asked)) == 1)
            for letter in asked:
                known = letter is not None and won is not None
                same.append(float(letter in won) / len(won) if known and won else None)
                clusters.append(row["cluster"])
                if known and won and letter is not None:
                    both.append((won[0], letter))
    return Agreement(
        system=system,
        task=task,
        same=cluster_interval(same, clusters),
        kappa=_kappa(both),
        stable=sum(stable) / len(stable) if stable else None,
        read=sum(letter is not None for letter in letters) / len(letters) if letters else 0.0,
    )


def _by_branch(row: Row) -> list[list[float | None]]:
    if "branches" in row:
        return list(branch_scores(row).values())
    raw = per_byte_lengths(row["loglikelihoods"], row["bytes"])
    return [anchor(raw, row.get("anchors") or [None] * len(raw))]


def _kappa(both: list[tuple[int, int]]) -> float | None:
    first, second = [a for a, _ in both], [b for _, b in both]
    if len(set(first)) < 2 and len(set(second)) < 2:  # noqa: PLR2004 - nothing varies
        return None
    return float(cohen_kappa_score(first, second))


def markdown_agreements(found: Sequence[Agreement]) -> str:
    """Write the table as Markdown."""
    lines = [
        "| system | task | same candidate | kappa | same letter's text in both orders | letters read | n |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for one in found:
        low, high = one.same.low, one.same.high
        ends = "" if low is None or high is None else f" [{low:.2f} {high:.2f}]"
        lines.append(
            f"| {one.system} | {one.task} | {_number(one.same.mean)}{ends} | {_number(one.kappa)} "
            f"| {_number(one.stable)} | {one.read:.2f} | {one.same.n} |"
        )
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
