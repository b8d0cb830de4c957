"""Writing tables as Markdown, LaTeX (booktabs) or CSV: equal tables, equal bytes, and every text harmless in each."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

from persbench.report.paper.latex import latex
from persbench.visible import markdown_code, markdown_text, spreadsheet_text, visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from persbench.report.paper.tables import Document, Field, Row, Table, Value

SIGNATURE: Final = "signature"
DIGITS: Final = 6  # of a number in CSV: below that, processors differ in their rounding


def markdown(document: Document) -> str:
    """Write tables as Markdown, with their notes as lists and the signatures in a code block."""
    blocks: list[str] = []
    for table in document.tables:
        blocks += [f"**{markdown_text(table.title)}**", markdown_grid(table)]
        if table.notes:
            blocks.append("\n".join(f"- {markdown_text(note)}" for note in table.notes))
    if document.signatures:
        blocks.append(markdown_code(document.signatures))
    return "\n\n".join(blocks) + "\n"


def markdown_grid(table: Table) -> str:
    """Write a table alone as Markdown, without title and notes."""
    rows = [
        [markdown_text(column.head) for column in table.columns],
        ["---:" if column.align == "right" else "---" for column in table.columns],
        *[[_markdown_field(field) for field in row.fields] for row in table.rows],
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _markdown_field(field: Field) -> str:
    lines = [markdown_text(line) for line in field.lines]
    if field.strong and lines[0]:
        lines[0] = f"**{lines[0]}**"
    told = "<br>".join(lines)
    return f"({told})" if field.grey else told


def csv_text(document: Document) -> str:
    """Write tables as one CSV file: a row each, the table's name first, numbers as numbers.

    All tables share one head, which holds the columns of all; what is not a column of a table is left free in its rows.
    """
    rows = [_csv_row(table, row) for table in document.tables for row in table.rows]
    heads = list(dict.fromkeys(name for row in rows for name in row if name != SIGNATURE))
    heads += [SIGNATURE] if any(SIGNATURE in row for row in rows) else []
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(map(_plain, heads))
    writer.writerows([_plain(row.get(head)) for head in heads] for row in rows)
    return stream.getvalue()


def _csv_row(table: Table, row: Row) -> dict[str, Value]:
    found: dict[str, Value] = {"table": table.name}
    for column, field in zip(table.columns, row.fields, strict=True):
        head = column.key or column.head or "row"
        found |= {f"{head} {part}" if part else head: value for part, value in field.values}
    return found | ({SIGNATURE: row.signature} if row.signature else {})


def _plain(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{DIGITS}g}"
    if isinstance(value, int):
        return str(value)
    return spreadsheet_text(visible(value))


WRITERS: Final[dict[str, Callable[[Document], str]]] = {"markdown": markdown, "latex": latex, "csv": csv_text}
ENDINGS: Final = {".md": "markdown", ".tex": "latex", ".csv": "csv"}
