"""What counts as an id, a line and a text in a pack, and the base of all its models."""

from __future__ import annotations

import re
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

T = TypeVar("T")


class PackModel(BaseModel):
    """A frozen model that takes no unknown key and turns nothing into another type."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


def folded(text: str) -> str:
    """Return a text without case and without its spacing: texts that are equal then are the same text."""
    return " ".join(text.casefold().split())


def complaint(message: str, **context: object) -> PydanticCustomError:
    """Return an error for a validator to raise whose message reaches the user as it stands.

    Args:
        message: What is wrong, with `{name}` where a value of `context` belongs.
        context: The values, which may hold anything that a pack holds.
    """
    # The context keeps braces inside a user's text from being taken for placeholders.
    return PydanticCustomError("pack", message, context)


def distinct(texts: dict[str, str]) -> None:
    """Refuse two texts that differ at most in case and spacing.

    Args:
        texts: Name of the place (for the message) to text.

    Raises:
        PydanticCustomError: Two are equal; the message names both places.
    """
    seen: dict[str, str] = {}
    for place, text in texts.items():
        first = seen.setdefault(folded(text), place)
        if first != place:
            raise complaint("{first} and {second} are the same text", first=first, second=place)


def _text(text: str) -> str:
    # Stripped, since a block of YAML ends in a newline and a blank at the end of a candidate would be a cue.
    text = text.strip()
    if not text:
        raise complaint("empty text")
    if found := _CONTROL.search(text):
        raise complaint(
            "control character U+{code} at character {at}", code=f"{ord(found[0]):04X}", at=found.start() + 1
        )
    return text


def _line(text: str) -> str:
    text = _text(text)
    if "\n" in text or "\t" in text:
        raise complaint("a line break or tab in a text of one line")
    return text


def is_id(value: object) -> bool:
    """Return whether a value of a file may serve as an id."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _identifier(text: str) -> str:
    if not is_id(text):
        raise complaint("not an id: letters, digits, '.', '_' and '-', at most 64, the first a letter or digit")
    return text


Text = Annotated[str, AfterValidator(_text)]
"""Prose: stripped, not empty, no control character save line break and tab."""

Line = Annotated[str, AfterValidator(_line)]
"""A `Text` of one line."""

Id = Annotated[str, AfterValidator(_identifier)]
"""A name that may stand in a file name."""

Many = Annotated[tuple[T, ...], Field(strict=False)]
"""A list in the file, a tuple in the model; the entries stay strict."""

Some = Annotated[tuple[T, ...], Field(strict=False, min_length=1)]
"""`Many`, and not empty."""
