"""The analysis that a trained persona makes before it speaks.

PersLLM (arXiv 2407.12393) trains `[Analysis] ... [Response] ...`. A turn is made in two steps (variant `greedy`): the
analysis, greedily and cut at `TOKENS`, then the response after it, whatever the task's settings are: a candidate is
scored there, a reply is generated there. Generated in one go (variant `none`) the turn of a small model often never
comes to its response. Either way a reply is scored, and heard in a dialogue, by its response alone.
"""

from __future__ import annotations

import inspect
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Final, Literal

from persbench.errors import UnknownNameError
from persbench.harness.asking import generated
from persbench.harness.rendering import ChatTemplate, Rendered
from persbench.models.trained_form import ANALYSIS_MARK, RESPONSE_MARK, prefill_text, reply_text, split_reply

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TOKENS: Final = 96
"""Longest analysis; so much more a turn may take that is generated in one go."""
LONGEST: Final = TOKENS + 16
"""Tokens of a prefill: an analysis between its marks."""
SETTINGS: Final[dict[str, Any]] = {"until": [RESPONSE_MARK], "max_gen_toks": TOKENS, "do_sample": False}
Variant = Literal["greedy", "none"]
VARIANTS: Final[tuple[Variant, ...]] = ("greedy", "none")


def variant_named(name: str) -> Variant:
    """Return how a turn is made: `greedy`, the model's own analysis and then the response, or `none`, in one go.

    Raises:
        UnknownNameError: Neither.
    """
    for known in VARIANTS:
        if name == known:
            return known
    raise UnknownNameError("analysis", name, list(VARIANTS))


def analyses(contexts: Sequence[Rendered], lm: Any, chat_template: ChatTemplate | None) -> list[str]:
    """Let the model analyse each context, greedily: all in one call, equal contexts once.

    The turn is opened with the mark that the model was trained to open it with. An analysis that never comes to its end
    is cut at `TOKENS` tokens.

    Args:
        contexts: What the model reads before its turn.
        lm: The lm-eval model, with its adapter.
        chat_template: Its bound `apply_chat_template`, or None.

    Returns:
        The analyses without marks.
    """
    distinct = {rendered.context: rendered for rendered in contexts}
    begun = [opened(rendered).context for rendered in distinct.values()]
    thought = dict(zip(distinct, generated(lm, begun, SETTINGS, chat_template), strict=True))
    return [text_of(thought[rendered.context]) for rendered in contexts]


def opened(rendered: Rendered) -> Rendered:
    """Open a turn with the mark that the model was trained to open it with."""
    return Rendered(f"{rendered.context}{rendered.delimiter}{ANALYSIS_MARK}", rendered.mode, " ")


def text_of(generation: str) -> str:
    """Take the marks off a generated analysis."""
    return generation.partition(RESPONSE_MARK)[0].strip().removeprefix(ANALYSIS_MARK).strip()


def prefilled(rendered: Rendered, analysis: str) -> Rendered:
    """Put an analysis between a context and what is scored or generated after it."""
    return Rendered(f"{rendered.context}{rendered.delimiter}{prefill_text(analysis)}", rendered.mode, " ")


def turns_of(branches: Sequence[Mapping[str, Any]], replies: Sequence[str]) -> list[str]:
    """Return whole turns of a document.

    Args:
        branches: Each with its `analysis`.
        replies: Generated after these, as many after each.
    """
    thoughts = chain.from_iterable(repeat(each["analysis"], len(replies) // len(branches)) for each in branches)
    return [reply_text(reply, thought) for thought, reply in zip(thoughts, replies, strict=True)]


def responses(doc: dict[str, Any], replies: Sequence[Any], lm: Any, limit: int) -> list[str]:
    """Take the analyses off generated replies; both are kept in the document, and so in the sample.

    Args:
        doc: Gets `spoken` (the responses, empty where a reply never came to one) and `analyses` (None where there was
            none).
        replies: As generated.
        lm: The lm-eval model, for its tokenizer.
        limit: Most tokens of a response.
    """
    parts = [split_reply(str(reply)) for reply in replies]
    doc["spoken"] = [within(lm, part.response, limit) for part in parts]
    doc["analyses"] = [part.analysis for part in parts]
    return list(doc["spoken"])


def within(lm: Any, response: str, limit: int) -> str:
    """Cut a response to the tokens that it may have; a shorter analysis, or none, does not make it longer.

    Args:
        lm: The lm-eval model; where it has no tokenizer nothing is cut.
        response: What was said.
        limit: Most tokens.
    """
    if not hasattr(lm, "tok_encode") or not hasattr(lm, "tok_decode"):
        return response
    taken = inspect.signature(lm.tok_encode).parameters.values()
    bare = any(each.name == "add_special_tokens" or each.kind is each.VAR_KEYWORD for each in taken)
    # A token for the beginning of a text, which some tokenizers add, is none of the response's.
    tokens = lm.tok_encode(response, **({"add_special_tokens": False} if bare else {}))
    return response if len(tokens) <= limit else str(lm.tok_decode(tokens[:limit])).strip()


def saying(settings: dict[str, Any]) -> dict[str, Any]:
    """Return generation settings of a response after an analysis: what comes after a further mark is no part of it."""
    return settings | {"until": [*settings.get("until", []), RESPONSE_MARK, ANALYSIS_MARK]}


def with_room(settings: dict[str, Any], *, analysis: bool) -> dict[str, Any]:
    """Return generation settings that leave a thinking system as many tokens for its response as any other."""
    return settings | {"max_gen_toks": int(settings["max_gen_toks"]) + TOKENS} if analysis else dict(settings)
