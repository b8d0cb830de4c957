"""Whose voice is it, in log-odds: the authorship classifier between two people, calibrated on texts it did not see.

A distance from a hyperplane has no unit. Platt's sigmoid, fitted on distances of held-out texts, turns it into log-odds
(Platt 1999; Lin, Lin and Weng 2007, doi:10.1007/s10994-007-5018-6), which can be compared from pair to pair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.optimize import minimize

from persbench.errors import PersbenchError
from persbench.scoring.authorship import SEED, AuthorshipClassifier, Row
from persbench.scoring.stats import Interval, cluster_interval

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

FOLDS: Final = 5
LONGEST: Final = 20_000
"""Characters of a text that are looked at: a voice shows long before, and a runaway reply costs no minutes."""


class VoiceOdds:
    """Log-odds of one of two authors over the other.

    Attributes:
        authors: Both, sorted.
        accuracy: How well held-out texts are told apart: mean credit, chance 1/2, clustered by group. Near chance the
            two voices cannot be told apart, and log-odds stay near 0 whoever speaks.
        scale: Log-odds per unit of the classifier's distance; 0 where held-out texts lie on the wrong sides.
        bias: Log-odds of the second author at distance 0; 0 likewise.
    """

    def __init__(self, rows: Iterable[tuple[str, str, str]], *, folds: int = FOLDS, seed: int = SEED) -> None:
        """Fit on authored texts.

        Args:
            rows: (text, author, group) triples; all texts of a group, as a rule the answers to one question, are held
                out together. Texts of both authors on the same groups keep topics from standing in for voices.
            folds: Parts that are held out in turn, at least 2.
            seed: Seed of the solver.

        Raises:
            PersbenchError: Not two authors, or one with texts in fewer than two groups.
            ValueError: `folds` is below 2.
        """
        if folds < 2:  # noqa: PLR2004 - one part cannot be held out of itself
            raise ValueError(f"need at least two folds, not {folds}")
        listed = sorted({Row(row[0][:LONGEST], *row[1:]) for row in rows if row[0].strip()})
        self.authors = tuple(sorted({row.author for row in listed}))
        groups = {name: sorted({row.question for row in listed if row.author == name}) for name in self.authors}
        if len(groups) != 2 or min(map(len, groups.values())) < 2:  # noqa: PLR2004 - two voices, a group to hold out
            found = ", ".join(f"{name} in {len(of)} groups" for name, of in groups.items()) or "no texts"
            raise PersbenchError(f"two voices need texts of two people in two groups each; found {found}.")
        # Groups in turn, so that each part holds groups of both; never more parts than either has groups.
        parts = min(folds, *map(len, groups.values()))
        part = {group: i % parts for of in groups.values() for i, group in enumerate(of)}
        self._classifier = AuthorshipClassifier(
            [Row(row.text, row.author, f"part {part[row.question]}") for row in listed], seed=seed
        )
        held_out = [self._distance(row.text, f"part {part[row.question]}") or 0.0 for row in listed]
        second = [row.author == self.authors[1] for row in listed]
        self.accuracy: Interval = cluster_interval(
            [0.5 if d == 0 else float((d > 0) == is_second) for d, is_second in zip(held_out, second, strict=True)],
            [row.question for row in listed],
        )
        scale, bias = platt(np.array(held_out), np.array(second))
        # A fit that falls with the distance would give every text to the other author: then nothing tells them apart.
        self.scale, self.bias = (scale, bias) if scale > 0 else (0.0, 0.0)

    @property
    def tells(self) -> bool:
        """Whether held-out texts were told apart at all; else all log-odds are 0."""
        return self.scale > 0

    def log_odds(self, text: str, author: str) -> float | None:
        """Log-odds (nats) that `author` rather than the other wrote a text that is none of the rows.

        Returns:
            Above 0 for `author`; None for a blank text.

        Raises:
            ValueError: Not one of the two.
        """
        if author not in self.authors:
            raise ValueError(f"unknown author {author!r}; known: {', '.join(self.authors)}")
        distance = self._distance(text[:LONGEST], "")
        if distance is None:
            return None
        odds = self.scale * distance + self.bias
        return odds if author == self.authors[1] else -odds

    def _distance(self, text: str, held_out: str) -> float | None:
        """Signed distance, above 0 on the second author's side."""
        scores = self._classifier.predict(text, held_out)
        return None if scores is None else scores[self.authors[1]]


def platt(distances: NDArray[np.float64], second: NDArray[np.bool_]) -> tuple[float, float]:
    """Fit log-odds = scale * distance + bias by the likelihood of softened labels.

    The targets are (n + 1) / (n + 2) and 1 / (m + 2), with n and m the counts of the two classes, so that classes that
    are told apart perfectly do not drive the scale to infinity (Platt 1999).

    Args:
        distances: Of held-out texts, shape (texts,).
        second: Whether each is of the class with positive distances, shape (texts,).

    Returns:
        Scale and bias.
    """
    n, m = int(second.sum()), int((~second).sum())
    targets = np.where(second, (n + 1) / (n + 2), 1 / (m + 2))

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        odds = at[0] * distances + at[1]
        beyond = 1 / (1 + np.exp(-np.clip(odds, -500, 500))) - targets
        total = np.logaddexp(0, odds) - targets * odds
        return float(total.sum()), np.array([beyond @ distances, beyond.sum()])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS").x
    return float(found[0]), float(found[1])
