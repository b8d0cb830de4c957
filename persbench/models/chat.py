"""What persbench asks of a chat model, and a fake one that needs no weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Final, Literal, Protocol, TypedDict

WORDS: Final = ("harbour", "lamp", "winter", "letter", "bread", "never", "perhaps", "tomorrow", "quiet", "honest")


class Message(TypedDict):
    """One chat message, as chat templates and endpoints take it."""

    role: Literal["system", "user", "assistant"]
    content: str


Conversation = Sequence[Message]


class ChatModel(Protocol):
    """A model that continues conversations and says how likely a given continuation is."""

    def generate(self, conversations: Sequence[Conversation], *, max_new_tokens: int, seed: int) -> list[str]:
        """Answer each conversation, whose last message is the user's.

        Args:
            conversations: What was said so far.
            max_new_tokens: Upper bound on the length of each reply.
            seed: Fixes the sampling, where the model samples.

        Returns:
            One reply per conversation, in order.
        """
        ...

    def loglikelihood(self, pairs: Sequence[tuple[Conversation, str]]) -> list[float]:
        """Score each reply as the assistant's next turn.

        Args:
            pairs: Conversation and candidate reply.

        Returns:
            Natural-log likelihoods of the whole replies, in order.
        """
        ...


class ScriptedChatModel:
    """A deterministic `ChatModel`: the same answers on every machine, in any order and batch.

    Replies come from the script where it knows the last user message, else they are words chosen by a hash of the
    conversation and the seed. A log-likelihood adds up one hash value in (-4, 0] per UTF-8 byte of the reply.
    """

    def __init__(self, script: Mapping[str, str] | None = None) -> None:
        self.script = dict(script or {})

    def generate(self, conversations: Sequence[Conversation], *, max_new_tokens: int, seed: int) -> list[str]:
        """See `ChatModel.generate`; a word counts as one token."""
        return [self._reply(conversation, max_new_tokens, seed) for conversation in conversations]

    def loglikelihood(self, pairs: Sequence[tuple[Conversation, str]]) -> list[float]:
        """See `ChatModel.loglikelihood`."""
        return [self._score(conversation, reply) for conversation, reply in pairs]

    def _reply(self, conversation: Conversation, max_new_tokens: int, seed: int) -> str:
        asked = conversation[-1]["content"] if conversation else ""
        if asked in self.script:
            return " ".join(self.script[asked].split(" ")[:max_new_tokens])
        drawn = _digest(conversation, str(seed))
        length = min(max_new_tokens, 4 + drawn[0] % 9)
        return " ".join(WORDS[byte % len(WORDS)] for byte in drawn[1 : 1 + length])

    def _score(self, conversation: Conversation, reply: str) -> float:
        # A sum over positions, so that a longer reply is less likely, as in a real model.
        said = _digest(conversation, "score")
        return -sum(
            hashlib.sha256(said + bytes([byte]) + position.to_bytes(4, "big")).digest()[0] / 64
            for position, byte in enumerate(reply.encode())
        )


def _digest(conversation: Conversation, salt: str) -> bytes:
    text = json.dumps([[message["role"], message["content"]] for message in conversation])
    return hashlib.sha256(f"{salt}\n{text}".encode()).digest()
