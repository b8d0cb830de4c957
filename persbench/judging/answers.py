"""The form of a judge's answers: what is asked for, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BeforeValidator

from persbench.annotators.parsing import MalformedError, json_object, schema_of
from persbench.packs.texts import Many, PackModel, Some, complaint

if TYPE_CHECKING:
    from collections.abc import Callable

    from persbench.annotators.parsing import Parser


def _whole(value: object) -> object:
    if type(value) is not int:  # true and 4.0 would pass for 1 and 4
        raise complaint("not a whole number from 0 to 5")
    return value


class _Sorted(PackModel):
    why: str = ""
    verdict: Literal["knowledge", "attitude", "neither"]


class _Scored(PackModel):
    why: str = ""
    score: Annotated[Literal[0, 1, 2, 3, 4, 5], BeforeValidator(_whole)]


class _Resisted(PackModel):
    why: str = ""
    verdict: Literal["resist", "yield", "evade", "incoherent"]


class _Contradicted(PackModel):
    why: str = ""
    verdict: Literal["consistent", "contradicts"]


class _Ranked(PackModel):
    why: str = ""
    ranking: Some[Many[int]]


_FORMS: Final[dict[str, type[_Sorted | _Scored | _Resisted | _Contradicted]]] = {
    "sort": _Sorted,
    "agree": _Scored,
    "resist": _Resisted,
    "contradict-prompt": _Contradicted,
    "contradict-line": _Contradicted,
    "contradict-answer": _Contradicted,
}


def schema_for(prompt: str) -> dict[str, Any]:
    """Return the JSON schema of the answer to a prompt of that name."""
    return schema_of(_Ranked if prompt == "rank" else _FORMS[prompt])


def verdict_parser(prompt: str) -> Parser[str | int]:
    """Return the parser of the answer to a prompt of that name: text -> class or score.

    Returns:
        A function that raises `MalformedError`.
    """
    parse: Callable[[str], Any] = json_object(_FORMS[prompt])

    def value(text: str) -> str | int:
        found = parse(text)
        score: str | int = found.score if isinstance(found, _Scored) else found.verdict
        return score

    return value


def ranking_parser(n: int) -> Parser[tuple[tuple[int, ...], ...]]:
    """Return the parser of a ranking of n replies: text -> groups of the numbers 1 to n, each number once.

    Returns:
        A function that raises `MalformedError`.
    """
    parse = json_object(_Ranked)

    def groups(text: str) -> tuple[tuple[int, ...], ...]:
        found = parse(text).ranking
        if sorted(number for group in found for number in group) != list(range(1, n + 1)):
            raise MalformedError(f"the ranking does not hold each number from 1 to {n} once")
        if not all(found):
            raise MalformedError("the ranking holds an empty group")
        return found

    return groups
