"""Judged numbers as text: dim where they do not count, each table with its notices and its judge's signature."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from persbench.report.judged import judged_columns
from persbench.report.table import cell_text, counts, csv_name, ends, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from persbench.report.board import Column, Entry
    from persbench.report.judged import JudgedTable

GREY: Final = "\u2020"  # a dagger: not qualified
BUILT: Final = "\u2021"  # a double dagger: took part in writing the pack
LEGEND: Final = (
    f"{GREY} and grey: the judge did not qualify in this kind of judgement on this pack (`persbench judge qualify`), "
    f"so that the number is no result. {BUILT}: the judge took part in writing the pack. How the judge did in its "
    "exams, and how far metrics without a judge agree with it: `persbench report judges`."
)


def terminal_judged(tables: Sequence[JudgedTable]) -> RenderableType:
    """Lay judged numbers out for a terminal."""
    parts: list[RenderableType] = []
    for table in tables:
        for title, columns in _shown(table):
            parts += [_grid(table, title, columns), Text(_explain(columns), style="dim")]
        parts += [Text(notice, style="yellow", overflow="fold") for notice in table.notices]
        parts += [Text(table.found.signature, style="dim", overflow="fold"), Text()]
    return Group(*parts, Text(LEGEND, style="dim"))


def markdown_judged(tables: Sequence[JudgedTable]) -> str:
    """Write judged numbers as Markdown; those that do not count are not bold, and stand in brackets."""
    blocks: list[str] = []
    for table in tables:
        for title, columns in _shown(table):
            rows = [["system", *[_head(table, column) for column in columns]], ["---"] + ["---:"] * len(columns)]
            rows += [
                [line.system, *[_markdown(line.entries.get(c.metric), c, grey=table.is_grey(c)) for c in columns]]
                for line in table.lines
            ]
            blocks += [f"**{title}**", "\n".join(f"| {' | '.join(row)} |" for row in rows)]
        if table.notices:
            blocks.append("\n".join(f"- {notice}" for notice in table.notices))
        blocks.append(f"```\n{table.found.signature}\n```")
    return "\n\n".join([*blocks, LEGEND]) + "\n"


def csv_judged(tables: Sequence[JudgedTable]) -> str:
    """Write every judged number as one CSV row; the first line names the columns."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    head = ["system", "judge", "metric", "mean", "low", "high", "n", "unscored", "personas", "qualified", "took part"]
    writer.writerow([*head, "signature"])
    for table in tables:
        for _, columns in _shown(table):
            for line in table.lines:
                for column in columns:
                    if entry := line.entries.get(column.metric):
                        value = entry.value
                        numbers = ["" if v is None else v for v in (value.mean, value.low, value.high)]
                        marks = [int(not table.is_grey(column)), int(table.took_part)]
                        names = [csv_name(line.system), csv_name(table.found.judge), column.metric]
                        people, facts = csv_name(" ".join(line.personas)), csv_name(table.found.signature)
                        writer.writerow([*names, *numbers, value.n, value.unscored, people, *marks, facts])
    return stream.getvalue()


def _shown(table: JudgedTable) -> Iterator[tuple[str, list[Column]]]:
    """Yield title and columns of each part that has numbers."""
    where = f", {table.found.run}" if table.found.run else ""
    for title, columns in judged_columns().values():
        some = [column for column in columns if any(column.metric in line.entries for line in table.lines)]
        if some:
            yield f"Judged by {table.found.judge}{BUILT * table.took_part}{where}: {title}", some


def _head(table: JudgedTable, column: Column) -> str:
    return f"{column.name} {GREY}" if table.is_grey(column) else column.name


def _grid(table: JudgedTable, title: str, columns: Sequence[Column]) -> Table:
    grid = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        show_lines=True,
        box=box.HORIZONTALS,
        pad_edge=False,
    )
    grid.add_column("system", no_wrap=True)
    for column in columns:
        grid.add_column(
            _head(table, column), justify="right", overflow="fold", style="dim" if table.is_grey(column) else None
        )
    for line in table.lines:
        grid.add_row(line.system, *[_terminal(line.entries.get(c.metric), c, grey=table.is_grey(c)) for c in columns])
    return grid


def _terminal(entry: Entry | None, column: Column, *, grey: bool) -> str:
    text = cell_text(entry, column)
    return text.replace("[bold]", "").replace("[/bold]", "") if grey else text


def _markdown(entry: Entry | None, column: Column, *, grey: bool) -> str:
    if entry is None:
        return "-"
    if entry.value.mean is None:
        return "<br>".join(["unscored", *counts(entry)])
    value, interval = number(entry.value.mean, column.format), ends(entry.value, column.format)
    told = f"({value} {interval})" if grey else f"**{value}** {interval}"
    return "<br>".join([told, *counts(entry)])


def _explain(columns: Sequence[Column]) -> str:
    return "; ".join(f"{c.name}: {c.help}" + (" (less is better)" if c.cost else "") for c in columns)
