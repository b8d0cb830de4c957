"""A choice among authored candidates by log-likelihood: per byte, anchored, ties shared.

An unscored value is None from end to end. It is never 0 and never a lost choice.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

TIE = 1e-5
"""Scores this close to the best (nats per byte) share the win: batching alone moves a likelihood by about as much."""


def per_byte(loglikelihoods: Sequence[float], texts: Sequence[str]) -> list[float | None]:
    """Log-likelihood of each candidate divided by its length in UTF-8 bytes.

    Bytes, unlike tokens, are the same for every model, and unlike characters they weigh scripts evenly.

    Args:
        loglikelihoods: Sum of log-probabilities of each candidate, in nats, one a text.
        texts: The candidates as authored.

    Returns:
        Nats per byte, one a candidate; None where the log-likelihood is NaN or infinite.

    Raises:
        ValueError: The two differ in length, or a text is empty.
    """
    _require_pairs(len(loglikelihoods), len(texts), "texts")
    return per_byte_lengths(loglikelihoods, [len(text.encode("utf-8")) for text in texts])


def per_byte_lengths(loglikelihoods: Sequence[float | None], lengths: Sequence[int]) -> list[float | None]:
    """Do the same from stored lengths in bytes.

    Raises:
        ValueError: The two differ in length, or a length is 0.
    """
    _require_pairs(len(loglikelihoods), len(lengths), "lengths")
    if 0 in lengths:
        raise ValueError("a candidate is empty: it has no bytes to divide a log-likelihood by")
    return [
        loglikelihood / length if loglikelihood is not None and math.isfinite(loglikelihood) else None
        for loglikelihood, length in zip(loglikelihoods, lengths, strict=True)
    ]


def anchor(scores: Sequence[float | None], anchors: Sequence[float | None]) -> list[float | None]:
    """Scores minus what the same candidates get without a persona (PMI against neutral prompts).

    Args:
        scores: Nats per byte, one a candidate.
        anchors: Mean nats per byte of the same candidates under the neutral prompts of the anchor record.

    Returns:
        The differences; None where either side is unscored.

    Raises:
        ValueError: The two differ in length.
    """
    _require_pairs(len(scores), len(anchors), "anchors")
    return [
        None if score is None or mean is None else score - mean for score, mean in zip(scores, anchors, strict=True)
    ]


def winners(scores: Sequence[float | None]) -> tuple[int, ...] | None:
    """Which candidates win, all within `TIE` of the best.

    Returns:
        Indices in rising order; None if any score is None or not finite, since the missing one might have won.

    Raises:
        ValueError: There are no candidates.
    """
    if not scores:
        raise ValueError("no candidates to choose among")
    complete = _complete(scores)
    if complete is None:
        return None
    best = max(complete)
    return tuple(index for index, score in enumerate(complete) if best - score <= TIE)


def credit(scores: Sequence[float | None], correct: Container[int]) -> float | None:
    """Expected accuracy of a fair draw among the tied winners: with one correct candidate, a tie of k earns 1/k.

    Args:
        scores: One a candidate, higher is better.
        correct: Indices of the candidates that count as right.

    Returns:
        Share of the winners that are correct, 0 to 1; None if unscored (see `winners`).

    Raises:
        ValueError: There are no candidates.
    """
    won = winners(scores)
    return None if won is None else sum(index in correct for index in won) / len(won)


def margin(scores: Sequence[float | None], own: int) -> float | None:
    """By how much the own candidate leads, or trails, the best of the others.

    Args:
        scores: One a candidate, higher is better.
        own: Index of the own candidate.

    Returns:
        Own minus best other, in the scores' unit; None if any score is unscored or there is no other candidate.

    Raises:
        ValueError: `own` is not the index of a candidate.
    """
    if not 0 <= own < len(scores):
        raise ValueError(f"own candidate {own} is not among the {len(scores)} candidates")
    complete = _complete(scores)
    if complete is None or len(complete) == 1:
        return None
    return complete[own] - max(complete[:own] + complete[own + 1 :])


def _require_pairs(scores: int, others: int, what: str) -> None:
    if scores != others:
        raise ValueError(f"{scores} scores do not match {others} {what}: there must be one a candidate")


def _complete(scores: Sequence[float | None]) -> list[float] | None:
    """All scores, or None if one is missing: a NaN that slipped in would make `max` depend on the order."""
    finite = [score for score in scores if score is not None and math.isfinite(score)]
    return finite if len(finite) == len(scores) else None
