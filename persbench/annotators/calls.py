"""What is asked of an annotator, and what comes back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from persbench.provenance import digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persbench.models.chat import Message

KEY_FORMAT: Final = 1
_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4


@dataclass(frozen=True)
class Call:
    """One question to an annotator.

    Attributes:
        task: Name of the prompt, such as "classify"; reports count by it.
        version: Hash of the prompt file that it was made from.
        messages: What is sent, the last message being the user's.
        max_tokens: Upper bound on the length of the answer.
        temperature: 0 is greedy.
        seed: Another seed asks anew, also at temperature 0.
        schema: JSON schema of the answer, sent where the endpoint offers structured output. Whoever asks parses
            strictly all the same.
    """

    task: str
    version: str
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float = 0.0
    seed: int = 0
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Answer:
    """What an annotator said.

    Attributes:
        text: Never empty.
        prompt_tokens: Tokens of the prompt; by `estimated_tokens` where the annotator does not tell.
        completion_tokens: Tokens of the answer, likewise.
        cached: It was known already, and nothing was asked.
        truncated: It ended at `max_tokens`, so that its end is missing.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    cached: bool
    truncated: bool = False

    @property
    def tokens(self) -> int:
        """Tokens of prompt and answer."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class Unanswered:
    """No answer, after all retries. It is counted and reported, never taken for an answer, and never cached.

    Attributes:
        reason: What happened, in a sentence for reports.
        kind: The same as a word to count by: `refused`, `filtered`, `too_long`, `not_asked`, or the kind of the last
            fault on the way (`timeout`, `rate_limit`, ...).
    """

    reason: str
    kind: str = "fault"


Reply = Answer | Unanswered


def call_key(annotator: str, call: Call) -> str:
    """Return the key under which the answer to a call is kept.

    Args:
        annotator: Id of the annotator.
        call: All of it takes part.

    Returns:
        64 hexadecimal digits.
    """
    return digest(
        {
            "format": KEY_FORMAT,
            "annotator": annotator,
            "task": call.task,
            "version": call.version,
            "messages": [[message["role"], message["content"]] for message in call.messages],
            "max_tokens": call.max_tokens,
            "temperature": call.temperature,
            "seed": call.seed,
            "schema": call.schema,
        },
        64,
    )


def estimated_tokens(*texts: str) -> int:
    """Estimate tokens without a tokenizer: a quarter of the ASCII characters, and one for every other character.

    Near the truth for English prose, above it for most other scripts. It serves forecasts, rate limits and budgets
    before a call; what the annotator reports replaces it after.
    """
    total = 0
    for text in texts:
        ascii_characters = len(text.encode("ascii", "ignore"))
        total += math.ceil(ascii_characters / _CHARACTERS_PER_TOKEN) + len(text) - ascii_characters
    return total


def estimated_prompt_tokens(messages: Sequence[Message]) -> int:
    """Estimate the tokens of a prompt: its texts, and four a message for what a chat template adds."""
    return estimated_tokens(*(message["content"] for message in messages)) + _TOKENS_PER_MESSAGE * len(messages)


def most_tokens(call: Call) -> int:
    """Return the tokens that a call may cost: its estimated prompt, and the longest answer that it allows."""
    return estimated_prompt_tokens(call.messages) + call.max_tokens
