"""Attention of a piece of the token tree on a CPU: branches that never see each other are not multiplied.

Under one mask over past and piece, most of the piece's own square is masked, and yet computed. Here all tokens attend
to the path before the piece in one unmasked call and each branch to itself in a small one.
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

    Blocks = list[tuple[int, int, int]]  # first token, last one and one more, tokens of the path that they see

ATTENTION = "persbench_tree"
_BLOCKS: ContextVar[Blocks | None] = ContextVar("branches of the piece", default=None)


@contextmanager
def branches(blocks: Blocks) -> Iterator[None]:
    """Say which ranges of the piece in work are branches, which share the path before it, or its start, and no more."""
    token = _BLOCKS.set(blocks)
    try:
        yield
    finally:
        _BLOCKS.reset(token)


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
    blocks, past = _BLOCKS.get(), key.shape[2] - query.shape[2]
    if blocks is None or len(blocks) < 2 or attention_mask is None or not all(seen for _, _, seen in blocks):  # noqa: PLR2004 - one branch is no saving
        found: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **more
        )
        return found
    heads, shared = query.shape[1], key.shape[1]
    fresh = repeat_kv(key[:, :, past:], heads // shared), repeat_kv(value[:, :, past:], heads // shared)
    parts = []
    for seen, group in groupby(blocks, key=itemgetter(2)):
        ranges = [(start, stop) for start, stop, _ in group]
        first = ranges[0][0]
        average, weight = _to_path(query[:, :, first : ranges[-1][1]], key[:, :, :seen], value[:, :, :seen], scaling)
        for start, stop in ranges:
            mine, within = slice(start, stop), slice(start - first, stop - first)
            mask = attention_mask[:, :, mine, past + start : past + stop]
            itself = attended(query[:, :, mine], fresh[0][:, :, mine], fresh[1][:, :, mine], mask, scaling)
            parts.append(joined((average[:, :, within], weight[:, :, within]), itself))
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None


def _to_path(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attend to the path, all of it: heads that share keys ask as one with more tokens, and no key is copied."""
    _, heads, tokens, size = query.shape
    shared = key.shape[1]
    average, weight = attended(query.reshape(1, shared, heads // shared * tokens, size), key, value, None, scale)
    return average.reshape(1, heads, tokens, size), weight.reshape(1, heads, tokens)


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
