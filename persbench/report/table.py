"""The board as text: for a terminal, as Markdown, or as CSV."""

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

from persbench.provenance import digest
from persbench.report.board import Column, Entry, Line, columns, signature_lines, table_titles
from persbench.report.fitting import FittingTable
from persbench.scoring.sanity import PREFIX
from persbench.visible import markdown_code, markdown_text, spreadsheet_text, visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persbench.scoring.stats import Interval

    Tables = Mapping[str, Sequence[Line]]

MARGIN_UNIT: Final = 100.0  # margins are read in hundredths of a nat per byte

FORMATS: Final = {"share": ".2f", "fine": ".2f", "signed": "+.2f", "margin": "+.1f", "number": ".1f"}


def number(value: float | None, style: str = "share") -> str:
    """Write one number as its column wants it; a dash where there is none."""
    if value is None:
        return "-"
    if style == "hundredths":
        return f"{value * MARGIN_UNIT:+.2f}"
    return f"{value:{FORMATS[style]}}"


def ends(value: Interval, style: str = "share", scale: float = 1.0) -> str:
    """Write the ends of an interval, without leading zeros; nothing where a single cluster gives none."""
    if value.low is None or value.high is None:
        return "[-]"
    texts = [re.sub(r"(?<!\d)0\.", ".", number(end * scale, style)) for end in (value.low, value.high)]
    return f"[{' '.join(texts)}]"


def counts(entry: Entry) -> list[str]:
    """Write how many items are scored, how many are not, and for how many the question does not arise."""
    texts = [f"n {entry.value.n}"]
    texts += [f"+{entry.value.unscored} unscored"] if entry.value.unscored else []
    return texts + ([f"({entry.idle} n/a)"] if entry.idle else [])


def _nothing(entry: Entry) -> str:
    """Name a number that is not there: for want of scores, or of items."""
    return "unscored" if entry.value.unscored else "none"


def cell_text(entry: Entry | None, column: Column) -> str:
    """Write mean, interval, raw mean, margin with interval, and counts, a line each."""
    if entry is None:
        return "-"
    if entry.value.mean is None:
        return "\n".join([_nothing(entry), *counts(entry)])
    lines = [f"[bold]{number(entry.value.mean, column.format)}[/bold]", escape(ends(entry.value, column.format))]
    if entry.raw is not None:
        lines.append(f"raw {number(entry.raw.mean, column.format)}")
    if entry.margin is not None and entry.margin.mean is not None:
        lines.append(f"m {entry.margin.mean * MARGIN_UNIT:+.1f}")
        lines.append(escape(ends(entry.margin, "margin", MARGIN_UNIT)))
    return "\n".join([*lines, *counts(entry)])


def _sanity_cell(entry: Entry | None, column: Column) -> str:
    """Write the mean alone, marked where it is off chance."""
    if entry is None:
        return "-"
    return number(entry.value.mean, column.format) + (" !" if entry.off_chance else "")


def _label(line: Line, models: int) -> str:
    name = escape(visible(line.system.removeprefix(PREFIX)))
    return f"{name}\n{escape(visible(line.model))}" if models > 1 and line.model else name


def _table(lines: Sequence[Line], table: str, title: str) -> FittingTable[Column]:
    shown = [c for c in columns(table) if any(c.metric in line.entries for line in lines)]
    return FittingTable(shown, lambda part, is_first: _grid(lines, part, title if is_first else None))


def _grid(lines: Sequence[Line], shown: Sequence[Column], title: str | None) -> Table:
    sanity = all(line.is_sanity for line in lines)
    write = _sanity_cell if sanity else cell_text
    grid = Table(
        title=title,
        title_justify="left",
        show_lines=not sanity,
        box=box.HORIZONTALS,
        pad_edge=False,
        title_style="bold",
    )
    grid.add_column("system", no_wrap=True)
    for column in shown:
        grid.add_column(column.name, justify="right", overflow="fold")
    chances = [_chance(lines, column) for column in shown]
    if any(chance is not None for chance in chances):
        grid.add_row("chance", *[number(chance) for chance in chances], style="dim")
    models = len({line.model for line in lines if line.model})
    for line in lines:
        grid.add_row(_label(line, models), *[write(line.entries.get(c.metric), c) for c in shown])
    if sanity:
        grid.add_row("n", *[str(_count(lines, c)) for c in shown], style="dim")
    return grid


def _count(lines: Sequence[Line], column: Column) -> int:
    return max((line.entries[column.metric].value.n for line in lines if column.metric in line.entries), default=0)


def _chance(lines: Sequence[Line], column: Column) -> float | None:
    found = [line.entries[column.metric].chance for line in lines if column.metric in line.entries]
    return found[0] if found else None


