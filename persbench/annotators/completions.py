"""Reading the body of a chat completion, as if a stranger had written it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field, ValidationError

from persbench.annotators.calls import Answer, estimated_prompt_tokens, estimated_tokens
from persbench.annotators.endpoint_faults import CallRefused, PassingFault

if TYPE_CHECKING:
    from persbench.annotators.calls import Call


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: Any = None


def read_completion(body: bytes, call: Call) -> Answer:
    """Read the answer from a body.

    Args:
        body: As it came.
        call: What was asked, to estimate tokens where the endpoint does not count them.

    Raises:
        PassingFault: No chat completion, or one without text.
        CallRefused: The model or a filter declined, or the answer ended before any text. Either bears what it took.
    """
    try:
        completion = _Completion.model_validate_json(body)
        choice = completion.choices[0]
        text = choice.message.content or ""
        text.encode("utf-8")
    except (ValidationError, UnicodeEncodeError) as error:
        where = error.errors()[0]["loc"] if isinstance(error, ValidationError) else ("text",)
        place = ".".join(map(str, where)) or "body"
        told = f"the endpoint sent what is no chat completion ({place})."
        raise PassingFault("malformed_body", told, taken=_told_usage(body)) from None
    truncated = choice.finish_reason == "length"
    prompt, written = _usage(completion.usage)
    prompt = estimated_prompt_tokens(call.messages) if prompt is None else prompt
    if written is None:
        written = call.max_tokens if truncated and not text.strip() else estimated_tokens(text)
    if choice.finish_reason == "content_filter" or (choice.message.refusal and not text.strip()):
        raise CallRefused("filtered", "the endpoint declined to answer.", (prompt, written))
    if not text.strip():
        if truncated:
            raise CallRefused(
                "empty",
                f"the model used up {call.max_tokens} tokens before it wrote a text: it needs a larger max_tokens.",
                (prompt, written),
            )
        raise PassingFault("empty", "the endpoint sent an empty answer.", taken=(prompt, written))
    return Answer(text=text, prompt_tokens=prompt, completion_tokens=written, cached=False, truncated=truncated)


def _told_usage(body: bytes) -> tuple[int, int]:
    """Return what a body that is no completion says it took; nothing where it says nothing."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return 0, 0
    prompt, written = _usage(found.get("usage") if isinstance(found, dict) else None)
    return prompt or 0, written or 0


def _usage(found: object) -> tuple[int | None, int | None]:
    usage = found if isinstance(found, dict) else {}
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    prompt, written = (
        count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None for count in counts
    )
    return prompt, written
