"""The table of conversations as text: for a terminal, as Markdown, or as CSV."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from persbench.conversation.judged import JUDGED
from persbench.conversation.lines import METRICS, printable
from persbench.judging.qualification import TOOK_PART
from persbench.provenance import signature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.conversation.judged import JudgedTalks
    from persbench.conversation.lines import Entry, Line, Metric
    from persbench.conversation.report import ConversationTable

    Columns = Sequence[Metric]

GREY: Final = "\u2020"  # a dagger: not qualified
BUILT: Final = "\u2021"  # a double dagger: took part in writing the pack
LEGEND: Final = (
    "Mean [95% interval, bootstrap over scenarios; - where there is none, as from a single scenario]. n: probes, "
    "questions of a speaker in a talk (held), speakers in a talk (voice drift), words (taken up), else utterances; "
    "unscored ones count neither for nor against. The opening is authored: it can be repeated, and is not scored."
)
JUDGED_LEGEND: Final = (
    f"{GREY}: the judge did not qualify in this kind of judgement on this pack, so that its figures are no result."
)


def terminal(table: ConversationTable) -> RenderableType:
    """Lay it out for a terminal."""
    parts: list[RenderableType] = []
    for title, columns in columns_by_group():
        if any(column.name in line.entries for line in table.lines for column in columns):
            shown = [[line.entries.get(column.name) for column in columns] for line in table.lines]
            parts += [_grid(title, columns, table.lines, shown), Text(_explain(columns), style="dim"), Text()]
    for one in table.judged:
        shown = [[one.entries.get(_key(line), {}).get(column.name) for column in JUDGED] for line in table.lines]
        parts += [_grid(_judged_title(one), JUDGED, table.lines, shown), Text(_explain(JUDGED), style="dim")]
        parts += [Text(note, style="yellow") for note in _judged_notes(one)] + [Text()]
    parts += [Text(LEGEND, style="dim"), Text()]
    parts += [Text(note, style="yellow") for note in table.notes]
    return Group(*parts, *[Text(text, style="dim", overflow="fold") for text in table.signatures])


def markdown(table: ConversationTable) -> str:
    """Write it as Markdown, one row a kind of talk and system."""
    blocks: list[str] = []
    for title, columns in columns_by_group():
        shown = [c for c in columns if any(c.name in line.entries for line in table.lines)]
        if shown:
            rows = [[line.entries.get(column.name) for column in shown] for line in table.lines]
            blocks += [f"**{title}**", _markdown(shown, table.lines, rows), _explain(shown)]
    for one in table.judged:
        rows = [[one.entries.get(_key(line), {}).get(column.name) for column in JUDGED] for line in table.lines]
        blocks += [f"**{_judged_title(one)}**", _markdown(JUDGED, table.lines, rows), _explain(JUDGED)]
        blocks += ["\n".join(f"- {_plain(note)}" for note in _judged_notes(one))]
    blocks.append(LEGEND)
    if table.notes:
        blocks.append("\n".join(f"- {_plain(note)}" for note in table.notes))
    return "\n\n".join([*blocks, "```\n" + "\n".join(table.signatures) + "\n```"]) + "\n"


def csv_rows(table: ConversationTable) -> str:
    """Write every figure as one row, those of single personas too; what is judged bears its judge."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    head = "kind system persona metric mean low high n clusters unscored chance conversations"
    writer.writerow([*head.split(), "judge", "qualified", "signature"])
    for line in (*table.lines, *table.people):
        facts = signature(line.signature)
        for metric, entry in line.entries.items():
            writer.writerow(_csv(line, metric, entry, ["", "", facts]))
        for one in table.judged:
            for metric, entry in one.entries.get(_key(line), {}).items():
                writer.writerow(_csv(line, metric, entry, [one.judge, int(not one.why), one.signature]))
    return stream.getvalue()


def columns_by_group() -> list[tuple[str, list[Metric]]]:
    """Return the tables in order: title and columns."""
    titles = dict.fromkeys(metric.group for metric in METRICS)
    return [(title, [metric for metric in METRICS if metric.group == title]) for title in titles]


def _key(line: Line) -> tuple[str, str, str]:
    return line.kind, line.label, line.persona


def _judged_title(one: JudgedTalks) -> str:
    marks = f"{GREY if one.why else ''}{BUILT if one.took_part else ''}"
    return f"Judged by {printable(one.judge)}{f' {marks}' if marks else ''}: without contradiction"


