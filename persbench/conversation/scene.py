"""From a scenario to what each side reads: where they are, what it wants, and what was said as that side heard it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from persbench.conversation.asks import Ask, Voice
from persbench.conversation.records import Agent, Conversation
from persbench.provenance import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.conversation.records import Side
    from persbench.models.chat import Message
    from persbench.packs.pack import Pack
    from persbench.packs.scenario import Scenario

SCENE: Final = "{setting}\n\nYou are here with {other}. {aim}\n\nSay only your own words, a few sentences at a time."
BEGINS: Final = "You speak first."
REPLIES: Final = '{other} speaks first: "{opening}"'
KEPT: Final = 2
"""The scene and the first words spoken in it stay, whatever else a small context loses."""


def scene_fingerprint() -> str:
    """Return eight hex digits of the wording around a scenario's texts, for the signature."""
    return digest([SCENE, BEGINS, REPLIES, KEPT], 8)


def other_side(side: Side) -> Side:
    """Return who is talked with."""
    return "b" if side == "a" else "a"


def speaker_of(turn: int) -> Side:
    """Return who speaks in a turn; turn 0 is the opening of `a`."""
    return "b" if turn % 2 else "a"


def heard(scenario: Scenario, pack: Pack, conversation: Conversation, side: Side, count: int) -> tuple[Message, ...]:
    """Return the first utterances of a conversation as one side has heard and said them.

    Args:
        scenario: Where they are, and what they want.
        pack: The world, for the other's name.
        conversation: Who talks, and what was said.
        side: Who listens.
        count: How many utterances, the opening among them; at least 1.

    Returns:
        Messages that take turns, the first with the scene in it; the other's are of the role "user".
    """
    other = pack.persona(conversation.agent(other_side(side)).persona).persona.name
    aim = scenario.aim_a if side == "a" else scenario.aim_b
    scene = SCENE.format(setting=scenario.setting, other=other, aim=aim)
    said = [turn.text for turn in conversation.turns[:count]]
    if side == "a":
        texts = [f"{scene} {BEGINS}", *said]
    else:
        texts = [f"{scene}\n\n{REPLIES.format(other=other, opening=said[0])}", *said[1:]]
    return tuple({"role": "assistant" if i % 2 else "user", "content": text} for i, text in enumerate(texts))


def next_ask(scenario: Scenario, pack: Pack, conversation: Conversation, voice: Voice) -> Ask:
    """Return what is to be asked for the next utterance.

    Args:
        scenario: The scenario.
        pack: The world.
        conversation: What was said so far.
        voice: Who speaks next.
    """
    turn = len(conversation.turns)
    history = heard(scenario, pack, conversation, speaker_of(turn), turn)
    return Ask(voice, history, seed_of(scenario.id, conversation.seed, turn), min(KEPT, len(history) - 1))


def seed_of(scenario: str, seed: int, turn: int) -> int:
    """Return the seed of one utterance: the same for every pair of systems, another for every utterance."""
    return int(digest(["utterance", scenario, seed, turn], 15), 16)


def depth_of(after: int) -> int:
    """Return how many exchanges lie behind a speaker that has heard and said so many utterances.

    An exchange is what the other says and one's own reply: the opening of `a` answers nothing.
    """
    return after // 2


def utterances_at(side: Side, depth: int) -> int:
    """Return the utterances behind a side after so many exchanges; its own is the last of them."""
    return 0 if depth == 0 else 2 * depth + (side == "a")


def agent_of(voice: Voice) -> Agent:
    """Return a voice as records name it."""
    return Agent(voice.name, voice.persona, voice.stage)


def rows_of(scenarios: Sequence[Scenario]) -> dict[str, dict[str, object]]:
    """Return scenarios as plain rows, for records."""
    return {scenario.id: scenario.model_dump(mode="json") for scenario in scenarios}
