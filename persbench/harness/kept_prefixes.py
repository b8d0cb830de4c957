"""Key/value caches kept between calls, so that the next turn of a dialogue computes only what was added.

Replies to one persona share its long prompt: that is a `stem`, kept once. What each dialogue says after it is a
`branch`. Later requests find them by comparing tokens, so a kept cache is used for exactly the tokens it was computed
from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

    Layers = list[tuple[torch.Tensor, torch.Tensor]]

# Prompt tokens that cost as much as the decoding steps of one more group of replies.
WORTH_A_GROUP = 1024


@dataclass(eq=False)
class Branch:
    """Tokens after a stem with their keys and values, each layer's of shape (key/value heads, tokens, head size)."""

    tokens: list[int]
    layers: Layers

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return sum(part.nbytes for pair in self.layers for part in pair)


@dataclass(eq=False)
class Stem(Branch):
    """Tokens that a set of requests begins with, and the branches that were computed after them, oldest first."""

    branches: list[Branch] = field(default_factory=list)


def shared_length(first: Sequence[int], second: Sequence[int], start: int = 0) -> int:
    """Length of the common prefix of two sequences that are known to agree before `start`."""
    length = min(len(first), len(second))
    if list(first[start:length]) == list(second[start:length]):
        return length
    while first[start] == second[start]:
        start += 1
    return start


class KeptPrefixes:
    """Stems and branches within a budget of bytes; the oldest go first."""

    def __init__(self) -> None:
        self.stems: list[Stem] = []

    def clear(self) -> None:
        """Forget everything: other weights, or another cell."""
        self.stems.clear()

    @property
    def size(self) -> int:
        """Bytes held."""
        return sum(stem.size + sum(branch.size for branch in stem.branches) for stem in self.stems)

    def shrink(self, budget: int) -> None:
        """Drop the oldest branches, then the oldest stems, until the rest fits."""
        surplus = self.size - budget
        for stem in self.stems:
            while surplus > 0 and stem.branches:
                surplus -= stem.branches.pop(0).size
        while surplus > 0 and self.stems:
            surplus -= self.stems.pop(0).size

    def longest(self, tokens: Sequence[int]) -> tuple[Stem | None, Branch | None, int]:
        """Find what is kept of a request: stem, branch after it, and how many tokens of the request they cover."""
        found: tuple[Stem | None, Branch | None, int] = (None, None, 0)
        for stem in self.stems:
            if shared_length(stem.tokens, tokens) == len(stem.tokens):
                branch, more = longest_branch(stem, tokens[len(stem.tokens) :])
                if len(stem.tokens) + more > found[2]:
                    found = (stem, branch, len(stem.tokens) + more)
        return found

    def cheapest(self, rows: Sequence[Sequence[int]]) -> Stem | None:
        """Return the kept stem of all rows that leaves less to compute than a new one would, if there is any."""
        best, least = None, length_of_all(rows) + sum(len(row) - length_of_all(rows) for row in rows)
        for stem in self.stems:
            length = len(stem.tokens)
            if all(len(row) > length and list(row[:length]) == stem.tokens for row in rows):
                left = sum(len(row) - length - longest_branch(stem, row[length:-1])[1] for row in rows)
                if left <= least:
                    best, least = stem, left
        return best


def longest_branch(stem: Stem, tail: Sequence[int]) -> tuple[Branch | None, int]:
    """Find the branch that agrees longest with what follows the stem, and for how many tokens."""
    best, length = None, 0
    for branch in stem.branches:
        shared = shared_length(branch.tokens, tail)
        if shared > length:
            best, length = branch, shared
    return best, length


def length_of_all(rows: Sequence[Sequence[int]]) -> int:
    """Tokens that all rows begin with, leaving each at least one of its own."""
    ordered = sorted(map(list, rows))
    return min(shared_length(ordered[0], ordered[-1]), min(map(len, rows)) - 1)


def stem_groups(rows: Sequence[Sequence[int]]) -> Iterator[tuple[int, list[int]]]:
    """Split rows into groups that share a prompt long enough to be worth a batch of its own.

    Yields:
        Length of the shared prefix and the indices of its rows, the rows' own order kept.
    """
    stack = [list(range(len(rows)))]
    while stack:
        group = stack.pop()
        shared = length_of_all([rows[i] for i in group])
        parts: dict[int, list[int]] = {}
        for i in group:
            parts.setdefault(rows[i][shared], []).append(i)
        gain = sum((length_of_all([rows[i] for i in part]) - shared) * (len(part) - 1) for part in parts.values())
        if len(parts) > 1 and gain >= WORTH_A_GROUP * (len(parts) - 1):
            stack.extend(reversed(parts.values()))
        else:
            yield shared, group
