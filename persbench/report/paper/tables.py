"""What a table of the paper is, whatever it will be written as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from persbench.report.table import ends, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.scoring.stats import Interval

Value = float | int | str | None
NOT_MEASURED: Final = "not measured yet"
LONGEST_NAME: Final = 48


@dataclass(frozen=True)
class Field:
    """One field of a table.

    Attributes:
        lines: What a reader sees, a line each.
        values: What a program reads: a name beside the column's head ("" for the head itself) and the value.
        strong: The first line is set off.
        grey: The number does not count, and is set back.
    """

    lines: tuple[str, ...]
    values: tuple[tuple[str, Value], ...]
    strong: bool = False
    grey: bool = False


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        head: Its name.
        align: right for numbers; text for sentences, which may break over lines.
        share: Share of the page's width, for sentences.
        key: Its name for a program, where that is another.
    """

    head: str
    align: Literal["left", "right", "text"] = "right"
    share: float = 0.2
    key: str = ""


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        fields: One a column.
        signature: Facts behind its numbers.
        rule: A line stands above it: another block begins.
    """

    fields: tuple[Field, ...]
    signature: str = ""
    rule: bool = False


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: Short name in letters, digits and hyphens.
        title: What it shows.
        columns: From left to right.
        rows: From top to bottom, each with a field for every column.
        notes: What a reader must know beside it, a sentence each.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Document:
    """Tables that belong together, with the signatures of all their numbers."""

    tables: tuple[Table, ...]
    signatures: tuple[str, ...] = ()


MISSING: Final = Field((NOT_MEASURED,), (("", NOT_MEASURED),))


def text(value: str, *, strong: bool = False) -> Field:
    """Return a field of words."""
    return Field((value,), (("", value),), strong=strong)


def name(value: str) -> Field:
    """Return a field of a name, shortened for the eye where somebody made it longer than a table can bear."""
    shown = value if len(value) <= LONGEST_NAME else f"{value[:LONGEST_NAME]}..."
    return Field((shown if shown.strip() else "(no name)",), (("", value),))


def count(value: int) -> Field:
    """Return a field of a whole number."""
    return Field((str(value),), (("", value),))


def plain(value: float | None, style: str = "share") -> Field:
    """Return a field of one number without interval; "not measured yet" where there is none."""
    return MISSING if value is None else Field((number(value, style),), (("", value),))


def score(
    value: Interval,
    style: str = "share",
    *,
    more: Sequence[str] = (),
    values: Sequence[tuple[str, Value]] = (),
    strong: bool = True,
    grey: bool = False,
) -> Field:
    """Return a field of a mean with its interval and counts; "unscored" where none has a score.

    Args:
        value: The number.
        style: How it is written, as in `columns.yaml`.
        more: Lines between the interval and the counts.
        values: What a program reads beside mean, ends and counts.
        strong: The mean is set off.
        grey: The number does not count.
    """
    counted = f"n {value.n}" + (f" (+{value.unscored})" if value.unscored else "")
    numbers: tuple[tuple[str, Value], ...] = (
        ("", "unscored" if value.mean is None else value.mean),
        ("low", value.low),
        ("high", value.high),
        ("n", value.n),
        ("unscored", value.unscored),
        *values,
    )
    if value.mean is None:
        return Field(("unscored", counted), numbers, grey=grey)
    lines = (number(value.mean, style), ends(value, style), *more, counted)
    return Field(lines, numbers, strong=strong and not grey, grey=grey)


def missing_row(label: Field, columns: int, *, signature: str = "") -> Row:
    """Return the row of a system that was not measured."""
    return Row((label, *[MISSING] * (columns - 1)), signature)
