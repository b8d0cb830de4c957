"""From a voice to what it takes to speak as it: system, persona, stage and adapter, with all faults at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from persbench.errors import Fault, FaultsError, PersbenchError, UnknownNameError
from persbench.harness.dialogue import Talk
from persbench.harness.settings import RunSettings
from persbench.harness.voices import Voice as Cast
from persbench.harness.voices import split_systems, voices_of
from persbench.systems.base import Situation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from persbench.conversation.asks import Voice
    from persbench.models.chat import Message
    from persbench.packs.pack import Pack


@dataclass(frozen=True)
class Role:
    """A voice with all that it takes to speak.

    Attributes:
        cast: System, persona and adapter.
        situation: Persona and stage.
    """

    cast: Cast
    situation: Situation

    @property
    def adapter(self) -> Path | None:
        """Folder of the adapter that the base model wears; None for a prompted system."""
        return self.cast.adapter

    @property
    def thinks(self) -> bool:
        """Whether an analysis comes before what is said."""
        return self.cast.system.analysis

    def talk(self, history: Sequence[Message], kept: int) -> Talk:
        """Return a conversation as the harness fits it: exchanges that may go, after messages that always stay.

        Args:
            history: What was said, as in `Ask`; the last message is what is to be answered.
            kept: How many of the first messages stay; an even number.

        Raises:
            PersbenchError: The history does not take turns.
        """
        turns = [message["role"] for message in history]
        if turns != ["user", "assistant"] * (len(turns) // 2) + ["user"] or kept % 2 or kept >= len(turns):
            raise PersbenchError("a history must take turns, and begin and end with what was said to the voice")
        head = list(history[:kept])
        texts = [message["content"] for message in history[kept:-1]]
        said = [{"user": ask, "reply": reply} for ask, reply in zip(texts[::2], texts[1::2], strict=True)]

        def compose(turns: list[Message], less: int) -> list[Message]:
            return self.cast.system.messages(self.situation, [*head, *turns], less)

        return Talk(compose, (), said)


def roles_of(voices: Iterable[Voice], pack: Pack, embedder: str | None = None) -> dict[Voice, Role]:
    """Find systems, personas, stages and adapters of voices, before any model is loaded.

    Args:
        voices: Who speaks; repeated ones count once.
        pack: The world.
        embedder: Folder or hub id of the embedder that retrieval uses; the default one if None.

    Raises:
        FaultsError: Some cannot speak: every one with its reason.
    """
    roles: dict[Voice, Role] = {}
    faults: dict[tuple[str, str], Fault] = {}
    folders: dict[str, Voice] = {}
    for voice in dict.fromkeys(voices):
        try:
            roles[voice] = _role(voice, pack, embedder)
        except PersbenchError as error:
            # What is wrong with a system is wrong whoever it speaks as, and told once.
            faults.setdefault((voice.system, str(error)), Fault(str(voice), None, str(error)))
            continue
        first = folders.setdefault(voice.name, voice)
        if first.system != voice.system:
            message = f"{first.system} has the same name: one of them needs a name of its own"
            fault = Fault(str(voice), None, message, "NAME=DIR with another NAME")
            faults.setdefault((voice.system, message), fault)
    if faults:
        raise FaultsError("these cannot speak", faults.values())
    return roles


def adapters_of(roles: Mapping[Voice, Role]) -> set[Path]:
    """Return the folders of all adapters that some voices speak by."""
    return {role.adapter for role in roles.values() if role.adapter is not None}


def _role(voice: Voice, pack: Pack, embedder: str | None) -> Role:
    systems, sanity = split_systems([voice.system])
    if sanity:
        raise PersbenchError(f"{voice.system} looks at the surface of candidates alone: it says nothing.")
    data = pack.persona(voice.persona)
    stage = pack.stage(voice.stage)
    if stage.id not in data.persona.stages:
        raise UnknownNameError(f"stage of {voice.persona}", stage.id, list(data.persona.stages))
    settings = RunSettings(model=None, pack=pack.path, out=pack.path, personas=(voice.persona,), embedder=embedder)
    (cast,) = voices_of(systems, pack, [data], settings)
    return Role(cast, Situation(pack, data, stage))
