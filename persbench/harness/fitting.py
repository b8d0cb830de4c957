"""Whether a context fits a model: its window, and the tokens that a rendered context takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from persbench.harness.rendering import ChatTemplate, Rendered, render

if TYPE_CHECKING:
    from collections.abc import Callable

    from persbench.models.chat import Message

UNKNOWN = 2**31  # a chat endpoint, which gets messages, counts tokens itself


def window(lm: Any) -> int:
    """Return how many tokens of context and reply together a model takes."""
    return int(getattr(lm, "max_length", UNKNOWN)) if hasattr(lm, "tok_encode") else UNKNOWN


def tokens_of(lm: Any, rendered: Rendered) -> int:
    """Count a context's tokens; 0 where only the endpoint itself can."""
    return text_tokens(lm, rendered.context) if isinstance(rendered.context, str) else 0


def text_tokens(lm: Any, text: str) -> int:
    """Count a text's tokens; 0 where only the endpoint itself can."""
    return len(lm.tok_encode(text)) if hasattr(lm, "tok_encode") else 0


class Fitted(NamedTuple):
    """Messages that fit, as rendered, and how many of the system's pieces were left out for that."""

    messages: list[Message]
    rendered: Rendered
    less: int


def fitted(
    compose: Callable[[int], list[Message]], lm: Any, chat_template: ChatTemplate | None, room: int, less: int = 0
) -> Fitted | None:
    """Leave out pieces that the system can do without, one by one, until its messages fit.

    Args:
        compose: Writes the messages with so many pieces left out.
        lm: lm-eval model.
        chat_template: Its bound `apply_chat_template`, or None for plain text.
        room: Tokens to be kept free.
        less: How many pieces to leave out at once.

    Returns:
        None where they do not fit even with nothing left to leave out.
    """
    before: list[Message] | None = None
    while (messages := compose(less)) != before:
        rendered = render(messages, chat_template)
        if tokens_of(lm, rendered) + room <= window(lm):
            return Fitted(messages, rendered, less)
        before, less = messages, less + 1
    return None
