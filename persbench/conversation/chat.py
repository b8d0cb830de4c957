"""One person and one persona in conversation: what was said, and what is asked next."""

from __future__ import annotations

import json
import unicodedata
from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from persbench.conversation.asks import Ask, Piece, Voice

if TYPE_CHECKING:
    from collections.abc import Generator

    from persbench.conversation.speakers import Speakers
    from persbench.models.chat import Message

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_DELETE = 0x7F


class Streaming(Protocol):
    """What speaks a reply piece by piece (see `persbench.conversation.speakers.Speakers`)."""

    def aloud(self, ask: Ask) -> Generator[Piece, None, None]:
        """Speak one reply, and think it over first where the voice does."""
        ...


def warm_up(speakers: Speakers, voice: Voice) -> None:
    """Do what is done once for a model and a voice before somebody waits for it.

    Two openings that nobody hears leave behind what they share: the voice's own messages, already computed.

    Args:
        speakers: Who speaks.
        voice: Whoever of them.
    """
    brief = copy(speakers)
    least = {"max_gen_toks": 1}
    speech = speakers.speech
    brief.speech = replace(speech, settings=speech.settings | least, thinking=speech.thinking | least)
    brief.replies([Ask(voice, ({"role": "user", "content": text},), 0) for text in ("Hello.", "What is it?")])


def harmless(text: str) -> str:
    """Make text safe to be shown in a terminal: control characters become their pictures, direction marks go.

    Args:
        text: Any text; line feeds and tabs stay as they are.
    """
    return "".join(_shown(char) for char in text)


def _shown(char: str) -> str:
    if char in "\n\t":
        return char
    if char in _BIDI:
        return ""
    kind = unicodedata.category(char)
    if kind == "Cs":
        return "\ufffd"
    if kind != "Cc":
        return char
    if ord(char) == _DELETE:
        return "\u2421"
    return chr(0x2400 + ord(char)) if ord(char) < 0x20 else "\ufffd"  # noqa: PLR2004 - pictures stand for C0 alone


@dataclass
class Chat:
    """A conversation that goes on as long as somebody asks.

    Attributes:
        voice: Who speaks, and when.
        seed: Of the first reply; every further one has the next.
        messages: What was said: "user" is the person, "assistant" the persona.
        asked: What was last asked, for asking it again.
        replies: How many were begun.
    """

    voice: Voice
    seed: int = 0
    messages: list[Message] = field(default_factory=list)
    asked: str = ""
    replies: int = 0

    def say(self, text: str) -> Ask:
        """Add what the person says, and return what is to be asked."""
        self.asked = text
        self.messages.append({"role": "user", "content": text})
        return self._ask()

    def again(self) -> Ask | None:
        """Take the last reply back and return what is to be asked for another one; None where nothing was asked yet."""
        if not self.asked:
            return None
        if self.messages and self.messages[-1]["role"] == "assistant":
            self.messages.pop()
        if not self.messages:  # the stage has changed since
            return self.say(self.asked)
        return self._ask()

    def _ask(self) -> Ask:
        ask = Ask(self.voice, tuple(self.messages), self.seed + self.replies)
        self.replies += 1
        return ask

    def hear(self, reply: str) -> None:
        """Add what the persona said; after nothing at all, what was asked is taken back."""
        if reply.strip():
            self.messages.append({"role": "assistant", "content": reply.strip()})
        elif self.messages and self.messages[-1]["role"] == "user":
            self.messages.pop()

    def move(self, stage: str) -> None:
        """Go to another stage: somebody who has heard nothing of this conversation, which begins anew."""
        self.voice = replace(self.voice, stage=stage)
        self.messages = []

    def as_markdown(self, name: str) -> str:
        """Write the conversation for people.

        Args:
            name: The persona's.
        """
        head = f"# {name}, {self.voice.stage} ({self.voice.system})\n"
        who = {"user": "You", "assistant": name}
        return head + "".join(f"\n**{who[m['role']]}:** {m['content']}\n" for m in self.messages)

    def as_json(self) -> str:
        """Write the conversation for programs: voice, seed, messages."""
        voice = {"system": self.voice.system, "persona": self.voice.persona, "stage": self.voice.stage}
        content = {"voice": voice, "seed": self.seed, "messages": self.messages}
        return json.dumps(content, ensure_ascii=False, indent=2) + "\n"
