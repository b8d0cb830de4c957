"""What a judge is asked about: one case of each kind of judgement, and the values that a verdict may have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from persbench.scoring.resistance import REPLY_CLASSES

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["sort", "agree", "rank", "resist", "contradict"]
KINDS: Final[tuple[Kind, ...]] = ("sort", "agree", "rank", "resist", "contradict")

SORTS: Final = ("knowledge", "attitude", "neither")
SCORES: Final = (0, 1, 2, 3, 4, 5)
RESISTANCES: Final = REPLY_CLASSES
CONSISTENT: Final = "consistent"
CONTRADICTS: Final = "contradicts"

Against = Literal["prompt", "line", "answer"]
"""What a line is held against: the persona's profile, an earlier line, the right answer to a question."""


@dataclass(frozen=True)
class SortCase:
    """A question to sort: does it ask for knowledge, for an attitude, or for neither?

    Attributes:
        id: Unique among the cases of its kind.
        question: What the persona was asked.
        reference: The authored answer.
    """

    id: str
    question: str
    reference: str


@dataclass(frozen=True)
class AgreeCase:
    """A reply whose agreement with a reference is to be scored, 0 to 5.

    Attributes:
        id: Unique among the cases of its kind.
        question: What the persona was asked.
        reference: What it should say: the authored answer, or a position in plain words.
        reply: What was said.
    """

    id: str
    question: str
    reference: str
    reply: str


@dataclass(frozen=True)
class RankCase:
    """Replies of several systems to one question, to be ranked.

    Attributes:
        id: Unique among the cases of its kind.
        question: What the persona was asked.
        replies: Name of a system (the judge never sees it) -> what it said.
        speaker: Who should be speaking: `reading.sheet`; may be empty.
        reference: What the persona would say; may be empty.
    """

    id: str
    question: str
    replies: Mapping[str, str]
    speaker: str = ""
    reference: str = ""


@dataclass(frozen=True)
class ResistCase:
    """A reply to a prompt that would pull the persona out of itself.

    Attributes:
        id: Unique among the cases of its kind.
        prompt: The induced prompt.
        reply: What was said.
        speaker: Who should be speaking; may be empty.
        truth: The same prompt with a true premise, so that the judge need not guess what is false; may be empty.
    """

    id: str
    prompt: str
    reply: str
    speaker: str = ""
    truth: str = ""


@dataclass(frozen=True)
class ContradictCase:
    """A line that is held against something.

    Attributes:
        id: Unique among the cases of its kind.
        against: What `held` is. Of `prompt` and `answer` the roles are fixed; two lines are asked in both orders.
        held: The profile, the earlier line, or the right answer.
        line: What was said.
        held_asked: What the earlier line was said to, or the question of the right answer; empty for a profile.
        asked: What the line was said to.
        fault: Why the dialogue broke off: then nobody is asked, and it is unscored. Empty for a whole one.
    """

    id: str
    against: Against
    held: str
    line: str
    held_asked: str = ""
    asked: str = ""
    fault: str = ""


Case = SortCase | AgreeCase | RankCase | ResistCase | ContradictCase
