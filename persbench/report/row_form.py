"""The form of an item that every reader of results takes for granted: what a stranger's file may hold otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, Strict, TypeAdapter, ValidationError

from persbench.visible import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persbench.samples import Row

MOST_TOLD: Final = 200
Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=-(2**53), le=2**53)]  # beyond that a float holds it no more
Numbers = list[Number | None] | None
Pair = Annotated[tuple[Number | None, bool], Strict(strict=False)]  # a list in JSON


class _Form(BaseModel):
    model_config = ConfigDict(strict=True)


class _Branch(_Form):
    label: str = ""
    loglikelihoods: Numbers = None
    anchors: Numbers = None
    calm: Numbers = None


class _Exchange(_Form):
    user: str = ""
    reply: str = ""


class _Item(_Form):
    """Fields that have a type wherever they are; which of them an item has, its task decides."""

    id: str = ""
    persona: str = ""
    stage: str = ""
    cluster: str = ""
    kind: str = ""
    rendering: str = ""
    system: str = ""
    pack_hash: str = ""
    labels: list[str] = []
    own: Count | None = None
    bytes: list[Count] = []
    loglikelihoods: Numbers = None
    anchors: Numbers = None
    branches: list[_Branch] = []
    chance: dict[str, Number] = {}
    metrics: dict[str, Pair] = {}
    probes: dict[str, list[dict[str, Any]]] = {}
    transcripts: dict[str, list[_Exchange]] = {}
    faults: dict[str, str] = {}
    calm_fault: str = ""
    dropped_turns: dict[str, Count] = {}
    left_out: Count | None = None
    chosen: list[Count | None] = []
    sorted_as: str | None = None
    target: str | None = None
    statement: dict[str, Any] | None = {}
    reply: str = ""
    replies: list[str] = []


_ITEMS: Final = TypeAdapter(list[_Item])
_FACT: Final = TypeAdapter(str | Count | Number | bool | None, config=ConfigDict(strict=True))


def require_form(tasks: Mapping[str, Sequence[Row]], signature: Mapping[str, Any]) -> None:
    """Refuse items with numbers that are none, or with fields of another type than readers compute with.

    Args:
        tasks: Task name -> its items, as they were read from a file.
        signature: The facts behind their numbers.

    Raises:
        ValueError: Says what stands where.
    """
    for fact, value in signature.items():
        try:
            _FACT.validate_python(value)
        except ValidationError:
            raise ValueError(f"signature: {visible(fact[:MOST_TOLD])} is neither a text nor a finite number") from None
    for task, rows in tasks.items():
        try:
            _ITEMS.validate_python(rows)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            place, *rest = first["loc"]
            where = f"{task[:MOST_TOLD]}, item {int(place) + 1}, {'.'.join(str(part)[:40] for part in rest)}"
            raise ValueError(visible(f"{where}: {first['msg']}")) from None
