"""Who speaks, what is asked of them, and what is said: plain values, for everybody who has conversations played."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from persbench.errors import PersbenchError, UnknownNameError

if TYPE_CHECKING:
    from persbench.models.chat import Message
    from persbench.packs.pack import Pack


@dataclass(frozen=True)
class Voice:
    """Who speaks.

    Attributes:
        system: As in `persbench run --systems`: "vanilla", "prompt", "rag", "persllm=DIR", "persllm+profile=DIR".
        persona: Persona id.
        stage: Stage id.
    """

    system: str
    persona: str
    stage: str

    def __str__(self) -> str:
        return f"{self.system}:{self.persona}:{self.stage}"

    @property
    def name(self) -> str:
        """The system's name, without the folder of its adapters."""
        return self.system.partition("=")[0].strip()


@dataclass(frozen=True)
class Ask:
    """One reply that is wanted.

    Attributes:
        voice: Who replies.
        history: What was said, as this voice sees it: the other's words are of the role "user", its own are
            "assistant"; they take turns, and the first and last are "user".
        seed: Of the sampling; the same ask with the same seed among the same asks gives the same reply.
        kept: How many of the first messages stay where the oldest go for lack of room; an even number, such as a scene
            and what was first said in it.
    """

    voice: Voice
    history: tuple[Message, ...]
    seed: int
    kept: int = 0


@dataclass(frozen=True)
class Said:
    """One reply.

    Attributes:
        text: What is said; empty where the reply has a fault.
        raw: As generated, with its analysis and marks.
        dropped_turns: How many of the oldest exchanges no longer fitted.
        finished: Whether it came to its end; False where it was cut at the most tokens.
        fault: Why nothing can be heard of it; empty while all is well.
        analysis: What was thought before; None where this voice does not think aloud, or did not.
    """

    text: str
    raw: str
    dropped_turns: int
    finished: bool
    fault: str = ""
    analysis: str | None = None


class Piece(NamedTuple):
    """Some text of a reply, and whether it is thought rather than said."""

    text: str
    is_thought: bool = False


def parse_voice(text: str, pack: Pack) -> Voice:
    """Read "SYSTEM:PERSONA[:STAGE]"; the system may hold "=DIR" with colons in it.

    Args:
        text: What a user wrote.
        pack: The world, whose names decide where the system ends.

    Returns:
        The voice; without a stage, at the persona's last.

    Raises:
        PersbenchError: Not of that form, or no such persona or stage.
    """
    system, persona, stage = split_voice(text, pack)
    if not persona:
        raise PersbenchError(f"{text!r} names no persona: write SYSTEM:PERSONA[:STAGE], such as {_example(pack)}.")
    data = pack.persona(persona)
    lived = [each.id for each in pack.world.stages if each.id in data.persona.stages]
    if stage and stage not in lived:
        raise UnknownNameError(f"stage of {persona}", stage, lived)
    return Voice(system, persona, stage or lived[-1])


def split_voice(text: str, pack: Pack) -> tuple[str, str, str]:
    """Take "SYSTEM[:PERSONA[:STAGE]]" apart; persona and stage are empty where they are not said.

    Raises:
        UnknownNameError: What stands in a persona's or a stage's place is neither.
        PersbenchError: There is no system before them.
    """
    personas = {data.persona.id for data in pack.personas}
    stages = {stage.id for stage in pack.world.stages}
    parts = [part.strip() for part in text.split(":")]
    system, persona, stage = text.strip(), "", ""
    # From the right, since a folder may hold colons, and even a persona's name.
    if len(parts) > 2 and parts[-2] in personas and (parts[-1] in stages or parts[-1] not in personas):  # noqa: PLR2004
        system, persona, stage = text.rsplit(":", 2)[0].strip(), parts[-2], parts[-1]
        if stage not in stages:
            raise UnknownNameError("stage", stage, [each.id for each in pack.world.stages])
    elif len(parts) > 1 and parts[-1] in personas:
        system, persona = text.rsplit(":", 1)[0].strip(), parts[-1]
    elif len(parts) > 1 and "=" not in text:
        raise UnknownNameError("persona", parts[1], sorted(personas))
    if not system:
        raise PersbenchError(f"{text!r} names no system: write SYSTEM:PERSONA[:STAGE], such as {_example(pack)}.")
    return system, persona, stage


def _example(pack: Pack) -> str:
    return f"prompt:{pack.personas[0].persona.id}"
