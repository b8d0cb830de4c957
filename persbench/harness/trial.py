"""Trials on a few tokens: may this model's caches be shared, or must it go `hf`'s way?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from tqdm import tqdm
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from persbench.harness.generation import Reply
from persbench.harness.kept_prefixes import KeptPrefixes
from persbench.harness.tree_attention import tree_attention

if TYPE_CHECKING:
    from persbench.harness.prefix_lm import PrefixLM

TOKENS = [5 + i * 7 % 90 for i in range(24)]
INPUTS = [TOKENS[:12], TOKENS[:8] + TOKENS[14:20], TOKENS[:8] + TOKENS[18:24], TOKENS[:4] + TOKENS[20:]]
WANTED = [[7, 8], [9, 10], [11, 12], [13, 14]]
# What bfloat16's rounding may move replies by, on average over the trial, in units of the logits' spread. Measured on
# SmolLM2-135M and six adapters: the right mask 0.026-0.037 (single steps up to 0.15; the model's own cache against its
# own whole pass 0.016-0.031), a mask that hides a row's first token or shows every place 0.10-0.28.
ROUNDING, MOST = 0.06, 0.25


def obstacle(lm: PrefixLM, what: str) -> str:
    """Say why a model's `scores` or `replies` cannot share caches, or nothing.

    A model may fail in any way of its own when its attention is taken in hand, so whatever the trial raises is a reason
    and no error.
    """
    if lm.backend != "causal":
        return "not a causal model"
    cache = DynamicCache(config=lm.model.config)
    if cache.layers and not all(type(layer) is DynamicLayer for layer in cache.layers):
        kinds = sorted({type(layer).__name__ for layer in cache.layers})
        return f"its cache has layers that cannot be forked ({', '.join(kinds)})"
    computed, kept, lm.kept = lm.tokens_computed, lm.kept, KeptPrefixes()
    try:
        parted = _scores(lm) if what == "scores" else _replies(lm)
    except Exception as error:  # noqa: BLE001 - see above
        return f"a trial of shared prefixes failed ({type(error).__name__}: {error})"
    finally:
        lm.tokens_computed, lm.kept = computed, kept
    differences = torch.tensor(parted)
    worst, mean = float(differences.max()), float(differences.mean())  # a NaN among them makes both NaN, and so a no
    if lm.model.dtype == torch.float32:
        agree = worst < (1e-2 if what == "scores" else 1e-3)
    else:
        agree = worst < 0.5 if what == "scores" else worst < MOST and mean < ROUNDING  # noqa: PLR2004 - in nats
    return "" if agree else f"its {what} change by {worst:.3f} when prefixes are shared"


def _plain(lm: PrefixLM, tokens: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = lm.model(input_ids=torch.tensor([tokens], device=lm.device)).logits[0]
    return logits.float()


def _scores(lm: PrefixLM) -> list[float]:
    """Differences in nats between shared and plain scores."""
    alone = []
    for tokens, wanted in zip(INPUTS, WANTED, strict=True):
        rows = torch.log_softmax(_plain(lm, tokens)[-len(wanted) :], dim=-1)
        alone.append(float(rows[range(len(wanted)), wanted].double().sum()))
    scorer = lm.scorer(12)
    with tree_attention(lm.model):
        shared = scorer.score(INPUTS, WANTED, DynamicCache(config=lm.model.config))
    return [abs(a - b) for (a, _), b in zip(shared, alone, strict=True)]


def _replies(lm: PrefixLM) -> list[float]:
    """Mean differences of logits, over their spread, between replies generated together and alone, token by token."""
    parted = []
    seen: list[tuple[Reply, torch.Tensor]] = []
    replies = [Reply(tokens, 3) for tokens in INPUTS]
    for _ in range(2):
        for reply in replies:

            def note(logits: torch.Tensor, reply: Reply = reply) -> int:
                seen.append((Reply(reply.prompt + reply.tokens, 0), logits.float().clone()))
                return int(logits.argmax())

            reply.sampler = note
        lm.generate(replies, tqdm(disable=True))
        replies = [Reply(reply.prompt + reply.tokens + [17, 23], 3) for reply in replies]
    for reply, logits in seen:
        alone = _plain(lm, reply.prompt)[-1]
        parted.append(float((alone - logits).abs().mean() / alone.std()))
    return parted
