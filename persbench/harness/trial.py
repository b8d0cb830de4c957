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
# How much further sharing may move replies in bfloat16 than the model's own cache moves them: a tuned model is sharper,
# and rounding moves it further. Measured on SmolLM2-135M and three adapters: the right mask 1.3-2.0 times as far, one
# that hides a row's first token 3.6-7.0 times, one that shows every place 6.6-10.7 times.
LOUDER = 2.7


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
    elif what == "scores":
        agree = worst < 0.5  # noqa: PLR2004 - in nats
    else:
        rounding = _rounding(lm)
        if mean < LOUDER * rounding:
            return ""
        return f"shared prefixes move its replies by {mean:.3f}, its own cache by {rounding:.3f}"
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


def _rounding(lm: PrefixLM) -> float:
    """Mean difference of logits, over their spread, between the model's own cache and its whole passes."""
    moved = []
    for prompt in INPUTS:
        tokens, cache = list(prompt), DynamicCache(config=lm.model.config)
        for _ in range(2):
            given = tokens[cache.get_seq_length() :]
            for _ in range(3):
                with torch.inference_mode():
                    fresh = torch.tensor([given], device=lm.device)
                    logits = lm.model(input_ids=fresh, past_key_values=cache, use_cache=True).logits[0, -1].float()
                alone = _plain(lm, tokens)[-1]
                moved.append(float((alone - logits).abs().mean() / alone.std()))
                given = [int(logits.argmax())]
                tokens += given
            tokens += [17, 23]
    return sum(moved) / len(moved)
