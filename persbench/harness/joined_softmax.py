"""Attention to keys that stand in two places, under one softmax, on a CPU.

Each place is attended to by itself, and the two are joined by their normalisers (as in FlashAttention, arXiv
2205.14135, section 3.1), which gives the numbers of one softmax over both.
"""

from __future__ import annotations

from typing import Any

import torch

# Of a torch that lacks it nothing is asked: `serves` says so, and others attend in their own way.
_FLASH: Any = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)


def serves(device: torch.device) -> bool:
    """Say whether `attended` can be asked."""
    return device.type == "cpu" and _FLASH is not None


def attended(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, scale: float | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attend to one place.

    Args:
        query: Shape (rows, heads, tokens, head size).
        key: Shape (rows, heads, keys, head size); `value` alike.
        value: See `key`.
        mask: Additive, broadcastable to (rows, heads, tokens, keys).
        scale: Factor on the products; 1 / sqrt(head size) by default.

    Returns:
        The average under this place's own softmax, shape as the query's, and the logarithm of its normaliser, shape
        (rows, heads, tokens).
    """
    found: tuple[torch.Tensor, torch.Tensor] = _FLASH(query, key, value, attn_mask=mask, scale=scale)
    return found


def joined(one: tuple[torch.Tensor, torch.Tensor], other: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Return what one softmax over both places gives, from what `attended` returned for each."""
    (average, weight), (second, second_weight) = one, other
    share = torch.sigmoid(weight - second_weight).unsqueeze(-1).to(average.dtype)
    return second + (average - second) * share
