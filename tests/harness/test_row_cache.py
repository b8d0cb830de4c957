"""Rows of unequal length: each is read as far as it reaches, and sees what one product over all would give it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from persbench.harness.kept_prefixes import Stem
from persbench.harness.row_cache import ROWS_TOGETHER, RowCache, attend

HEADS, GROUP, SIZE = 2, 3, 8


def filled(lengths: list[int], generator: torch.Generator) -> RowCache:
    def some(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    stem = Stem([1, 2, 3], [(some(HEADS, 3, SIZE), some(HEADS, 3, SIZE))])
    cache = RowCache(len(lengths), max(lengths) + 1, stem.layers)
    for length in lengths:
        cache.put(stem, [(some(HEADS, length, SIZE), some(HEADS, length, SIZE))], length)
    return cache


@pytest.mark.parametrize(
    ("lengths", "cuts"),
    [
        ([200, 190] + [40] * ROWS_TOGETHER + [30, 10], [(0, 16, 201), (16, 20, 41)]),
        ([50] * 40, [(0, 40, 51)]),  # nothing to win
        ([7], [(0, 1, 8)]),
    ],
)
def test_rows_are_read_no_further_than_they_reach(lengths: list[int], cuts: list[tuple[int, int, int]]) -> None:
    generator = torch.Generator().manual_seed(1)
    cache, count = filled(lengths, generator), len(lengths)
    rows, device = slice(0, count), torch.device("cpu")
    places = cache.aim(rows, [1] * count, device=device)
    assert [(some.start, some.stop, reach) for some, reach in cache.reaches()] == cuts
    fresh, query = (torch.randn(count, n, 1, SIZE, generator=generator) for n in (HEADS, HEADS * GROUP))
    key, value = cache.update(fresh, fresh + 1, 0)
    mask, stems = cache.mask(places, torch.float32), cache.by_stem(rows, device=device)
    layer = SimpleNamespace(layer_idx=0)
    whole, _ = attend(layer, query, key, value, mask, stems=stems)
    parts, _ = attend(layer, query, key, value, mask, stems=stems, reaches=cache.reaches())
    torch.testing.assert_close(parts, whole)
    shortest = count - 1  # by hand: the stem, and its own tokens alone
    seen = [
        torch.cat([cache.stems[0].layers[0][i], found[shortest, :, : lengths[-1] + 1]], dim=1)
        for i, found in enumerate((key, value))
    ]
    asked = query[shortest].reshape(HEADS, GROUP, SIZE)
    by_hand = (asked @ seen[0].transpose(-1, -2) / SIZE**0.5).softmax(-1) @ seen[1]
    torch.testing.assert_close(parts[shortest, 0], by_hand.reshape(HEADS * GROUP, SIZE))
