"""Where a rater stands: conversations, ratings and preferences as plain values, and what comes next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persbench.study.settings import StudySettings, Turns

Role = Literal["user", "assistant"]
Choice = Literal["a", "b", "tie"]
StepKind = Literal["consent", "chat", "rate", "prefer", "done", "withdrawn"]
CHOICES: Final[tuple[Choice, ...]] = ("a", "b", "tie")


@dataclass(frozen=True)
class StoredMessage:
    """One message as it stands in the store.

    Attributes:
        turn: From 1; the rater's message and its reply share one.
        role: `user` is the rater.
        text: Without control characters.
        at: Seconds since 1970.
        seconds: How long it took to make, where that is known.
    """

    turn: int
    role: Role
    text: str
    at: float
    seconds: float | None = None


@dataclass(frozen=True)
class TaskState:
    """One conversation of a rater.

    Attributes:
        position: From 1.
        label: What the rater knows the partner as, such as `A`.
        persona: Whom it speaks as.
        stage: At which stage.
        system: Its name in the settings; it must never reach the rater.
        messages: In order.
        is_ended: The rater has ended it.
        ratings: Scale to value, None where the rater cannot say; empty before the rating.
    """

    position: int
    label: str
    persona: str
    stage: str
    system: str
    messages: tuple[StoredMessage, ...] = ()
    is_ended: bool = False
    ratings: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def turns(self) -> int:
        """Messages of the rater that have their reply."""
        return sum(message.role == "assistant" for message in self.messages)

    @property
    def reply_due(self) -> StoredMessage | None:
        """The rater's message that has no reply yet."""
        return self.messages[-1] if self.messages and self.messages[-1].role == "user" else None

    def may_end(self, turns: Turns) -> bool:
        """Whether the rater may end it now."""
        return self.turns >= turns.min and self.reply_due is None

    def is_over(self, turns: Turns) -> bool:
        """Whether nothing more is said in it."""
        return self.is_ended or self.turns >= turns.max


@dataclass(frozen=True)
class PairState:
    """One preference of a rater: positions of both partners, and which one was chosen (None: not yet)."""

    first: int
    second: int
    choice: Choice | None = None


@dataclass(frozen=True)
class Step:
    """What a rater does next.

    Attributes:
        kind: Consent, chat, rate, prefer; or done, or withdrawn.
        position: The conversation, for chat and rate.
        pair: Positions of both partners, for prefer.
    """

    kind: StepKind
    position: int | None = None
    pair: tuple[int, int] | None = None


def step_of(tasks: Sequence[TaskState], pairs: Sequence[PairState], settings: StudySettings) -> Step:
    """Return the first thing that is not done yet: each conversation, its ratings, and what it completes a pair of."""
    if not tasks:
        return Step("consent")
    for task in tasks:
        if not task.is_over(settings.turns):
            return Step("chat", position=task.position)
        if not task.ratings:
            return Step("rate", position=task.position)
        for pair in pairs:
            if pair.second == task.position and pair.choice is None:
                return Step("prefer", pair=(pair.first, pair.second))
    return Step("done")
