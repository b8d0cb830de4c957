"""Who meets which systems in which order: a Williams design over places, with personas in rotation.

The rows of one round are a sequence of systems shifted by one each (Williams 1949, doi:10.1071/CH9490149): over a round
every system stands once at every position, and, where all of an even number of systems are met, follows every other
one exactly once. The next round is the mirror image, which gives the same to an odd number over two rounds. Which
system is which letter of the design, and the order of the rows, are drawn anew from the seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from persbench.study.settings import StudySettings


@dataclass(frozen=True)
class Plan:
    """What awaits the rater at one place.

    Attributes:
        persona: Whom all systems speak as.
        stage: At which stage.
        systems: Names in the order of the conversations, each once.
        pairs: Positions (from 1) of the two partners of each preference: always neighbours.
    """

    persona: str
    stage: str
    systems: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]


def plan(settings: StudySettings, place: int) -> Plan:
    """Return what awaits the rater at a place; the same place of the same study always holds the same.

    A round is as many places as there are systems. Over two rounds for each part every row of the design meets every
    part once.

    Args:
        settings: Systems, parts, pairs and seed.
        place: From 0.

    Raises:
        ValueError: The place is below 0.
    """
    if place < 0:
        raise ValueError(f"place {place}: they are counted from 0")
    names, parts, size = list(settings.systems), settings.parts, len(settings.systems)
    block, within = divmod(place, 2 * size * len(parts))
    round_, at = divmod(within, size)
    turn, is_mirrored = divmod(round_, 2)
    letters = _shuffled(size, settings.seed, block)
    row = _shuffled(size, settings.seed, block, 1 + round_)[at]
    offsets = williams_sequence(size)[: settings.conversations]
    order = [names[letters[(offset + row) % size]] for offset in offsets]
    part = parts[(row + turn) % len(parts)]
    neighbours = settings.conversations - 1
    first = place % neighbours if neighbours else 0
    chosen = sorted((first + i) % neighbours for i in range(settings.pairs))
    return Plan(
        persona=part.persona,
        stage=part.stage,
        systems=tuple(reversed(order) if is_mirrored else order),
        pairs=tuple((i + 1, i + 2) for i in chosen),
    )


def williams_sequence(size: int) -> list[int]:
    """Return 0, 1, n - 1, 2, n - 2, ...: neighbours differ by each step but 0 once, modulo an even n."""
    return [(i + 1) // 2 if i % 2 else -(i // 2) % size for i in range(size)]


def _shuffled(size: int, *seed: int) -> list[int]:
    return [int(i) for i in np.random.default_rng(seed).permutation(size)]
