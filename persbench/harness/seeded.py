"""Replies each with a seed of its own, so that none depends on what else is sampled beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch
from lm_eval.models.utils import normalize_gen_kwargs

from persbench.harness.asking import generated
from persbench.harness.fitting import text_tokens
from persbench.harness.prefix_lm import PrefixLM
from persbench.harness.reply_requests import answer_text, replies_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.harness.generation import Reply
    from persbench.harness.rendering import ChatTemplate, Rendered


STOPS: Final = ("\nUser:",)  # as in the tasks' dialogues: where a model without a template speaks for the other


def sampling(max_tokens: int, temperature: float, top_p: float) -> dict[str, Any]:
    """Return generation settings.

    Args:
        max_tokens: Most tokens of a reply.
        temperature: Of the sampling; 0 takes the most probable token.
        top_p: Probability mass that is sampled from.
    """
    settings: dict[str, Any] = {"until": list(STOPS), "max_gen_toks": max_tokens}
    drawing = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0}
    return settings | (drawing if temperature > 0 else {"do_sample": False})


class Drawn(NamedTuple):
    """A generated reply, and whether it came to its end rather than to the most tokens."""

    text: str
    finished: bool


def drawn(
    lm: Any,
    contexts: Sequence[Rendered],
    settings: dict[str, Any],
    seeds: Sequence[int],
    chat_template: ChatTemplate | None,
) -> list[Drawn]:
    """Generate a reply to each context, sampled with its own seed.

    Args:
        lm: lm-eval model.
        contexts: As rendered.
        settings: Generation settings.
        seeds: One a context.
        chat_template: The model's, or None.

    Raises:
        PersbenchError: The model gave fewer or more replies than it was asked for.
    """
    replies = _together(lm, contexts, settings, seeds)
    if replies is None:
        return [_alone(lm, *each, settings, chat_template) for each in zip(contexts, seeds, strict=True)]
    lm.generate(replies, None)
    return [said_in(lm, reply, settings) for reply in replies]


def tried(
    lm: Any,
    contexts: Sequence[Rendered],
    settings: dict[str, Any],
    seeds: Sequence[int],
    chat_template: ChatTemplate | None,
) -> list[Drawn | Exception]:
    """Do what `drawn` does; where that fails, each by itself, so that the others are not lost.

    Args:
        lm: lm-eval model.
        contexts: As rendered.
        settings: Generation settings.
        seeds: One a context.
        chat_template: The model's, or None.

    Returns:
        A reply to each context, or what went wrong with it.
    """
    if not contexts:
        return []
    try:
        return list(drawn(lm, contexts, settings, seeds, chat_template))
    except Exception as error:  # noqa: BLE001 - whatever a model may raise
        if len(contexts) == 1:
            return [error]
    pairs = zip(contexts, seeds, strict=True)
    return [tried(lm, [context], settings, [seed], chat_template)[0] for context, seed in pairs]


def reply_to(lm: Any, context: Rendered, settings: dict[str, Any], seed: int) -> Reply | None:
    """Return a reply that `PrefixLM.stream` may generate token by token; None where the model cannot.

    Args:
        lm: lm-eval model.
        context: As rendered.
        settings: Generation settings.
        seed: Of the sampling.
    """
    replies = _together(lm, [context], settings, [seed])
    return None if replies is None else replies[0]


def said_in(lm: Any, reply: Reply, settings: dict[str, Any]) -> Drawn:
    """Return what a generated reply says, cut at its stop.

    Args:
        lm: lm-eval model.
        reply: As generated, by `PrefixLM.generate` or `PrefixLM.stream`.
        settings: Generation settings that it was made with.
    """
    return Drawn(answer_text(lm, reply, _normalised(lm, settings)), ended(lm, reply))


def ended(lm: Any, reply: Reply) -> bool:
    """Whether a generated reply came to its end: it is shorter than it might be, or its last token ends it."""
    return len(reply.tokens) < reply.limit or reply.tokens[-1] in lm.ends


def _together(
    lm: Any, contexts: Sequence[Rendered], settings: dict[str, Any], seeds: Sequence[int]
) -> list[Reply] | None:
    if not isinstance(lm, PrefixLM) or not contexts:
        return None
    wanted = _normalised(lm, settings)
    replies = replies_of(lm, [str(each.context) for each in contexts], wanted, seeds)
    return None if lm.hindrance(replies, wanted) else replies


def _normalised(lm: Any, settings: dict[str, Any]) -> dict[str, Any]:
    return dict(normalize_gen_kwargs(settings, lm.max_gen_toks))


def _alone(
    lm: Any, context: Rendered, seed: int, settings: dict[str, Any], chat_template: ChatTemplate | None
) -> Drawn:
    """Generate one reply as the backend does it, from torch's own random numbers, which are left as they were."""
    device = getattr(lm, "device", None)
    on_gpu = isinstance(device, torch.device) and device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        torch.manual_seed(seed)
        (text,) = generated(lm, [context.context], settings, chat_template)
    return Drawn(text, not isinstance(text, str) or text_tokens(lm, text) < int(settings["max_gen_toks"]))
