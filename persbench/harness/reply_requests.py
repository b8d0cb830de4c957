"""lm-eval's generation requests as replies, and replies as the texts that lm-eval expects: just as `hf` does both."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import torch
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text

from persbench.harness.generation import Reply, sampler
from persbench.provenance import digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lm_eval.api.instance import Instance

SERVED = {"until", "max_gen_toks", "do_sample", "temperature", "top_k", "top_p"}
USUAL_TOP_K = 50  # what transformers takes where nothing is said
# What a model's generation_config may ask for beyond choosing the best token, with the value that asks for nothing.
NEUTRAL = {
    "repetition_penalty": 1.0, "encoder_repetition_penalty": 1.0, "no_repeat_ngram_size": 0, "num_beams": 1,
    "bad_words_ids": None, "suppress_tokens": None, "begin_suppress_tokens": None, "sequence_bias": None,
    "min_length": 0, "min_new_tokens": None, "forced_bos_token_id": None, "forced_eos_token_id": None,
    "guidance_scale": None,
}  # fmt: skip
# The same of drawing a token; where the best is taken they do nothing.
NEUTRAL_DRAW = {"min_p": None, "typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0, "top_h": None}


def grouped_by_settings(requests: list[Instance], most: int) -> Iterator[tuple[dict[str, Any], list[int]]]:
    """Group requests by their generation settings.

    Yields:
        Settings as lm-eval normalises them, and the indices of their requests.
    """
    groups: dict[str, tuple[dict[str, Any], list[int]]] = {}
    for i, request in enumerate(requests):
        settings = request.args[1]
        groups.setdefault(digest(settings), (dict(normalize_gen_kwargs(settings, most)), []))[1].append(i)
    yield from groups.values()


def unsupported(settings: dict[str, Any], config: Any) -> str:
    """Say which setting of a request or of the model's generation_config only transformers' own generation serves."""
    beyond = sorted(settings.keys() - SERVED)
    neutral = NEUTRAL | (NEUTRAL_DRAW if settings.get("do_sample") else {})
    # A tuple: a setting may be a list or a mapping, which a set cannot look for.
    beyond += [name for name, usual in neutral.items() if getattr(config, name, None) not in (usual, None)]
    return f"the setting {', '.join(beyond)}" if beyond else ""


def replies_of(
    lm: Any, contexts: list[str], settings: dict[str, Any], seeds: Sequence[int] | None = None
) -> list[Reply]:
    """Turn requests of the same settings into replies to be generated.

    Args:
        lm: lm-eval's `hf` or a model made from it.
        contexts: As rendered.
        settings: As lm-eval normalises them.
        seeds: One a request, for the sampling; made of torch's own seed and the context where None.

    Raises:
        ValueError: The reply's limit leaves no room for a prompt.
    """
    limit = settings["max_gen_toks"]
    if limit >= lm.max_length:
        raise ValueError(f"max_gen_toks {limit} leaves no room for a prompt in {lm.max_length} tokens: ask for less")
    seen: Counter[str] = Counter()
    replies: list[Reply] = []
    for number, context in enumerate(contexts):
        ids, _ = lm.tok_batch_encode([context], left_truncate_len=lm.max_length - limit, truncation=lm.truncation)
        seen[context] += 1
        reply = Reply(ids[0].tolist(), limit, tuple(filter(None, stops_of(lm, settings))))
        if settings["do_sample"] and settings["temperature"] > 0:
            top_k = settings.get("top_k", lm.model.generation_config.top_k)
            reply.sampler = sampler(
                int(digest([torch.initial_seed(), context, seen[context]]), 16) % 2**63
                if seeds is None
                else seeds[number],
                temperature=settings["temperature"],
                top_k=USUAL_TOP_K if top_k is None else top_k,
                top_p=settings.get("top_p") or lm.model.generation_config.top_p or 1.0,
            )
        replies.append(reply)
    return replies


def stops_of(lm: Any, settings: dict[str, Any]) -> list[str]:
    """Texts that end a reply: the request's, and the model's end of turn."""
    eos = lm.tok_decode(lm.eot_token_id, skip_special_tokens=False)
    return list(handle_stop_sequences(list(settings["until"]), eos=eos))


def answer_text(lm: Any, reply: Reply, settings: dict[str, Any]) -> str:
    """Decode a finished reply and cut it at its stop, as `hf` does."""
    tokens, end = reply.tokens, lm.think_end_token
    if isinstance(end, int):
        if end in tokens:
            tokens = tokens[len(tokens) - tokens[::-1].index(end) :]
        text = lm.tok_decode(tokens).lstrip()
    else:
        text = lm.tok_decode(tokens)
    return str(postprocess_generated_text(text, stops_of(lm, settings), end if isinstance(end, str) else None))


def eos_tokens(lm: Any) -> frozenset[int]:
    """Token ids at which the model itself ends."""
    ids = lm.model.generation_config.eos_token_id
    ids = ids if isinstance(ids, list) else [] if ids is None else [ids]
    return frozenset([*ids, lm.eot_token_id])
