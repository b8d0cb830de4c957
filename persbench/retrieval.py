"""Finding the texts nearest to a query by sentence vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

DIGITS = 5
"""Similarities that agree to so many digits are a tie: the rest depends on the machine and on the batch."""


class Embedder(Protocol):
    """Turns texts into unit vectors."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the vectors would."""
        ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Embed texts, one unit row each."""
        ...


class TextMemory:
    """An embedder that embeds each distinct text once.

    Args:
        embedder: Embeds what was not asked before.
    """

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self._known: dict[str, Vectors] = {}

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors, shape (texts, dimension)."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        if missing:
            self._known |= zip(missing, self.embedder.encode(missing), strict=True)
        return np.stack([self._known[text] for text in texts]) if texts else self.embedder.encode([])


class TextIndex:
    """Texts to be found by their nearness to a query.

    Args:
        texts: What can be found.
        memory: Embeds them, and the queries.
    """

    def __init__(self, texts: Sequence[str], memory: TextMemory) -> None:
        self.texts, self.memory = tuple(texts), memory
        self._vectors = memory.vectors(self.texts)

    def nearest(self, query: str) -> list[int]:
        """Order all texts by their dot product with a query.

        Returns:
            Indices, nearest first; of a tie the earlier text.
        """
        if not self.texts:
            return []
        similar = np.round(self._vectors @ self.memory.vectors([query])[0], DIGITS)
        return [int(i) for i in np.argsort(-similar, kind="stable")]
