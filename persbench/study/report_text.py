"""The report of a study as text, for a terminal or as Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from persbench.provenance import signature
from persbench.visible import markdown_text

if TYPE_CHECKING:
    from persbench.scoring.stats import Interval
    from persbench.study.report import StudyReport

    Rows = list[tuple[str, ...]]

NOTHING: Final = "-"
RATINGS: Final = (
    "Mean over conversations [95% interval, bootstrap over raters; - where there is none, as from a single rater]. "
    "n: conversations rated; unscored: conversations held and not rated, which count neither for nor against. "
    "wins: share of comparisons in which it was preferred, a tie counting half; strength: log odds of being preferred "
    "to a system of average strength (Bradley-Terry, one virtual tie for every two systems); unscored of both: "
    "comparisons of two conversations held that have no answer."
)
ALPHA: Final = (
    "Krippendorff's alpha (ordinal) over system and persona: 1 where raters agree, 0 where they do as by chance. Each "
    "rater had a conversation of their own, so that it holds what differs between conversations too."
)
STEPS: Final = "stopped: nothing came after this step; under way: likewise, but something came a short while ago."


def terminal_report(report: StudyReport) -> RenderableType:
    """Lay the report out for a terminal."""
    parts: list[RenderableType] = []
    for title, rows, legend in _sections(report):
        grid = Table(title=title, title_justify="left", title_style="bold", box=box.HORIZONTALS, pad_edge=False)
        grid.show_lines = title == _TITLES[0]
        for i, name in enumerate(rows[0]):
            grid.add_column(Text(name), justify="left" if i == 0 else "right", overflow="fold")
        for row in rows[1:]:
            grid.add_row(*[Text(cell, style="bold" if i == 0 else "") for i, cell in enumerate(row)])
        parts += [grid, Text(legend, style="dim"), Text()]
    parts += [Text(line) for line in _remarks(report)]
    return Group(*parts, Text(signature(report.signature), style="dim", overflow="fold"))


def markdown_report(report: StudyReport) -> str:
    """Write the report as Markdown."""
    blocks = [f"## {markdown_text(report.title)}"]
    for title, rows, legend in _sections(report):
        # Names in cells are ids: nothing in them can be read as Markdown.
        cells = [[cell.replace("\n", "<br>") for cell in row] for row in rows]
        rule = ["---"] + ["---:"] * (len(rows[0]) - 1)
        table = "\n".join(f"| {' | '.join(row)} |" for row in [cells[0], rule, *cells[1:]])
        blocks += [f"**{title}**", table, legend]
    blocks.append("\n".join(f"- {line}" for line in _remarks(report)))
    return "\n\n".join([*blocks, f"```\n{signature(report.signature)}\n```"]) + "\n"


_TITLES: Final = ("Ratings and preferences", "Conversations", "Agreement of raters", "One against another", "Raters")


def _sections(report: StudyReport) -> list[tuple[str, Rows, str]]:
    """Title, rows with the head first, and legend of every table that has something to say."""
    found = [(_TITLES[0], _system_rows(report), RATINGS), (_TITLES[1], _talk_rows(report), "Medians.")]
    if report.alphas:
        rows: Rows = [("scale", "alpha", "ratings", "raters")]
        for scale, value in report.alphas.items():
            text = NOTHING if value.mean is None else f"{value.mean:.2f} {ends(value)}"
            rows.append((scale, text, str(value.n), str(value.clusters)))
        found.append((_TITLES[2], rows, ALPHA))
    if report.versus:
        rows = [("system", "preferred", "neither", "other preferred", "other")]
        rows += [(one, *map(str, counts), other) for (one, other), counts in report.versus.items()]
        found.append((_TITLES[3], rows, "Times that raters preferred the one, neither, or the other."))
    rows = [("step", "reached", "stopped", "under way")]
    rows += [(step.name, str(step.reached), str(step.stopped), str(step.under_way)) for step in report.steps]
    return [*found, (_TITLES[4], rows, STEPS)]


def _system_rows(report: StudyReport) -> Rows:
    lines = report.lines
    columns: list[tuple[str, list[Interval | None], str]]
    columns = [(scale, [line.ratings[scale] for line in lines], ".2f") for scale in lines[0].ratings]
    if any(line.wins is not None for line in lines):
        columns.append(("wins", [line.wins for line in lines], ".2f"))
        columns.append(("strength", [line.strength for line in lines], "+.2f"))
    cells = [[_cell(value, form) for value in values] for _, values, form in columns]
    rows: Rows = [("system", *[name for name, _, _ in columns])]
    return [*rows, *[(line.system, *row) for line, row in zip(lines, zip(*cells, strict=True), strict=True)]]


def _talk_rows(report: StudyReport) -> Rows:
    rows: Rows = [("system", "held", "turns", "minutes", "seconds a reply")]
    for line in report.lines:
        numbers = (line.turns, line.minutes, line.reply_seconds)
        rows.append(
            (line.system, str(line.conversations), *[NOTHING if n is None else f"{n:.1f}" for n in numbers]),
        )
    return rows


def _remarks(report: StudyReport) -> list[str]:
    lines = []
    if report.later.mean is not None:
        lines.append(f"The partner met later won {report.later.mean:.2f} {ends(report.later)} of comparisons.")
    if report.unanswered:
        lines.append(f"Comparisons due and not answered: {report.unanswered}.")
    lines.append(f"Raters who withdrew, and of whom nothing is counted: {report.withdrawn}.")
    if report.minutes is not None:
        lines.append(f"Who finished took {report.minutes:.0f} minutes (median, from the consent to the last step).")
    return lines


def ends(value: Interval, form: str = ".2f") -> str:
    """Write the ends of an interval, without leading zeros; `[-]` where a single rater gives none."""
    if value.low is None or value.high is None:
        return "[-]"
    return f"[{' '.join(re.sub(r'(?<![0-9])0[.]', '.', f'{end:{form}}') for end in (value.low, value.high))}]"


def _cell(value: Interval | None, form: str) -> str:
    """Write mean, interval and counts, a line each."""
    if value is None:
        return NOTHING
    counts = [f"n {value.n}", *([f"+{value.unscored} unscored"] if value.unscored else [])]
    if value.mean is None:
        return "\n".join(["unscored" if value.unscored else "none", *counts])
    return "\n".join([f"{value.mean:{form}}", ends(value, form), *counts])
