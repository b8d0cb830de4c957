"""Log-probabilities on a CPU from the learnt positions alone.

TRL's fused output layer skips prompt and padding on GPUs only; on a CPU it computes every position in small float32
tiles, which takes as long as the rest of a small model. This one gives the same log-probabilities.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK: Final = 2048
NO_LOSS: Final = -100
PLAIN: Final = ("logit_scale", "logits_scaling", "lm_head_multiplier", "output_multiplier", "final_logit_softcapping")


def use_cpu_head(model: Any) -> None:
    """Replace TRL's fused output layer on a model that it was added to; of models that scale their logits it stays.

    Entropies and mean logits, which TRL would log, are not computed and come out as not-a-number.

    Args:
        model: transformers causal model, not wrapped by PEFT; changed in place.
    """
    settings = model.config.get_text_config()
    if any(getattr(settings, name, None) is not None for name in PLAIN) or getattr(
        settings, "output_router_logits", False
    ):
        return
    fused: Callable[..., Any] = model.forward

    def forward(self: Any, *args: Any, fused_lm_head: bool = False, labels: Any = None, **more: Any) -> Any:
        if not fused_lm_head:
            return fused(*args, **more | ({} if labels is None else {"labels": labels}))
        more.pop("num_items_in_batch", None)
        more["use_cache"] = False
        hidden = self.base_model(*args, **more).last_hidden_state[:, :-1]
        return _output(hidden, labels[:, 1:], self.get_output_embeddings())

    model.forward = types.MethodType(forward, model)


def _output(hidden: torch.Tensor, labels: torch.Tensor, head: Any) -> Any:
    """Compute what TRL's trainers read.

    Args:
        hidden: (batch, length, width).
        labels: (batch, length) of the tokens that follow; -100 where there is no loss.
        head: The output layer.
    """
    from trl.trainer.utils import FusedCausalLMOutput  # noqa: PLC0415 - takes seconds to import

    mask = labels != NO_LOSS
    weight, bias = head.weight, getattr(head, "bias", None)
    chunks = list(zip(torch.split(hidden[mask], CHUNK), torch.split(labels[mask], CHUNK), strict=True))
    # Many chunks are computed twice, so that their logits need not be kept for the backward pass.
    parts = [
        checkpoint(_log_probs, rows, targets, weight, bias, use_reentrant=False)
        if len(chunks) > 1
        else _log_probs(rows, targets, weight, bias)
        for rows, targets in chunks
    ]
    found = torch.cat([found for found, _ in parts]) if parts else hidden.sum() * hidden.new_zeros(0)
    best = torch.cat([best for _, best in parts]) if parts else mask.new_zeros(0)
    log_probs = found.new_zeros(mask.shape).masked_scatter(mask, found)
    unknown = torch.full_like(log_probs, torch.nan).detach()
    return FusedCausalLMOutput(
        loss=-log_probs.sum() / mask.sum().clamp(min=1),
        log_probs=log_probs,
        entropy=unknown,
        log_sum_sq_probs=None,
        mean_logits=unknown,
        is_top1=mask.new_zeros(mask.shape).masked_scatter(mask, best),
        label_mask=mask,
        aux_loss=None,
    )


def _log_probs(
    rows: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    logits = torch.nn.functional.linear(rows, weight, bias).float()
    return -cross_entropy(logits, targets, reduction="none"), logits.detach().argmax(dim=-1) == targets
