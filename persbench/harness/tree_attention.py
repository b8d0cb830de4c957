"""Attention of a piece of the token tree on a CPU: branches that never see each other are not multiplied.

Under one mask over past and piece, most of the piece's own square is masked, and yet computed. Here all tokens attend
to the path before the piece in one unmasked call and the branches, one beside the other, to themselves in another.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface

from persbench.harness.joined_softmax import attended, joined, serves

if TYPE_CHECKING:
    from collections.abc import Iterator

    Blocks = list[tuple[int, int, int]]  # first token, last one and one more, tokens before the piece that they see

ATTENTION = "persbench_tree"
WIDEST = 2  # times their own tokens that branches may take up when they are padded to the longest of them
_BRANCHES: ContextVar[Branches | None] = ContextVar("branches of the piece", default=None)


class Beside:
    """Branches of a piece, one beside the other, each padded to the longest.

    Args:
        blocks: Some that follow one another.
    """

    def __init__(self, blocks: Blocks) -> None:
        starts, stops = (torch.tensor(ends)[:, None] for ends in list(zip(*blocks, strict=True))[:2])
        steps = torch.arange(int((stops - starts).max()))
        real = starts + steps < stops
        # What pads a branch is its first token again: a number like others, which nobody sees.
        self._places = torch.where(real, starts + steps, starts)
        self._real = real.flatten().nonzero()[:, 0]
        self._hidden = ~real[:, None, None, :]
        self._mask: torch.Tensor | None = None

    def attend(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, scale: float | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Let each branch attend to itself.

        Args:
            query: Of all the piece, shape (1, heads, tokens, head size).
            key: Of all the piece, shape (1, key/value heads, tokens, head size); `value` alike.
            value: See `key`.
            mask: The piece's.
            scale: Factor on the products.

        Returns:
            As `attended`, for the branches' tokens in order.
        """
        alike = query.shape[1] // key.shape[1]
        own_key, own_value = (repeat_kv(self._cut(states), alike) for states in (key, value))
        average, weight = attended(self._cut(query), own_key, own_value, self._own(mask), scale)
        return self._joined(average), self._joined(weight)

    def _cut(self, states: torch.Tensor) -> torch.Tensor:
        """Bring (1, heads, tokens, size) into the shape (branches, heads, longest, size)."""
        count, longest = self._places.shape
        rows = states[0].transpose(0, 1)[self._places.flatten()]
        return rows.reshape(count, longest, *rows.shape[1:]).transpose(1, 2)

    def _joined(self, states: torch.Tensor) -> torch.Tensor:
        """Bring (branches, heads, longest, ...) into the shape (1, heads, tokens, ...)."""
        return states.transpose(1, 2).flatten(0, 1)[self._real].transpose(0, 1)[None]

    def _own(self, mask: torch.Tensor) -> torch.Tensor:
        """Cut each branch's square out of the piece's mask, which is the same for all layers."""
        if self._mask is None:
            past = mask.shape[-1] - mask.shape[-2]
            squares = mask[0, 0][self._places[:, :, None], past + self._places[:, None, :]]
            self._mask = squares[:, None].masked_fill(self._hidden, torch.finfo(mask.dtype).min)
        return self._mask


class Branches:
    """The branches of a piece.

    Args:
        blocks: All of them, in order.
    """

    def __init__(self, blocks: Blocks) -> None:
        self.served = len(blocks) > 1
        self.by_path = [(seen, [*group]) for seen, group in groupby(blocks, key=itemgetter(2))]
        self.beside: list[Beside] = []
        run: Blocks = []
        for block in blocks:
            lengths = [stop - start for start, stop, _ in [*run, block]]
            if len(lengths) * max(lengths) > WIDEST * sum(lengths):
                self.beside.append(Beside(run))
                run = []
            run.append(block)
        self.beside.append(Beside(run))


@contextmanager
def branches(blocks: Blocks) -> Iterator[None]:
    """Say which ranges of the piece in work are branches, which share the path before it, or its start, and no more."""
    token = _BRANCHES.set(Branches(blocks))
    try:
        yield
    finally:
        _BRANCHES.reset(token)


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """Attend as transformers' sdpa does, branch by branch where there are several after a common path.

    Args:
        module: The attention layer.
        query: Shape (1, heads, tokens, head size).
        key: Shape (1, key/value heads, past + tokens, head size); `value` alike.
        value: See `key`.
        attention_mask: Additive, shape (1, 1, tokens, past + tokens).
        scaling: Factor on the products; 1 / sqrt(head size) by default.
        more: What else the model hands to its attention.

    Returns:
        Shape (1, tokens, heads, head size), and None for the weights.
    """
    cut = _BRANCHES.get()
    if cut is None or not cut.served or attention_mask is None:
        found: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **more
        )
        return found
    past = key.shape[2] - query.shape[2]
    to_path = [
        _to_path(query[:, :, group[0][0] : group[-1][1]], key[:, :, :seen], value[:, :, :seen], scaling)
        for seen, group in cut.by_path
    ]
    fresh = query, key[:, :, past:], value[:, :, past:]
    to_self = [beside.attend(*fresh, attention_mask, scaling) for beside in cut.beside]
    output = joined(_one_after_the_other(to_path), _one_after_the_other(to_self))
    return output.transpose(1, 2).contiguous(), None


def _to_path(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attend to the path, all of it: heads that share keys ask as one with more tokens, and no key is copied."""
    _, heads, tokens, size = query.shape
    shared = key.shape[1]
    if not key.shape[2]:  # nothing has no weight
        return torch.zeros_like(query), torch.full((1, heads, tokens), -torch.inf, device=query.device)
    average, weight = attended(query.reshape(1, shared, heads // shared * tokens, size), key, value, None, scale)
    return average.reshape(1, heads, tokens, size), weight.reshape(1, heads, tokens)


def _one_after_the_other(parts: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
    averages, weights = zip(*parts, strict=True)
    return torch.cat(averages, dim=2), torch.cat(weights, dim=2)


AttentionInterface.register(ATTENTION, attend)
AttentionMaskInterface.register(ATTENTION, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])


@contextmanager
def tree_attention(model: Any) -> Iterator[None]:
    """Let a model on a CPU attend by branches inside the block, where its attention is transformers' sdpa."""
    usual = model.config._attn_implementation  # noqa: SLF001 - transformers has no public reader
    if usual != "sdpa" or not serves(model.device):
        yield
        return
    model.set_attn_implementation(ATTENTION)
    try:
        yield
    finally:
        model.set_attn_implementation(usual)
