"""What a record of conversations holds: all conversations of one pair of systems, what was said and what was probed.

Every figure about it is computed from it anew. Two equal runs give the same bytes, so nothing in it tells the time.
Files are written and read in `record_files`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from persbench.scoring.choice import anchor, winners

FORMAT: Final = 1
KIND: Final = "persbench-conversations"

Side = Literal["a", "b"]


@dataclass(frozen=True)
class Agent:
    """Who speaks on one side of a conversation.

    Attributes:
        system: Name of the system, without the folder of its adapters.
        persona: Persona id.
        stage: Stage id.
    """

    system: str
    persona: str
    stage: str


@dataclass(frozen=True)
class Turn:
    """One utterance.

    Attributes:
        speaker: Whose it is.
        text: What was said and heard: of a reply that opens with an analysis, its response alone.
        dropped: How many of the oldest exchanges no longer fitted the speaker's context.
        finished: Whether the speaker came to its end; False where it was cut at the most tokens.
        analysis: What the speaker thought first; None where it does not think aloud.
        authored: Whether it is the scenario's opening, which no model said.
    """

    speaker: Side
    text: str
    dropped: int = 0
    finished: bool = True
    analysis: str | None = None
    authored: bool = False


@dataclass(frozen=True)
class Probe:
    """A question put to one speaker off the record: the likelihood of each authored stance, at one point of the talk.

    Attributes:
        speaker: Who was asked.
        question: Id of the shared question.
        after: How many utterances had been heard, the opening among them; 0 is before the talk.
        ask: The wording.
        stances: Stance ids, in the question's order.
        scores: Nats per byte of each stance; None where unscored.
        anchors: What each costs without a persona, in nats per byte; None where unscored.
        own: The stance that the persona's own answer takes at its stage; None where the pack has none.
        analysis: What the speaker thought before; None where it does not think aloud.
    """

    speaker: Side
    question: str
    after: int
    ask: str
    stances: tuple[str, ...]
    scores: tuple[float | None, ...]
    anchors: tuple[float | None, ...]
    own: str | None
    analysis: str | None = None

    @property
    def anchored(self) -> list[float | None]:
        """Scores minus anchors, in nats per byte; None where either is unscored."""
        return anchor(self.scores, self.anchors)

    @property
    def chosen(self) -> str | None:
        """The stance that wins by anchored score alone; None where the probe is unscored, or a tie leaves no winner."""
        won = winners(self.anchored)
        return self.stances[won[0]] if won is not None and len(won) == 1 else None

    @property
    def scored(self) -> bool:
        """Whether every stance has a score and an anchor: of an unscored probe nothing can be said."""
        return winners(self.anchored) is not None

    @property
    def held(self) -> bool | None:
        """Whether the own stance alone wins; None where unscored, or where there is no own stance."""
        return None if self.own is None or not self.scored else self.chosen == self.own


@dataclass(frozen=True)
class Conversation:
    """One scenario, played once.

    Attributes:
        scenario: Its id.
        kind: "opposed" or "cooperative".
        seed: Of the sampling.
        a: Who opens.
        b: Who replies first.
        turns: What was said, in order: the opening of `a`, then `b` and `a` in turn. Shorter than asked for where
            the conversation broke off.
        probes: Stance probes, in order of speaker, question, `after`.
        fault: Why it broke off; empty where it came to its end.
    """

    scenario: str
    kind: str
    seed: int
    a: Agent
    b: Agent
    turns: tuple[Turn, ...] = ()
    probes: tuple[Probe, ...] = ()
    fault: str = ""

    def agent(self, side: Side) -> Agent:
        """Return who speaks on a side."""
        return self.a if side == "a" else self.b

    def said_by(self, side: Side) -> list[Turn]:
        """Return the utterances of one side, in order, the opening among them."""
        return [turn for turn in self.turns if turn.speaker == side]


@dataclass(frozen=True)
class ConversationRecord:
    """All conversations of one pair of systems.

    Attributes:
        a: System on side `a`, by name.
        b: System on side `b`, by name.
        key: Digest of everything that decides what is said; a record with another key answers another question.
        signature: Facts printed beside every number of it: pack, model, both systems with adapters, settings.
        scenarios: Scenario id -> its row in the pack (setting, aims, opening, questions).
        conversations: In order of scenario and seed.
        provenance: Versions and model facts.
        format: Version of this layout.
        record: What kind of record this is.
    """

    a: str
    b: str
    key: str
    signature: dict[str, Any]
    scenarios: dict[str, dict[str, Any]]
    conversations: tuple[Conversation, ...]
    provenance: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT
    record: str = KIND

    @property
    def pair(self) -> str:
        """Name of the pair for tables: one name where both sides are the same system."""
        return self.a if self.a == self.b else f"{self.a} / {self.b}"