def terminal_board(tables: Tables) -> RenderableType:
    """Lay the board out for a terminal: systems family by family, sanity systems, signatures.

    Args:
        tables: Lines of every table, in the order of the board.
    """
    parts: list[RenderableType] = []
    titles = table_titles()
    for table, lines in tables.items():
        systems = [line for line in lines if not line.is_sanity]
        if systems:
            legend = _explain(table, systems) + (f". {BOARD_LEGEND}" if table == "board" else "")
            parts += [_table(systems, table, titles[table]), Text(legend, style="dim"), Text()]
    sanity = [line for line in tables.get("board", []) if line.is_sanity]
    if sanity:
        title = "Sanity systems: the surface of the texts alone"
        parts += [_table(sanity, "board", title), Text(SANITY_LEGEND, style="dim"), Text()]
    if any(not line.is_sanity for lines in tables.values() for line in lines):
        parts += [Text("How to read", style="bold"), Text(LEGEND, style="dim"), Text()]
    noted = note_lines(_signed(tables))
    if noted:
        parts += [Text("Notes", style="bold"), *[Text(visible(text), overflow="fold") for text in noted], Text()]
    parts.append(Text("Signatures", style="bold"))
    parts += [Text(visible(text), style="dim", overflow="fold") for text in signature_lines(_signed(tables))]
    return Group(*parts)


def _signed(tables: Tables) -> list[Line]:
    """Return one line of each system and setting, whichever table has it first."""
    found = {
        digest([line.system, line.signature], 16): line for name in reversed(list(tables)) for line in tables[name]
    }
    return sorted(found.values(), key=lambda line: line.is_sanity)


def note_lines(lines: Sequence[Line]) -> list[str]:
    """Write what befell the items of each system; lines of one system that tell the same once."""
    return list(dict.fromkeys(f"{line.system}: {note}" for line in lines for note in line.notes))


LEGEND: Final = (
    "Mean over items [95% interval, bootstrap over questions; - where there is none, as from a single question]. "
    "chance: what blind answers score, where that can be said. raw: without anchors. n: scored items; unscored: items "
    "without a score, which count neither for nor against; n/a: items for which the question does not arise."
)
BOARD_LEGEND: Final = (
    "m: margin of the own candidate over the best other, in hundredths of a nat per byte. vanilla says the same to "
    "everyone: in attitude and who said that is chance over all personas of a world; over some it gets what they hold."
)
SANITY_LEGEND: Final = (
    "Each must be at chance on every item of the pack (Bonferroni over systems and tasks, and within 0.08); "
    "! marks one that is not, or of which too few items say nothing. Floors, shown and not held to chance: "
    "profile_overlap, which may read the profile, and prompt_overlap on induction, where to yield is to repeat the "
    "prompt."
)


def _explain(table: str, lines: Sequence[Line]) -> str:
    """Say what each column that is shown means, and of which less is better."""
    shown = [c for c in columns(table) if any(c.metric in line.entries for line in lines)]
    return "; ".join(f"{c.name}: {c.help}" + (" (less is better)" if c.cost else "") for c in shown)


def markdown_board(tables: Tables) -> str:
    """Write the board as Markdown, one row a system, with signatures in a code block."""
    blocks: list[str] = []
    several = sum(map(bool, tables.values())) > 1
    for table, rows in tables.items():
        shown = [c for c in columns(table) if any(c.metric in line.entries for line in rows)]
        if not rows or not shown:
            continue
        head = ["system", *[c.name for c in shown]]
        chances = [_chance(rows, c) for c in shown]
        body = [["chance", *map(number, chances)]] if any(chance is not None for chance in chances) else []
        body += [[markdown_text(line.system), *[_markdown_cell(line, c) for c in shown]] for line in rows]
        if several:
            blocks.append(f"**{table_titles()[table]}**")
        blocks.append("\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] + ["---:"] * len(shown), *body]))
    noted = note_lines(_signed(tables))
    blocks += ["\n".join(f"- {markdown_text(text)}" for text in noted)] if noted else []
    blocks.append(markdown_code(signature_lines(_signed(tables))))
    return "\n\n".join(blocks) + "\n"


def _markdown_cell(line: Line, column: Column) -> str:
    entry = line.entries.get(column.metric)
    if line.is_sanity or entry is None:
        return _sanity_cell(entry, column)
    if entry.value.mean is None:
        return "<br>".join([_nothing(entry), *counts(entry)])
    margin = entry.margin
    texts = [f"**{number(entry.value.mean, column.format)}** {ends(entry.value, column.format)}"]
    if margin is not None and margin.mean is not None:
        texts.append(f"m {margin.mean * MARGIN_UNIT:+.1f} {ends(margin, 'margin', MARGIN_UNIT)}")
    return "<br>".join([*texts, *counts(entry)])


def csv_board(tables: Tables) -> str:
    """Write every number as one CSV row: system, metric, mean, ends, n, unscored, chance, personas, n/a."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["system", "model", "metric", "mean", "low", "high", "n", "unscored", "chance", "personas", "n/a"])
    for line in (line for lines in tables.values() for line in lines):
        for metric, entry in line.entries.items():
            named = [
                (metric, entry.value, entry.chance),
                (f"{metric}_raw", entry.raw, entry.chance),
                (f"{metric}:margin", entry.margin, None),
            ]
            for name, value, chance in named:
                if value is not None:
                    row = [value.mean, value.low, value.high, value.n, value.unscored, chance]
                    texts = ["" if v is None else v for v in row]
                    idle = entry.idle if value is entry.value else ""
                    names = [csv_name(line.system), csv_name(line.model), name]
                    writer.writerow([*names, *texts, csv_name(" ".join(line.personas)), idle])
    return stream.getvalue()


def csv_name(name: str) -> str:
    """Write a name from a record as a field of CSV."""
    return spreadsheet_text(visible(name))
