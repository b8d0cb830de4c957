"""Faults in a writer's words: pydantic's errors translated, and names that nearly fit."""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from persbench.errors import Fault
from persbench.packs.texts import PackModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

M = TypeVar("M", bound=PackModel)
Loc = tuple[str | int, ...]

_LISTED = 12
_SHOWN = 60
_HUGE_BITS = 64
_EXPECTED = {
    "string_type": "text (in quotes)",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "mapping_type": "a mapping of names to values",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of names to values",
}


def validated(
    model: type[M], data: object, shown: str, faults: list[Fault], line_of: Callable[[Loc], int | None]
) -> M | None:
    """Build a model, or gather all that keeps it from being built.

    Args:
        model: The model of the row or document.
        data: Plain data as parsed.
        shown: Name of the file in messages.
        faults: Grows by one fault for each error.
        line_of: Line for the place of an error (keys and indices from the top).

    Returns:
        The model, or None if faults were added.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        errors = error.errors(include_url=False)
    places = [e["loc"] for e in errors]
    for e in errors:
        loc = e["loc"]
        # A list whose entries all failed also counts as too short: one complaint is enough.
        if e["type"] == "too_short" and any(len(p) > len(loc) and p[: len(loc)] == loc for p in places):
            continue
        message, expected = _explain(e["type"], loc, e["msg"], e["input"], model)
        faults.append(Fault(shown, line_of(loc), message, expected))
    return None


def _explain(kind: str, loc: Loc, said: str, given: object, model: type[PackModel]) -> tuple[str, str]:
    """Return (message, expected) for one pydantic error."""
    where = _place(loc)
    prefix = f"{where}: " if where else ""
    if kind == "missing":
        parent = _place(loc[:-1])
        return (f"{parent}: " if parent else "") + f'missing key "{loc[-1]}"', ""
    if kind == "extra_forbidden":
        parent = _place(loc[:-1])
        top = [field.alias or name for name, field in model.model_fields.items()]
        near = did_you_mean(str(loc[-1]), top if len(loc) == 1 else _keys(model))
        message = (f"{parent}: " if parent else "") + f"unknown key {quoted(str(loc[-1]))}{near}"
        return message, one_of(top) if len(loc) == 1 else ""
    if kind == "pack":
        return prefix + said, ""
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", said)
        if allowed and isinstance(given, str):
            return f"{prefix}unknown value {quoted(given)}{did_you_mean(given, allowed)}", one_of(allowed)
    if kind == "too_short" and isinstance(given, list | dict):
        least = re.search(r"at least \d+", said)
        return f"{prefix}{len(given)} entries", least[0] if least else said
    return f"{prefix}found {_kind(given)}", _EXPECTED.get(kind, said.removeprefix("Input should be "))


def unknown_name(kind: str, name: str, known: Sequence[str]) -> tuple[str, str]:
    """Say that a row names something that is not there.

    Args:
        kind: What it should be, such as "stage".
        name: The name in the row.
        known: All that would be right.

    Returns:
        (message with the nearest name, what was expected), for a `Fault`.
    """
    return f"unknown {kind} {quoted(name)}{did_you_mean(name, known)}", one_of(known)


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return ` (did you mean "...")`, or nothing if no known name is near."""
    near = difflib.get_close_matches(name[:_SHOWN], known, n=1, cutoff=0.6)
    return f' (did you mean "{near[0]}"?)' if near else ""


def one_of(names: Iterable[str]) -> str:
    """List what would be right, shortened if that is a long list."""
    listed = list(names)
    if len(listed) == 1:
        return f'"{listed[0]}"'
    more = f", ... ({len(listed)} in all)" if len(listed) > _LISTED else ""
    return f"one of {', '.join(listed[:_LISTED])}{more}" if listed else "none: there is none"


def quoted(text: str) -> str:
    """Quote a text of the pack for a message: one line, printable on any terminal, not longer than a line."""
    short = text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
    return json.dumps(short, ensure_ascii=not short.isprintable())


def _place(loc: Loc) -> str:
    """Write the place of an error: stances[2].text."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part[:_SHOWN]}" for part in loc if part != "[key]"]
    place = "".join(parts).removeprefix(".")
    return place if place.isprintable() else ascii(place)


def _kind(value: object) -> str:
    """Describe a value that stands where another belongs."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > _HUGE_BITS:
        return "a huge number"  # Python refuses to print an integer of many thousand digits
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    return f"a {type(value).__name__}"


def _keys(model: type[PackModel]) -> list[str]:
    """Return every key that any part of the model knows."""
    schema: dict[str, Any] = model.model_json_schema()
    parts = [schema, *schema.get("$defs", {}).values()]
    return sorted({key for part in parts for key in part.get("properties", {})})
