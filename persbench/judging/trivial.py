"""Judges that read nothing: what a judge must beat before its scores count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from persbench.provenance import digest
from persbench.retrieval import DIGITS, TextMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persbench.judging.authored import AuthoredPair
    from persbench.retrieval import Embedder

TRIVIAL: Final = ("longest", "shortest", "random", "embedding")


def trivial_credits(pairs: Sequence[AuthoredPair], embedder: Embedder) -> dict[str, list[float]]:
    """Let every trivial judge choose within each pair.

    - `longest`, `shortest`: by characters.
    - `random`: by a hash of the pair's id.
    - `embedding`: the text nearer to the reference by cosine; of `induction` the one that is nearer to the prompt
      with a true premise, and farther from the induced one.

    Args:
        pairs: What they choose in.
        embedder: Embeds texts for `embedding`.

    Returns:
        Judge -> one credit a pair: 1 for the right text, 0 for the wrong one, a half where both are alike to it.
    """
    memory = TextMemory(embedder)
    return {
        "longest": [_credit(len(pair.right) - len(pair.wrong)) for pair in pairs],
        "shortest": [_credit(len(pair.wrong) - len(pair.right)) for pair in pairs],
        "random": [float(int(digest([pair.id, "random"], 8), 16) % 2) for pair in pairs],
        "embedding": _nearest(pairs, memory),
    }


def _nearest(pairs: Sequence[AuthoredPair], memory: TextMemory) -> list[float]:
    if not pairs:
        return []

    def similar(texts: Callable[[AuthoredPair], str], to: Callable[[AuthoredPair], str]) -> list[float]:
        products = memory.vectors(list(map(texts, pairs))) * memory.vectors(list(map(to, pairs)))
        return [float(value) for value in products.sum(axis=1)]

    right = similar(lambda pair: pair.right, lambda pair: pair.reference)
    wrong = similar(lambda pair: pair.wrong, lambda pair: pair.reference)
    right_asked = similar(lambda pair: pair.right, lambda pair: pair.question or pair.reference)
    wrong_asked = similar(lambda pair: pair.wrong, lambda pair: pair.question or pair.reference)
    gaps = []
    for i, pair in enumerate(pairs):
        gap = right[i] - wrong[i]
        gap -= right_asked[i] - wrong_asked[i] if pair.family == "induction" else 0.0
        gaps.append(_credit(round(gap, DIGITS)))
    return gaps


def _credit(gap: float) -> float:
    return 0.5 if gap == 0 else float(gap > 0)
