"""De-duplication of training dialogues by their prompts, after PersLLM (arXiv 2407.12393): greedy, at cosine 0.95.

In the paper's released script the kept ids are not used when the data are written, so that it has no effect there; here
it has, and every drop is returned with its reason.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import numpy as np

from persbench.errors import PersbenchError
from persbench.near_duplicates import first_of_each

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persbench.scoring.overlap import Embedder

SIMILAR: Final = 0.95
# A text's cosine with itself may fall short of 1 by the rounding of its vector.
ROUNDING: Final = 1e-6
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

    Raises:
        PersbenchError: The embedder gave something else than numbers for a prompt.
    """
    if not rows:
        return [], []
    vectors = np.asarray(embedder.encode([prompt(row) for row in rows]), dtype=np.float32)
    sound = np.isfinite(vectors).all(axis=1)
    if not sound.all():
        at = int(np.flatnonzero(~sound)[0])
        raise PersbenchError(
            f"the embedder gave no finite vector for the prompt of {name(rows[at])}, so that it cannot be compared: "
            "look at that prompt, or use another embedder."
        )
    members: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        members[group(row)].append(i)
    kept: list[int] = []
    dropped: list[tuple[int, Dropped]] = []
    for of_group in members.values():
        own = vectors if len(of_group) == len(rows) else vectors[of_group]
        numbers, near = first_of_each(own, threshold=threshold - ROUNDING)
        kept += (of_group[i] for i in numbers)
        for found in near:
            i, first = of_group[found.row], of_group[found.kept]
            dropped.append((i, Dropped(name(rows[i]), name(rows[first]), found.cosine)))
    return [rows[i] for i in sorted(kept)], [drop for _, drop in sorted(dropped, key=lambda found: found[0])]
