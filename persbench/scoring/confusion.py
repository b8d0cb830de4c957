"""Who is taken for whom: the confusion matrix of identification among everybody's answers."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from persbench.scoring.choice import winners

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Item = tuple[str, Sequence[str], Sequence[float | None]]


def chosen(labels: Sequence[str], scores: Sequence[float | None]) -> list[str]:
    """Return the labels of the (tied) best candidates; empty when unscored."""
    return [labels[index] for index in winners(scores) or ()]


@dataclass(frozen=True)
class Confusion:
    """Choices by whose answer it was.

    Attributes:
        labels: Every persona-stage, own or candidate, sorted.
        credit: (own, chosen) -> number of items; a tie of k gives 1/k to each.
        n: Scored items of each own label.
        unscored: Items of each own label that lack a score.
    """

    labels: tuple[str, ...]
    credit: dict[tuple[str, str], float]
    n: Counter[str]
    unscored: Counter[str]

    def share(self, own: str, other: str) -> float | None:
        """Return the share of `own`'s scored items in which `other` was chosen; None where there is none."""
        return self.credit.get((own, other), 0.0) / self.n[own] if self.n[own] else None


def confusion(items: Iterable[Item]) -> Confusion:
    """Count which candidates win.

    Args:
        items: (own label, labels of the candidates, their scores), higher is better; None is unscored.

    Raises:
        ValueError: An item's labels and scores differ in number, or it has no candidates.
    """
    credit: defaultdict[tuple[str, str], float] = defaultdict(float)
    n: Counter[str] = Counter()
    unscored: Counter[str] = Counter()
    seen: set[str] = set()
    for own, labels, scores in items:
        if len(labels) != len(scores):
            raise ValueError(f"{len(scores)} scores do not match {len(labels)} labels")
        seen |= {own, *labels}
        taken = chosen(labels, scores)
        (n if taken else unscored)[own] += 1
        for label in taken:
            credit[own, label] += 1 / len(taken)
    return Confusion(tuple(sorted(seen)), dict(credit), n, unscored)
