"""De-duplication of training dialogues by their prompts, after PersLLM (arXiv 2407.12393): greedy, at cosine 0.95.

In the paper's released script the kept ids are not used when the data are written, so that it has no effect there; here
it has, and every drop is returned with its reason.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persbench.scoring.overlap import Embedder

SIMILAR: Final = 0.95
R = TypeVar("R")


class Dropped(NamedTuple):
    """A row that was left out.

    Attributes:
        id: The row's.
        kept: Id of the earlier row that it repeats.
        cosine: How near their prompts are.
    """

    id: str
    kept: str
    cosine: float

    def __str__(self) -> str:
        return f"{self.id}: its prompt is nearly that of {self.kept} (cosine {self.cosine:.2f})"


def deduplicated(
    rows: Sequence[R],
    embedder: Embedder,
    *,
    prompt: Callable[[R], str],
    name: Callable[[R], str],
    group: Callable[[R], tuple[str, ...]] = lambda _row: (),
    threshold: float = SIMILAR,
) -> tuple[list[R], list[Dropped]]:
    """Drop rows whose prompt nearly repeats that of a row kept before them.

    Args:
        rows: In the order in which they are considered; the first of its like is kept.
        embedder: Gives unit rows.
        prompt: The text that is compared.
        name: The row's id, for the report.
        group: Rows are compared within a group alone: a prompt may be put at two stages.
        threshold: Cosine from which a row is dropped.

    Returns:
        The rows kept, in their order, and the rows dropped, each with the nearest kept one.
    """
    vectors = embedder.encode([prompt(row) for row in rows])
    kept_in: dict[tuple[str, ...], list[int]] = defaultdict(list)
    kept: list[R] = []
    dropped: list[Dropped] = []
    for i, row in enumerate(rows):
        before = kept_in[group(row)]
        cosines = vectors[before] @ vectors[i] if before else np.zeros(0, dtype=np.float32)
        # A text's cosine with itself may fall short of 1 by a rounding.
        if before and float(cosines.max()) >= threshold - 1e-6:
            nearest = int(cosines.argmax())
            dropped.append(Dropped(name(row), name(rows[before[nearest]]), float(cosines[nearest])))
        else:
            before.append(i)
            kept.append(row)
    return kept, dropped
