"""What sorting by program is worth: against labels it was not fitted on, by system, and against the labels' ceiling."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sklearn.metrics import cohen_kappa_score

from persbench.scoring.reply_sorting import LabelledReply, ReplySorter, labelled_replies

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persbench.scoring.overlap import Embedder


@dataclass(frozen=True)
class Agreement:
    """How far two sets of labels agree.

    Attributes:
        n: Replies compared.
        accuracy: Share with equal labels.
        kappa: Cohen's kappa; None where both use one label alone.
    """

    n: int
    accuracy: float
    kappa: float | None


def agreement(first: Sequence[str], second: Sequence[str]) -> Agreement:
    """Compare two sets of labels (Cohen 1960, doi:10.1177/001316446002000104).

    Raises:
        ValueError: They are not equally many, or there are none.
    """
    if not first or len(first) != len(second):
        raise ValueError(f"{len(first)} labels against {len(second)}: two equally long lists are compared")
    alone = len({*first, *second}) == 1
    equal = sum(a == b for a, b in zip(first, second, strict=True)) / len(first)
    return Agreement(len(first), equal, None if alone else float(cohen_kappa_score(list(first), list(second))))


@dataclass(frozen=True)
class Examination:
    """What the classifier is worth, on replies to items it was not fitted on.

    Attributes:
        ceiling: Agreement of the two labelling passes.
        classifier: Of the classifier with the labels.
        by_system: The same, system by system.
        by_kind: The same, kind by kind.
        majority: Share of the commonest label: what a constant answer gets.
        confusion: (label, sorted as) -> replies.
    """

    ceiling: Agreement
    classifier: Agreement
    by_system: dict[str, Agreement]
    by_kind: dict[str, Agreement]
    majority: float
    confusion: dict[tuple[str, str], int]


def examine(embedder: Embedder, labelled: Sequence[LabelledReply] | None = None) -> Examination:
    """Sort the labelled replies, each by a model that saw none to its item, and compare with their labels."""
    rows = labelled_replies() if labelled is None else tuple(labelled)
    said = [str(label) for label in ReplySorter(embedder, rows).sort([row.case for row in rows])]
    true = [row.label for row in rows]

    def within(of: Callable[[LabelledReply], str]) -> dict[str, Agreement]:
        groups = {of(row): [i for i, other in enumerate(rows) if of(other) == of(row)] for row in rows}
        return {
            name: agreement([true[i] for i in places], [said[i] for i in places])
            for name, places in sorted(groups.items())
        }

    return Examination(
        ceiling=agreement([row.passes[0] for row in rows], [row.passes[1] for row in rows]),
        classifier=agreement(true, said),
        by_system=within(lambda row: row.system),
        by_kind=within(lambda row: row.case.kind),
        majority=max(Counter(true).values()) / len(true),
        confusion=dict(Counter(zip(true, said, strict=True))),
    )
