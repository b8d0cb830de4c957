"""The form of a record and of its samples, checked field by field before any of it is used."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from persbench.records import FORMAT, CellRecord
from persbench.submission.findings import FORM, NAMES, Findings, plain, shown
from persbench.submission.names import is_plain_fact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.samples import Row

MOST_SAMPLES: Final = 20_000
NEVER_NULL: Final = (
    "branches",
    "probes",
    "transcripts",
    "faults",
    "calm_fault",
    "dropped_turns",
    "reply",
    "replies",
    "chosen",
)
"""Fields that a sample has or has not; those that may be null say that something has no value."""
_MOST_FACTS: Final = 60
_DEEPEST: Final = 8
_LONGEST_TEXT: Final = 100_000
_WIDTH: Final = 64

Number = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=_LONGEST_TEXT)]
Name = Annotated[str, Field(max_length=300)]


class _Form(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _Branch(_Form):
    label: Name
    loglikelihoods: list[Number | None] | None = None
    scores: list[Number] | None = None
    anchors: list[Number | None] | None = None
    calm: list[Number | None] | None = None
    analysis: Text | None = None


class _Probe(_Form):
    after: int
    ask: Text


class _Exchange(_Form):
    user: Text
    reply: Text
    analysis: Text | None = None


class _Statement(_Form):
    id: Name
    domain: Name
    keyed: int
    target: Number | None


class _Sample(_Form):
    """What `persbench.samples.sample_row` may keep of an item; which fields a task has, its document decides."""

    id: Name
    persona: Name
    stage: Name
    cluster: Name
    kind: Name
    rendering: Name = ""
    labels: Annotated[list[Name], Field(max_length=_WIDTH)]
    own: int | None
    chance: dict[Name, Number]
    system: Name
    pack_hash: Name
    metrics: dict[Name, Annotated[list[Any], Field(max_length=2)]]
    anchors: list[Number | None] | None = None
    bytes: list[int] | None = None
    loglikelihoods: list[Number | None] | None = None
    scores: list[Number] | None = None
    branches: list[_Branch] | None = None
    statement: _Statement | None = None
    target: Name | None = None
    probes: dict[Name, list[_Probe]] | None = None
    transcripts: dict[Name, list[_Exchange]] | None = None
    analysis: Text | None = None
    analyses: list[Text | None] | None = None
    faults: dict[Name, Text] | None = None
    calm_fault: Text | None = None
    dropped_turns: dict[Name, int] | None = None
    left_out: int | None = None
    chosen: list[int | None] | None = None
    sorted_as: Name | None = None
    reply: Text | None = None
    replies: list[Text] | None = None


class _Task(_Form):
    version: Name
    hash: Name
    samples: Annotated[list[Any], Field(min_length=1)]


class _Record(_Form):
    system: str
    persona: str
    key: Name
    signature: Annotated[dict[Name, str | int | Number | bool | None], Field(max_length=_MOST_FACTS)]
    tasks: Annotated[dict[Name, _Task], Field(min_length=1)]
    provenance: dict[Name, Any]
    run: dict[Name, Any]
    format: Literal[FORMAT]  # type: ignore[valid-type]


@dataclass(frozen=True)
class Formed:
    """A record whose frame is in form.

    Attributes:
        record: The record.
        rows: Task name -> its samples that are in form.
        ids: Task name -> ids of all its samples, also of those that are not.
    """

    record: CellRecord
    rows: dict[str, list[Row]]
    ids: dict[str, list[str]]


def record_of(content: Any, findings: Findings) -> Formed | None:
    """Return the record that a file's content is.

    Args:
        content: Plain values, as read from JSON.
        findings: Gets every fault of form.

    Returns:
        None where even its frame is not that of a record.
    """
    try:
        _Record.model_validate(content)
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False)[:1000]:
            findings.add(FORM, f"{_place(one['loc']) or 'the record'}: {one['msg']}")
        return None
    record = CellRecord(**content)
    rows: dict[str, list[Row]] = {}
    for name, task in record.tasks.items():
        samples = task["samples"]
        if len(samples) > MOST_SAMPLES:
            findings.add(FORM, f"{shown(name)}: {len(samples):,} samples; no task has more than {MOST_SAMPLES:,}")
            return None
        checked = (check_sample(one, f"{plain(name)}, sample {n}", findings) for n, one in enumerate(samples, 1))
        rows[name] = [row for row in checked if row is not None]
    for key, value in record.signature.items():
        if not is_plain_fact(key) or (isinstance(value, str) and not is_plain_fact(value)):
            findings.add(
                NAMES, f"signature: {shown(key)} is {shown(value)}: facts are short, in one line, without < and >"
            )
    for name in ("provenance", "run"):
        if (fault := _free_fault(getattr(record, name))) is not None:
            findings.add(FORM, f"{name}: {fault}")
    return formed(record, rows)


def formed(record: CellRecord, rows: dict[str, list[Row]]) -> Formed:
    """Put a record beside those of its samples that are in form."""
    ids = {
        name: [one["id"] for one in task["samples"] if isinstance(one, dict) and isinstance(one.get("id"), str)]
        for name, task in record.tasks.items()
    }
    return Formed(record, rows, ids)


def check_sample(sample: Any, where: str, findings: Findings) -> Row | None:
    """Check one sample's form.

    Returns:
        The sample, or None where it has a fault, which is noted.
    """
    if isinstance(sample, dict) and isinstance(sample.get("id"), str):
        where = f"{where.partition(',')[0]}, document {plain(sample['id'])}"
    try:
        read = _Sample.model_validate(sample)
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False)[:50]:
            findings.add(FORM, f"{where}: {_place(one['loc']) or 'the sample'}: {one['msg']}")
        return None
    told = [f"{where}: {name} is null" for name in NEVER_NULL if name in sample and sample[name] is None]
    told += [
        f"{where}: {plain(metric)} is {_values(pair)}; expected a finite number and true, or null and false"
        for metric, pair in read.metrics.items()
        if not _is_pair(pair)
    ]
    for message in told:
        findings.add(FORM, message)
    return None if told else sample


def _place(parts: Sequence[str | int]) -> str:
    """Write where in a record something stands, in one harmless line."""
    return shown(".".join(str(part)[:40] for part in parts), 200)[1:-1]


def _is_pair(pair: list[Any]) -> bool:
    """Whether a metric is [finite number, true], or [null, false]."""
    if len(pair) != 2 or type(pair[1]) is not bool:  # noqa: PLR2004 - a pair
        return False
    number = type(pair[0]) in (int, float) and math.isfinite(pair[0])
    return number if pair[1] else pair[0] is None


def _values(pair: list[Any]) -> str:
    return f"[{', '.join(shown(value) for value in pair)}]"


def _free_fault(value: Any, depth: int = 0) -> str | None:
    """Say what is wrong with a part of a record that may hold anything of bounded size."""
    if depth > _DEEPEST:
        return f"nested deeper than {_DEEPEST} levels"
    if isinstance(value, dict):
        return next((f for part in (*value, *value.values()) if (f := _free_fault(part, depth + 1))), None)
    if isinstance(value, list):
        return next((f for part in value if (f := _free_fault(part, depth + 1))), None)
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        return f"a text of {len(value):,} characters; at most {_LONGEST_TEXT:,}"
    if isinstance(value, float) and value - value != 0:
        return f"the number {value}, which is not finite"
    return None
