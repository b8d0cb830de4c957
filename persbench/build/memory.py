"""Step 3: the material by meaning, so that the annotator sees what else is told beside the unit it works on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persbench.retrieval import TextIndex

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from persbench.build.material import Piece
    from persbench.build.settings import BuildSettings
    from persbench.retrieval import TextMemory


class Memory:
    """What of a life can be recalled at a stage.

    Args:
        pieces: All material.
        order: Ids of the stages, in order: what is later than a stage is not recalled at it.
        settings: How many words are recalled of either kind.
        texts: Embeds.
    """

    def __init__(
        self, pieces: Sequence[Piece], order: Sequence[str], settings: BuildSettings, texts: TextMemory
    ) -> None:
        self._place = {stage: i for i, stage in enumerate(order)}
        self._budgets = {True: settings.objective_words, False: settings.speech_words}
        self._pieces = {kind: [p for p in pieces if p.unit.objective == kind] for kind in (True, False)}
        self._index = {kind: TextIndex([p.text for p in found], texts) for kind, found in self._pieces.items()}

    def recalled(
        self, query: str, stage: str, *, without: Collection[str] = (), beside: str = ""
    ) -> tuple[list[Piece], list[Piece]]:
        """Find the material nearest to a query.

        Args:
            query: A text.
            stage: Material of this stage or before is found.
            without: Ids of material that must not be found.
            beside: Id of the unit that is shown anyway.

        Returns:
            (objective, speech), each nearest first and within its words; a unit that does not fit is passed over.
        """
        objective, speech = (self._nearest(query, kind, stage, without, beside) for kind in (True, False))
        return objective, speech

    def _nearest(self, query: str, objective: bool, stage: str, without: Collection[str], beside: str) -> list[Piece]:
        left = self._budgets[objective]
        found: list[Piece] = []
        for i in self._index[objective].nearest(query):
            piece = self._pieces[objective][i]
            size = len(piece.text.split())
            now = self._place[piece.stage] <= self._place[stage]
            if now and piece.id != beside and piece.id not in without and size <= left:
                left -= size
                found.append(piece)
        return found


def shown(pieces: Sequence[Piece]) -> list[str]:
    """Return the texts of material, each of which gets a frame of its own in a prompt."""
    return [piece.text for piece in pieces]


def leading(pieces: Sequence[Piece], words: int) -> list[Piece]:
    """Return material spread evenly over a sequence, within so many words, in its order.

    Args:
        pieces: In the order of the raw text.
        words: Upper bound of their words together; the first one taken may be longer.
    """
    total = sum(len(piece.text.split()) for piece in pieces)
    step = max(1, -(-total // max(1, words)))
    # Every step-th unit first, then what lies between, until the words are spent.
    ordered = sorted(range(len(pieces)), key=lambda i: (i % step, i))
    taken: list[int] = []
    left = words
    for i in ordered:
        size = len(pieces[i].text.split())
        if size <= left or not taken:
            left -= size
            taken.append(i)
    return [pieces[i] for i in sorted(taken)]
