"""A key/value cache of rows of unequal length after stems that they share, and the attention that reads both.

lm-eval's `hf` pads a batch to its longest row, copies the whole cache at every token and holds the shared prompt once a
row. Here every row has a place of its own in a buffer that is written in place, and a stem is read by all of its rows
in one product (as in Hydragen, arXiv 2402.05099: the softmax runs over both parts, so the result is the same).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from transformers import AttentionInterface
from transformers.cache_utils import Cache
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface

from persbench.harness.joined_softmax import attended, joined, serves

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from persbench.harness.kept_prefixes import Layers, Stem

ATTENTION = "persbench_rows"
ROWS_TOGETHER = 16  # whose own tokens are read in one product, as far as the longest of them reaches
WORTH_CUTTING = 0.1  # of what is read of a batch: less is not worth the products more
Layer = tuple[torch.Tensor, torch.Tensor]  # keys and values
StemRows = list[tuple[torch.Tensor, "Layers | None"]]  # rows, and what they have before their own; each row once
Reaches = list[tuple[slice, int]]  # rows, and how many places of theirs are in use; each row once, in order


class RowCache(Cache):  # type: ignore[misc]
    """Keys and values of up to `slots` rows of up to `room` tokens after the stem.

    Rows `0..count-1` are in use. Buffers have shape (slots, key/value heads, room + 1, head size); the last column
    takes what padding writes and is never read.
    """

    def __init__(self, slots: int, room: int, like: Layers) -> None:
        """Make the buffers, in the shape of a stem's layers.

        Zeros, not whatever memory held: a masked place has weight 0, and 0 times NaN is NaN.
        """
        super().__init__(layers=[])
        self.room = room
        self.lengths: list[int] = []
        self.stems: list[Stem] = []
        self.buffers: Layers = [
            (
                keys.new_zeros((slots, keys.shape[0], room + 1, keys.shape[2])),
                values.new_zeros((slots, values.shape[0], room + 1, values.shape[2])),
            )
            for keys, values in like
        ]
        self._rows = slice(0, 0)
        self._columns = torch.zeros(0, dtype=torch.long)
        self._reach = 0

    @property
    def count(self) -> int:
        """Rows in use."""
        return len(self.lengths)

    def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002 - transformers' signature
        """Longest row, which is all that transformers asks before positions are given."""
        return max(self.lengths, default=0)

    def aim(self, rows: slice, fresh: Sequence[int], *, device: torch.device) -> torch.Tensor:
        """Say where the next forward pass writes.

        Args:
            rows: The rows it computes.
            fresh: Tokens that it adds to each; shorter rows are padded on the left to the longest.
            device: Of the model.

        Returns:
            Place of each token after the stem, shape (rows, tokens), 0 for padding.
        """
        starts = torch.tensor(self.lengths[rows], device=device)
        counts = torch.tensor(list(fresh), device=device)
        width = int(counts.max())
        places = starts[:, None] + torch.arange(width, device=device) - (width - counts)[:, None]
        padding = torch.arange(width, device=device) < (width - counts)[:, None]
        self._rows, self._columns = rows, places.masked_fill(padding, self.room)
        for row, added in zip(range(rows.start, rows.stop), fresh, strict=True):
            self.lengths[row] += added
        self._reach = max(self.lengths[rows])
        return places.masked_fill(padding, 0)

    def by_stem(self, rows: slice, *, device: torch.device) -> StemRows:
        """Say which of the rows, counted from the first of them, share which stem; None stands for an empty one."""
        groups: dict[int, list[int]] = {}
        stems = self.stems[rows]
        for row, stem in enumerate(stems):
            groups.setdefault(id(stem), []).append(row)
        return [
            (torch.tensor(group, device=device), stems[group[0]].layers if stems[group[0]].tokens else None)
            for group in groups.values()
        ]

    def reaches(self) -> Reaches:
        """Cut the rows of the next pass into such as reach about as far: dialogues differ in length."""
        lengths = self.lengths[self._rows]
        cuts = [slice(at, min(at + ROWS_TOGETHER, len(lengths))) for at in range(0, len(lengths), ROWS_TOGETHER)]
        parts = [(cut, max(lengths[cut])) for cut in cuts]
        read = sum((cut.stop - cut.start) * reach for cut, reach in parts)
        whole = len(lengths) * self._reach
        return parts if read < (1 - WORTH_CUTTING) * whole else [(slice(0, len(lengths)), self._reach)]

    def mask(self, places: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Let each token see its row up to itself.

        Returns:
            Additive mask of shape (rows, 1, tokens, reach).
        """
        hidden = torch.arange(self._reach, device=places.device) > places[..., None]
        return torch.zeros(hidden.shape, dtype=dtype, device=places.device).masked_fill_(
            hidden, torch.finfo(dtype).min
        )[:, None]

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write one layer's new keys and values, shape (rows, key/value heads, tokens, head size).

        Returns:
            All of the rows' keys and values so far, shape (rows, key/value heads, reach, head size).
        """
        where = torch.arange(self._rows.start, self._rows.stop, device=key_states.device)[:, None]
        keys, values = self.buffers[layer_idx]
        keys[where, :, self._columns] = key_states.transpose(1, 2)
        values[where, :, self._columns] = value_states.transpose(1, 2)
        return keys[self._rows, :, : self._reach], values[self._rows, :, : self._reach]

    def put(self, stem: Stem, layers: Layers, length: int) -> None:
        """Begin a row after a stem, with the first `length` tokens of a kept branch of it."""
        row = self.count
        self.lengths.append(length)
        self.stems.append(stem)
        for (keys, values), (kept_keys, kept_values) in zip(self.buffers, layers, strict=bool(length)):
            keys[row, :, :length] = kept_keys[:, :length]
            values[row, :, :length] = kept_values[:, :length]

    def take(self, row: int) -> Layers:
        """Return a copy of a row's keys and values."""
        length = self.lengths[row]
        return [(keys[row, :, :length].clone(), values[row, :, :length].clone()) for keys, values in self.buffers]

    def drop(self, row: int) -> None:
        """Free a row; the last one moves to its place."""
        last, stem = self.lengths.pop(), self.stems.pop()
        if row < self.count:
            self.lengths[row], self.stems[row] = last, stem
            for keys, values in self.buffers:
                keys[row, :, :last] = keys[self.count, :, :last]
                values[row, :, :last] = values[self.count, :, :last]


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    scaling: float | None = None,
    stems: StemRows | None = None,
    reaches: Reaches | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attend to the stem that a row shares with others and to its own tokens, under one softmax.

    Args:
        module: The attention layer; only its index is read.
        query: Shape (rows, heads, tokens, head size).
        key: Shape (rows, key/value heads, reach, head size); `value` alike.
        value: See `key`.
        attention_mask: Additive, shape (rows, 1, tokens, reach).
        scaling: Factor on the products; 1 / sqrt(head size) by default.
        stems: Which rows share which stem; keys and values of each for every layer.
        reaches: How far which rows reach; nothing is read beyond it.

    Returns:
        Shape (rows, tokens, heads, head size), and None for the weights.
    """
    rows, heads, tokens, size = query.shape
    shared = key.shape[1]
    group = heads // shared
    scale = size**-0.5 if scaling is None else scaling
    asked = query.reshape(rows, shared, group * tokens, size)
    mask = attention_mask[:, :, None].expand(-1, -1, group, -1, -1).reshape(rows, 1, group * tokens, -1)
    before = [(some, layers[module.layer_idx] if layers else None) for some, layers in stems or []]
    if serves(query.device):
        found = _by_parts(asked, (key, value), before, reaches or [(slice(0, rows), key.shape[2])], mask, scale)
    else:
        found = _by_products(asked, (key, value), before, mask, scale)
    return found.reshape(rows, heads, tokens, -1).transpose(1, 2).contiguous(), None


Before = list[tuple[torch.Tensor, Layer | None]]  # of one layer: rows, and the stem that they share


def _by_parts(
    asked: torch.Tensor, own: Layer, before: Before, reaches: Reaches, mask: torch.Tensor, scale: float
) -> torch.Tensor:
    """Attend to the rows and to their stems each by itself: several times faster on a CPU than batched products."""
    key, value = own
    parts = [
        attended(asked[some], key[some, :, :reach], value[some, :, :reach], mask[some, ..., :reach], scale)
        for some, reach in reaches
    ]
    part = parts[0] if len(parts) == 1 else (torch.cat([a for a, _ in parts]), torch.cat([w for _, w in parts]))
    average, weight = torch.zeros_like(part[0]), torch.full_like(part[1], -torch.inf)
    for rows, stem in before:
        if stem is not None:
            some = asked[rows].transpose(0, 1)  # (heads, rows, tokens, head size): as one row of many tokens
            found, total = attended(some.flatten(1, 2)[None], stem[0][None], stem[1][None], None, scale)
            average[rows] = found.view(*some.shape[:3], -1).transpose(0, 1)
            weight[rows] = total.view(some.shape[:3]).transpose(0, 1)
    return joined((average, weight), part)


def _by_products(asked: torch.Tensor, own: Layer, before: Before, mask: torch.Tensor, scale: float) -> torch.Tensor:
    """Attend to both in matrix products under one softmax, on any device."""
    if len(before) == 1:  # all rows: nothing need be picked out
        return _products(asked, own, before[0][1], mask, scale)
    found = torch.empty_like(asked)
    for rows, stem in before:
        found[rows] = _products(asked[rows], (own[0][rows], own[1][rows]), stem, mask[rows], scale)
    return found


def _products(asked: torch.Tensor, own: Layer, stem: Layer | None, mask: torch.Tensor, scale: float) -> torch.Tensor:
    key, value = own
    asked = asked * scale
    scores = asked @ key.transpose(-1, -2) + mask
    if stem is None:
        return scores.softmax(dim=-1, dtype=torch.float32).to(asked.dtype) @ value
    rows, shared, count, _ = asked.shape
    flat = asked.transpose(0, 1).flatten(1, 2)
    before = (flat @ stem[0].transpose(-1, -2)).view(shared, rows, count, -1).transpose(0, 1)
    weights = torch.cat([before, scores], dim=-1).softmax(dim=-1, dtype=torch.float32).to(asked.dtype)
    length = before.shape[-1]
    seen = weights[..., :length].transpose(0, 1).flatten(1, 2) @ stem[1]
    return weights[..., length:] @ value + seen.view(shared, rows, count, -1).transpose(0, 1)


AttentionInterface.register(ATTENTION, attend)
AttentionMaskInterface.register(ATTENTION, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])


@contextmanager
def row_attention(model: Any) -> Iterator[None]:
    """Let a model attend by rows inside the block."""
    usual = model.config._attn_implementation  # noqa: SLF001 - transformers has no public reader
    model.set_attn_implementation(ATTENTION)
    try:
        yield
    finally:
        model.set_attn_implementation(usual)
