"""How far a reply resembles authored references: BLEU, chrF, ROUGE-L, embedding cosine, and how varied it is.

One number against one gold says little, since any reply in the right setting shares words with it. What counts is
`lift` (own gold minus the mean of the other golds of the same question) and `nearest_credit`
(is the own gold the nearest).
"""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Protocol

import numpy as np
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from persbench.scoring.choice import credit
from persbench.scoring.words import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

UNIT_TOLERANCE = 1e-3
"""How far an embedding's length may be from 1: room for half precision, none for a forgotten normalisation."""


class Embedder(Protocol):
    """Anything that turns texts into unit vectors."""

    def encode(self, texts: list[str], /) -> NDArray[np.float32]:
        """Embed texts.

        Args:
            texts: n texts, none blank.

        Returns:
            Array of shape (n, d), each row of length 1.
        """
        ...


class _UnicodeWords:
    """ROUGE's own tokenizer splits words at every accent; this one agrees with it on ASCII without apostrophes."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)


_BLEU = BLEU(effective_order=True)
_CHRF = CHRF()
_ROUGE = RougeScorer(["rougeL"], tokenizer=_UnicodeWords())


def overlaps(reply: str, references: Sequence[str]) -> dict[str, list[float]]:
    """Surface overlap of a reply with each reference by itself.

    Sources: sentence BLEU with effective order and exponential smoothing, and chrF2 (sacrebleu's defaults);
    F1 of the longest common subsequence of words (rouge-score's rougeL, no stemming, words of any script).

    Args:
        reply: What the system said. A blank reply shares nothing, so its overlaps are 0; whether it is unscored is the
            caller's to say.
        references: Authored replies, n of them.

    Returns:
        "bleu", "chrf" and "rouge_l", each a list of n numbers from 0 to 100.

    Raises:
        ValueError: There is no reference, or one is blank.
    """
    _require_texts(references)
    return {
        # sacrebleu's floats may pass 100 by a rounding error
        "bleu": [min(100.0, _BLEU.sentence_score(reply, [reference]).score) for reference in references],
        "chrf": [min(100.0, _CHRF.sentence_score(reply, [reference]).score) for reference in references],
        "rouge_l": [100.0 * float(_ROUGE.score(reference, reply)["rougeL"].fmeasure) for reference in references],
    }


def cosines(embedder: Embedder, reply: str, references: Sequence[str]) -> list[float] | None:
    """Cosine of the reply's embedding with each reference's.

    Args:
        embedder: Gives unit rows.
        reply: What the system said.
        references: Authored replies, n of them.

    Returns:
        n numbers from -1 to 1; None for a blank reply, whose embedding means nothing.

    Raises:
        ValueError: There is no reference, one is blank, or the embedder gave rows of another number or length.
    """
    _require_texts(references)
    if not reply.strip():
        return None
    rows = np.asarray(embedder.encode([reply, *references]), dtype=np.float64)
    if rows.ndim != 2 or len(rows) != 1 + len(references):  # noqa: PLR2004 - a matrix
        raise ValueError(f"the embedder gave an array of shape {rows.shape} for {1 + len(references)} texts")
    lengths = np.linalg.norm(rows, axis=1)
    if not np.allclose(lengths, 1.0, rtol=0.0, atol=UNIT_TOLERANCE):
        raise ValueError(f"the embedder's rows must have length 1; found {lengths.min():.4f} to {lengths.max():.4f}")
    return [float(cosine) for cosine in np.clip(rows[1:] @ rows[0], -1.0, 1.0)]


def lift(scores: Sequence[float], own: int) -> float | None:
    """Resemblance to the own gold beyond the mean resemblance to the others.

    Args:
        scores: One a reference, in any unit.
        own: Index of the own gold.

    Returns:
        Own minus mean of the others, in the scores' unit; None if there are no others.

    Raises:
        ValueError: `own` is not the index of a score.
    """
    _require_index(scores, own)
    others = [*scores[:own], *scores[own + 1 :]]
    return scores[own] - fmean(others) if others else None


def nearest_credit(scores: Sequence[float], own: int) -> float | None:
    """Whether the own gold is the nearest; a tie among k (within `choice.TIE`) that holds it earns 1/k.

    A blank reply resembles all alike and so earns chance, 1/n.

    Args:
        scores: One a reference, higher is nearer.
        own: Index of the own gold.

    Returns:
        0 to 1; None if a score is not finite.

    Raises:
        ValueError: `own` is not the index of a score.
    """
    _require_index(scores, own)
    return credit(scores, (own,))


def distinct_n(texts: str | Sequence[str], n: int = 2) -> float | None:
    """Share of different word n-grams among all, pooled over texts (Li et al. 2016, arXiv:1510.03055).

    It falls as texts grow longer: compare systems at like length only.

    Args:
        texts: One text or several; no n-gram spans two of them.
        n: Words in an n-gram, 1 or more.

    Returns:
        Above 0, at most 1; None where no text has n words.

    Raises:
        ValueError: n is below 1.
    """
    if n < 1:
        raise ValueError(f"an n-gram has at least one word, not {n}")
    grams: list[tuple[str, ...]] = []
    for text in [texts] if isinstance(texts, str) else texts:
        tokens = words(text)
        grams.extend(zip(*(tokens[start:] for start in range(n)), strict=False))
    return len(set(grams)) / len(grams) if grams else None


def length_words(text: str) -> int:
    """Number of words; 0 for a blank text, which is a length and not a gap."""
    return len(words(text))


def _require_texts(references: Sequence[str]) -> None:
    if not references or not all(reference.strip() for reference in references):
        raise ValueError("overlap needs at least one reference, and none of them blank")


def _require_index(scores: Sequence[float], own: int) -> None:
    if not 0 <= own < len(scores):
        raise ValueError(f"own gold {own} is not among the {len(scores)} references")
