"""Trials on a few tokens: may this model's caches be shared, or must it go `hf`'s way?"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING

import torch
from tqdm import tqdm
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from persbench.harness.cache_budget import free_memory
from persbench.harness.generation import Reply
from persbench.harness.kept_prefixes import KeptPrefixes
from persbench.harness.tree_attention import tree_attention

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persbench.harness.prefix_lm import PrefixLM

TOKENS = [5 + i * 7 % 90 for i in range(24)]
INPUTS = [TOKENS[:12], TOKENS[:8] + TOKENS[14:20], TOKENS[:8] + TOKENS[18:24], TOKENS[:4] + TOKENS[20:]]
ENDINGS = [[5 + (k * 31 + i * 11) % 90 for i in range(8)] for k in range(12)]
SCORED = [TOKENS[: 4 + 4 * (k % 3)] + ending for k, ending in enumerate(ENDINGS)]
CONTINUATIONS = [[7 + (k * 5 + i * 3) % 80 for i in range(4)] for k in range(12)]
PIECE = 24  # tokens in a pass of the trial: its tree takes several
# In float32 the right mask moves scores by some 1e-5 nats, and one that hides the first token by half a nat.
CLOSE = {"scores": 1e-2, "replies": 1e-3}
# Where float32 cannot be had: how much further sharing may move scores, and replies, in bfloat16 than the model's own
# cache does. A coarse measure, which errs towards `hf`'s slow way: on SmolLM2-135M and nine adapters the right mask
# moved scores 0.9-2.8 times as far, and one that hides the first token 1.4-8.6 times. Replies: 1.3-2.0 and 3.6-7.0.
FURTHER = {"scores": 1.8, "replies": 2.7}


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
        with _in_float32(lm) as exact:
            parted = torch.tensor(_scores(lm) if what == "scores" else _replies(lm))
            rounding = 0.0 if exact else _score_rounding(lm) if what == "scores" else _rounding(lm)
    except Exception as error:  # noqa: BLE001 - see above
        return f"a trial of shared prefixes failed ({type(error).__name__}: {error})"
    finally:
        lm.tokens_computed, lm.kept = computed, kept
    worst, mean = float(parted.max()), float(parted.mean())  # a NaN among them makes both NaN, and so a no
    if exact:
        return "" if worst < CLOSE[what] else f"its {what} change by {worst:.3f} when prefixes are shared"
    agree = mean <= FURTHER[what] * rounding
    return "" if agree else f"shared prefixes move its {what} by {mean:.3f}, its own cache by {rounding:.3f}"


@contextmanager
def _in_float32(lm: PrefixLM) -> Iterator[bool]:
    """Let a model compute in float32 inside the block: a wrong mask is wrong in any arithmetic, and there it shows.

    Its own tensors are put aside and come back as they were, to the last bit.

    Yields:
        Whether it does: quantised or offloaded weights, and attention that knows no float32, stay as they are, and so
        does a model whose second copy would take more than half of the free memory.
    """
    tensors = [t for t in chain(lm.model.parameters(), lm.model.buffers()) if t.is_floating_point()]
    narrow = [t for t in tensors if t.dtype != torch.float32]
    if narrow and not _has_room(lm, narrow):
        yield False
        return
    autocast, lm.mixed_precision_dtype = lm.mixed_precision_dtype, None
    own = [t.data for t in narrow]
    try:
        for tensor in narrow:
            tensor.data = tensor.data.float()
        yield True
    finally:
        lm.mixed_precision_dtype = autocast
        for tensor, data in zip(narrow, own, strict=True):
            tensor.data = data


def _has_room(lm: PrefixLM, tensors: list[torch.Tensor]) -> bool:
    plain = all(p.is_floating_point() and p.device.type == lm.device.type for p in lm.model.parameters())
    if not plain or lm.model.config._attn_implementation not in {"sdpa", "eager"}:  # noqa: SLF001 - no public reader
        return False
    return 4 * sum(t.numel() for t in tensors) <= free_memory(lm.device) // 2


def _plain(lm: PrefixLM, tokens: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = lm.model(input_ids=torch.tensor([tokens], device=lm.device)).logits[0]
    return logits.float()


def _scores(lm: PrefixLM) -> list[float]:
    """Differences in nats between shared and plain scores."""
    with tree_attention(lm.model):
        shared = lm.scorer(PIECE).score(SCORED, CONTINUATIONS, DynamicCache(config=lm.model.config))
    return [abs(a - b) for (a, _), b in zip(shared, _plain_scores(lm), strict=True)]


def _plain_scores(lm: PrefixLM) -> list[float]:
    return [_score(_plain(lm, tokens), wanted) for tokens, wanted in zip(SCORED, CONTINUATIONS, strict=True)]


def _score_rounding(lm: PrefixLM) -> float:
    """Mean difference in nats between scores on the model's own cache and in whole passes."""
    moved = []
    for tokens, wanted, alone in zip(SCORED, CONTINUATIONS, _plain_scores(lm), strict=True):
        cache = DynamicCache(config=lm.model.config)
        before = len(tokens) - len(wanted) - 2
        with torch.inference_mode():
            for part in (tokens[:before], tokens[before:]):
                given = torch.tensor([part], device=lm.device)
                logits = lm.model(input_ids=given, past_key_values=cache, use_cache=True).logits[0].float()
        moved.append(abs(_score(logits, wanted) - alone))
    return sum(moved) / len(moved)


def _score(logits: torch.Tensor, wanted: list[int]) -> float:
    rows = torch.log_softmax(logits[-len(wanted) :], dim=-1)
    return float(rows[range(len(wanted)), wanted].double().sum())


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
