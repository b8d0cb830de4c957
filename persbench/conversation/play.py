"""Playing conversations: turn by turn, one call for all that speak next, kept as they grow.

After every turn all that was said is saved. What comes next depends on that alone, so a run that was killed goes on
from its last whole turn, and says what it would have said.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from persbench.conversation.records import Conversation, Turn
from persbench.conversation.scene import agent_of, next_ask, speaker_of
from persbench.errors import PersbenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persbench.conversation.asks import Said, Voice
    from persbench.conversation.speakers import Speakers
    from persbench.packs.pack import Pack
    from persbench.packs.scenario import Scenario

    Saved = Callable[[list[Conversation]], None]


@dataclass(frozen=True)
class Casting:
    """A scenario and who plays it.

    Attributes:
        scenario: The scenario.
        a: Who opens.
        b: Who replies first.
    """

    scenario: Scenario
    a: Voice
    b: Voice

    def speaker(self, turn: int) -> Voice:
        """Return who speaks in a turn."""
        return self.a if speaker_of(turn) == "a" else self.b


def opened(castings: Sequence[Casting], seeds: int) -> list[Conversation]:
    """Return the conversations that are to be played: every scenario with every seed, at its authored opening."""
    return [
        Conversation(
            scenario=each.scenario.id,
            kind=each.scenario.kind,
            seed=seed,
            a=agent_of(each.a),
            b=agent_of(each.b),
            turns=(Turn("a", each.scenario.opening, authored=True),),
        )
        for each in castings
        for seed in range(seeds)
    ]


def play(
    speakers: Speakers,
    pack: Pack,
    castings: Sequence[Casting],
    conversations: list[Conversation],
    turns: int,
    saved: Saved,
) -> list[Conversation]:
    """Play conversations to their end, or to their fault.

    Args:
        speakers: Who can speak.
        pack: The world.
        castings: A casting for each scenario that occurs.
        conversations: As they stand: at their opening, or wherever an earlier run left them.
        turns: Utterances after the opening.
        saved: Called with all conversations after every turn.

    Returns:
        The conversations, in the same order. One whose speaker fails or says nothing ends there, with its reason.

    Raises:
        PersbenchError: Not one reply could be had in the first turn: that is no fault of a conversation.
    """
    by_scenario = {each.scenario.id: each for each in castings}
    played = list(conversations)
    for turn in range(1, turns + 1):
        places = [i for i, each in enumerate(played) if not each.fault and len(each.turns) == turn]
        if not places:
            continue
        asks = []
        for place in places:
            casting = by_scenario[played[place].scenario]
            asks.append(next_ask(casting.scenario, pack, played[place], casting.speaker(turn)))
        said = speakers.replies(asks)
        if turn == 1 and all(each.fault for each in said):
            raise PersbenchError(f"no conversation came to a first reply: {said[0].fault}")
        for place, each in zip(places, said, strict=True):
            played[place] = _heard(played[place], turn, each)
        saved(played)
    return played


def _heard(conversation: Conversation, turn: int, said: Said) -> Conversation:
    if said.fault:
        speaker = speaker_of(turn)
        who = conversation.agent(speaker)
        return replace(conversation, fault=f"turn {turn}, {who.system} as {who.persona}: {said.fault}")
    heard = Turn(speaker_of(turn), said.text, said.dropped_turns, said.finished, said.analysis)
    return replace(conversation, turns=(*conversation.turns, heard))