def _judged_notes(one: JudgedTalks) -> list[str]:
    grey = [f"the judge {one.why}", JUDGED_LEGEND] if one.why else []
    notes = [f"{BUILT}: {note}" if note == TOOK_PART else note for note in one.notes]
    return [printable(text) for text in (*grey, *notes, one.signature)]


def number(value: float | None, style: str = ".2f") -> str:
    """Write a number; a dash where there is none."""
    return "-" if value is None else f"{value:{style}}"


def ends(entry: Entry, style: str = ".2f") -> str:
    """Write the ends of an interval, without leading zeros."""
    low, high = entry.value.low, entry.value.high
    if low is None or high is None:
        return "[-]"
    return re.sub(r"(?<![\d])0\.", ".", f"[{low:{style}} {high:{style}}]")


def counts(entry: Entry) -> str:
    """Write how many items are scored and how many are not."""
    return f"n {entry.value.n}" + (f" +{entry.value.unscored} unscored" if entry.value.unscored else "")


def _grid(title: str, columns: Columns, lines: Sequence[Line], shown: Sequence[Sequence[Entry | None]]) -> Table:
    grid = Table(title=title, title_justify="left", title_style="bold", box=box.HORIZONTALS, pad_edge=False)
    grid.add_column("system", overflow="fold")
    for column in columns:
        grid.add_column(column.title, justify="right", overflow="fold")
    chances = chance_row(shown)
    if any(chances):
        grid.add_row("chance", *chances, style="dim")
    kind = ""
    for i, (line, row) in enumerate(zip(lines, shown, strict=True)):
        if line.kind != kind:
            kind = line.kind
            grid.add_section()
            grid.add_row(f"[bold]{escape(printable(kind))}[/bold]")
        cells = [_cell(entry, column.format) for entry, column in zip(row, columns, strict=True)]
        last = i + 1 == len(lines) or lines[i + 1].kind != kind
        grid.add_row(escape(printable(line.label)), *cells)
        if not last:
            grid.add_row()
    return grid


def chance_row(shown: Sequence[Sequence[Entry | None]]) -> list[str]:
    """Write what a blind guess scores in each column; nothing where that cannot be said.

    Args:
        shown: (lines, columns) figures.
    """
    firsts = [next((entry for entry in column if entry), None) for column in zip(*shown, strict=True)]
    return [number(one.chance) if one and one.chance is not None else "" for one in firsts]


def _cell(entry: Entry | None, style: str) -> str:
    if entry is None:
        return "-"
    told = counts(entry).replace(" +", "\n+")
    if entry.value.mean is None:
        return f"unscored\n{told}"
    return f"[bold]{number(entry.value.mean, style)}[/bold]\n{escape(ends(entry, style))}\n{told}"


def _markdown(columns: Columns, lines: Sequence[Line], shown: Sequence[Sequence[Entry | None]]) -> str:
    head = ["talk", "system", *[column.title for column in columns]]
    rows = [head, ["---", "---"] + ["---:"] * len(columns)]
    chances = chance_row(shown)
    if any(chances):
        rows.append(["", "chance", *chances])
    for line, entries in zip(lines, shown, strict=True):
        cells = [_markdown_cell(entry, column.format) for entry, column in zip(entries, columns, strict=True)]
        rows.append([_plain(line.kind), _plain(line.label), *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _markdown_cell(entry: Entry | None, style: str) -> str:
    if entry is None:
        return "-"
    if entry.value.mean is None:
        return f"unscored<br>{counts(entry)}"
    return f"**{number(entry.value.mean, style)}** {ends(entry, style)}<br>{counts(entry)}"


def _plain(text: str) -> str:
    """Take what would break a row of Markdown out of a name."""
    return "".join(" " if char in "|`<>" else char for char in printable(text))


def _csv(line: Line, metric: str, entry: Entry, rest: list[object]) -> list[object]:
    value = entry.value
    numbers = (value.mean, value.low, value.high, value.n, value.clusters, value.unscored, entry.chance)
    named: list[object] = [line.kind, line.label, line.persona, metric]
    return [*named, *["" if x is None else x for x in numbers], line.conversations, *rest]


def _explain(columns: Columns) -> str:
    return "; ".join(f"{column.title}: {column.help}" for column in columns)
