"""What comes of a judgement: verdicts and rankings, with all that was said for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from persbench.judging.cases import CONSISTENT
from persbench.judging.orders import Groups, groups_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persbench.annotators.calls import Answer

T = TypeVar("T")


@dataclass(frozen=True)
class Asking(Generic[T]):
    """One question to the judge and what was made of the answer.

    Attributes:
        shown: Names in the order in which they were shown; empty where there is nothing to order.
        value: The parsed answer, in names and not in numbers; None if there is none.
        reason: Why there is none.
        kind: `unanswered` or `malformed`; empty if there is a value.
        answers: What was said, a repaired answer last.
        call: Key of the call; identical questions have one answer, which is paid for once.
    """

    shown: tuple[str, ...]
    value: T | None
    reason: str = ""
    kind: str = ""
    answers: tuple[Answer, ...] = ()
    call: str = ""

    def as_row(self) -> dict[str, Any]:
        """Return it as plain data for a record."""
        value: Any = self.value
        return {
            "shown": list(self.shown),
            "value": [list(group) for group in value] if isinstance(value, tuple) else value,
            "reason": self.reason,
            "answers": [answer.text for answer in self.answers],
            "prompt_tokens": sum(answer.prompt_tokens for answer in self.answers),
            "completion_tokens": sum(answer.completion_tokens for answer in self.answers),
            "cached": bool(self.answers) and all(answer.cached for answer in self.answers),
            "call": self.call,
        }


@dataclass(frozen=True)
class Verdict:
    """A judge's verdict on one case. Unscored is a value of its own: it is never 0, nor any of the classes.

    Attributes:
        case: Id of the case.
        value: A class or a score; None where it is unscored.
        reason: Why it is unscored, in a sentence; None if it is scored.
        kind: The same as a word to count by: `unanswered`, `malformed`, `split` (the orders disagree), `empty` or
            `too_long` (the reply), or `broken` (the dialogue broke off): of these three nobody was asked.
        orders: Every question that was asked.
    """

    case: str
    value: str | int | None
    reason: str | None = None
    kind: str = ""
    orders: tuple[Asking[str | int], ...] = ()

    @property
    def tokens(self) -> int:
        """Tokens of all prompts and answers."""
        return _tokens(self.orders)

    @property
    def cached(self) -> bool:
        """Whether every answer was known already."""
        return _cached(self.orders)


@dataclass(frozen=True)
class Ranking:
    """A judge's ranking of several replies to one question.

    Attributes:
        case: Id of the case.
        places: Name -> mean place over the orders, 1 for the best, halves and thirds for ties; None where it is
            unscored. It is scored only if every order was answered: one alone would keep a leaning to a place.
        reason: As `Verdict.reason`.
        kind: As `Verdict.kind`.
        orders: Every question that was asked; each value is groups of names from best to worst.
        left_out: Names whose reply could not be shown -> why (`empty` or `too_long`): these are unscored.
    """

    case: str
    places: Mapping[str, float] | None
    reason: str | None = None
    kind: str = ""
    orders: tuple[Asking[Groups], ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def groups(self) -> Groups | None:
        """Names from best to worst, those of one mean place together; None where it is unscored."""
        return None if self.places is None else groups_of(self.places)

    @property
    def tokens(self) -> int:
        """Tokens of all prompts and answers."""
        return _tokens(self.orders)

    @property
    def cached(self) -> bool:
        """Whether every answer was known already."""
        return _cached(self.orders)


def consistent(value: str | int | None) -> bool | None:
    """Turn a verdict of contradiction into what the functions of `persbench.scoring.consistency` take."""
    return None if value is None else value == CONSISTENT


def _tokens(orders: Sequence[Asking[Any]]) -> int:
    return sum(answer.tokens for asking in orders for answer in asking.answers)


def _cached(orders: Sequence[Asking[Any]]) -> bool:
    answers = [answer for asking in orders for answer in asking.answers]
    return bool(answers) and all(answer.cached for answer in answers)
