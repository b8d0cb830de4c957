"""What a system is: a function from an item to chat messages, under a name and a fingerprint."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from persbench.models.chat import Message
    from persbench.packs.load import Pack, PersonaData
    from persbench.packs.schema import Stage, StageProfile


@dataclass(frozen=True)
class Situation:
    """Who is spoken to, and when: everything that a system may put before the user's turn.

    Attributes:
        pack: The world.
        data: The persona with all its rows. Test files are among them: a system may read only profile, voice,
            relations, materials and training dialogues, of this stage or earlier.
        stage: The stage at which the persona speaks.
    """

    pack: Pack
    data: PersonaData
    stage: Stage

    @property
    def profile(self) -> StageProfile:
        """The persona's own sheet at this stage."""
        return self.data.persona.stages[self.stage.id]


class System(Protocol):
    """A way to make a model speak as a persona."""

    @property
    def name(self) -> str:
        """Name on the board."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever the system would write other messages for the same situation."""
        ...

    @property
    def analysis(self) -> bool:
        """Whether it thinks aloud before it speaks: an `[Analysis]` that is split off before anything is scored."""
        ...

    def messages(self, situation: Situation, turns: list[Message], less: int = 0) -> list[Message]:
        """Put the system's own messages before the conversation.

        Args:
            situation: Persona, stage and world.
            turns: The conversation so far, its last message the user's.
            less: How many of the pieces that it can do without (retrieved units, example dialogues) to leave out,
                the least useful first, for a model whose context is too small. What makes the persona is never one.

        Returns:
            Chat messages as they go to the chat template; with nothing left to leave out, the same as before.
        """
        ...


def text_fingerprint(*texts: str) -> str:
    """Return twelve hex digits of the SHA-256 over texts, framed so that no two lists collide.

    Args:
        texts: The parts that decide what is written (name, templates, settings).
    """
    digest = hashlib.sha256()
    for text in texts:
        raw = text.encode()
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.hexdigest()[:12]
