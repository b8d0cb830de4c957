"""Systems that work by prompt alone: `vanilla` (no persona) and `prompt` (name, date, profile, voice, relations)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from persbench.errors import UnknownNameError
from persbench.systems.base import Situation, System, text_fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from persbench.models.chat import Message

INSTRUCTION: Final = (
    "You are {name}. It is {date}. Answer as {name}, in the first person, as {name} speaks and thinks "
    "at this moment of life, knowing nothing of what comes later."
)


class Vanilla:
    """The bare model: the user's turn alone. Whatever a chat template adds of its own is stored as rendered."""

    name: Final = "vanilla"
    fingerprint: Final = text_fingerprint("vanilla")

    def messages(self, situation: Situation, turns: list[Message]) -> list[Message]:  # noqa: ARG002
        """Return the conversation unchanged."""
        return list(turns)


class Prompt:
    """The profile in the system message: name, date, who the persona is, how it talks, whom it knows."""

    name: Final = "prompt"
    fingerprint: Final = text_fingerprint("prompt", INSTRUCTION, "profile/voice/relations")

    def messages(self, situation: Situation, turns: list[Message]) -> list[Message]:
        """Put the persona's sheet before the conversation."""
        return [{"role": "system", "content": persona_sheet(situation)}, *turns]


def persona_sheet(situation: Situation) -> str:
    """Write the system message of `prompt`: profile, voice and relations of this stage, nothing else.

    Trait targets and `cannot_know` are test data and never enter; a test holds this.

    Args:
        situation: Persona, stage and world.

    Returns:
        Plain text of about 250-400 words.
    """
    profile, name = situation.profile, situation.data.persona.name
    names = {p.persona.id: p.persona.name for p in situation.pack.personas}
    parts = [
        INSTRUCTION.format(name=name, date=situation.stage.date),
        f"Who you are: {profile.profile}",
        f"How you talk: {profile.voice}",
    ]
    if profile.relations:
        known = "\n".join(f"- {names.get(other, other)}: {text}" for other, text in profile.relations.items())
        parts.append(f"People you know:\n{known}")
    return "\n\n".join(parts)


SYSTEMS: Final[Mapping[str, System]] = MappingProxyType({s.name: s for s in (Vanilla(), Prompt())})


def get_system(name: str) -> System:
    """Return the system of that name.

    Raises:
        UnknownNameError: No such system; the message lists the near names and all valid ones.
    """
    try:
        return SYSTEMS[name]
    except KeyError:
        raise UnknownNameError("system", name, list(SYSTEMS)) from None
