"""From chat messages to the text a model reads, with the persona's words checked to be in it.

lm-eval's `hf` backend silently drops the system message when a template refuses it. A benchmark of personas that
loses the persona measures nothing, so each rendering is looked at again and, if needed, made in another way.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from persbench.errors import PersbenchError

if TYPE_CHECKING:
    from persbench.models.chat import Message

ChatTemplate = Callable[..., Any]
Mode = Literal["chat", "folded", "plain"]
PLAIN_ROLES: Final = {"system": "", "user": "User: ", "assistant": "Assistant: "}


class Rendered(NamedTuple):
    """A context ready for a request.

    Attributes:
        context: What goes to the model: text, or lm-eval's JSON chat wrapper for endpoints.
        mode: `chat` as the template writes it; `folded` when the system message had to be moved into the first
            user turn; `plain` when there is no template.
        delimiter: What stands between context and a candidate.
    """

    context: Any
    mode: Mode
    delimiter: str


def render(messages: list[Message], chat_template: ChatTemplate | None) -> Rendered:
    """Render messages so that every one of them stands in the result.

    Args:
        messages: Chat messages, the last one the user's.
        chat_template: lm-eval's bound `apply_chat_template`, or None for a model without a template.

    Returns:
        The context and how it was made.

    Raises:
        PersbenchError: The template loses a message even when the system text is folded into the user's turn.
    """
    if chat_template is None:
        return Rendered(_plain(messages), "plain", " ")
    context = chat_template(messages, add_generation_prompt=True)
    if _holds(context, messages):
        return Rendered(context, "chat", "")
    folded = fold_system(messages)
    context = chat_template(folded, add_generation_prompt=True)
    if _holds(context, folded):
        return Rendered(context, "folded", "")
    raise PersbenchError(
        "the model's chat template drops part of the conversation, even with the persona folded into the user's turn. "
        "Give the model a template that keeps user turns, or run without one (--no-chat-template)."
    )


def fold_system(messages: list[Message]) -> list[Message]:
    """Move the system text to the head of the first user turn."""
    system = "\n\n".join(m["content"] for m in messages if m["role"] == "system")
    rest = [m for m in messages if m["role"] != "system"]
    if not system or not rest:
        return rest
    first: Message = {"role": rest[0]["role"], "content": f"{system}\n\n{rest[0]['content']}"}
    return [first, *rest[1:]]


def _holds(context: Any, messages: list[Message]) -> bool:
    """Whether every message's text stands in the context, in order."""
    text = _text_of(context)
    position = 0
    for message in messages:
        # Templates may strip a message's outer white space; anything else is a loss.
        found = text.find(message["content"].strip(), position)
        if found < 0:
            return False
        position = found + len(message["content"].strip())
    return True


def _text_of(context: Any) -> str:
    if isinstance(context, str):
        return context
    # Endpoints get lm-eval's JsonChatStr, a named tuple around the JSON of the messages, or the messages themselves.
    turns = json.loads(context.prompt) if hasattr(context, "prompt") else context
    return "\n".join(str(turn["content"]) for turn in turns)


def _plain(messages: list[Message]) -> str:
    body = "\n\n".join(f"{PLAIN_ROLES[m['role']]}{m['content'].strip()}" for m in messages)
    return f"{body}\n\nAssistant:"
