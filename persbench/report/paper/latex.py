"""Tables as LaTeX: booktabs, a float each, and nothing but what plain LaTeX needs beside it."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from persbench.visible import visible

if TYPE_CHECKING:
    from persbench.report.paper.tables import Column, Document, Field, Row, Table

HEAD: Final = "% \\usepackage{array,booktabs,graphicx,xcolor}\n% \\usepackage[T1]{fontenc}\n"
OTHER_SCRIPTS: Final = "% Some names stand in other scripts than Latin: compile with lualatex or xelatex.\n"
SPECIAL: Final = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}", "[": "{[}", "]": "{]}",
    "\u2020": r"\textdagger{}", "\u2021": r"\textdaggerdbl{}",
}  # fmt: skip
MINUS: Final = re.compile(r"(?<![\w.])-(?=\.?\d)")
LAST_LATIN: Final = "\u024f"
ROW_ENDS: Final = r" \\"
TALL_ROW_ENDS: Final = r" \\ \addlinespace[3pt]"
FEWEST_MERGED: Final = 3
FITTED: Final = r"\ifdim\wd0>\textwidth\resizebox{\textwidth}{!}{\usebox0}\else\usebox0\fi"  # a wide table shrinks


def latex(document: Document) -> str:
    """Write tables as LaTeX floats, their notes below them and the signatures as comments."""
    blocks = [_float(table) for table in document.tables]
    blocks += [f"% {visible(line)}" for line in document.signatures]
    body = "\n".join(blocks) + "\n"
    return HEAD + (OTHER_SCRIPTS if max(body) > LAST_LATIN else "") + body


def escaped(text: str) -> str:
    """Return a text that LaTeX prints as it is."""
    parts = MINUS.split(visible(text))
    return "$-$".join("".join(SPECIAL.get(char, char) for char in part) for part in parts)


def _float(table: Table) -> str:
    columns = "".join(map(_spec, table.columns))
    lines = [
        r"\begin{table*}[t]",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{escaped(table.title)}}}\label{{tab:{table.name}}}\par\medskip",
        rf"\sbox0{{\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        " & ".join(_head(column) for column in table.columns) + ROW_ENDS,
        r"\midrule",
    ]
    for row in table.rows:
        lines += [r"\midrule"] if row.rule else []
        lines.append(_row(row, table.columns))
    lines += [r"\bottomrule", r"\end{tabular}}%", FITTED]
    if table.notes:
        notes = " ".join(escaped(note) for note in table.notes)
        lines.append(rf"\par\medskip\begin{{minipage}}{{\textwidth}}\scriptsize {notes}\end{{minipage}}")
    return "\n".join([*lines, r"\end{table*}"])


def _spec(column: Column) -> str:
    if column.align == "text":
        return rf">{{\raggedright\arraybackslash}}p{{{column.share:.2f}\textwidth}}"
    return "r" if column.align == "right" else "l"


def _head(column: Column) -> str:
    return escaped(column.head) or "{}"


def _row(row: Row, columns: tuple[Column, ...]) -> str:
    last, same = row.fields[-1], 0
    if isinstance(last.values[0][1], str):  # a word such as "not measured yet", the same to the end of the row: once
        same = len(list(takewhile(lambda field: field == last, reversed(row.fields))))
    shown = row.fields if same < FEWEST_MERGED else row.fields[:-same]
    texts = [_field(field, column) for field, column in zip(shown, columns, strict=False)]
    if len(shown) < len(row.fields):
        texts.append(rf"\multicolumn{{{same}}}{{c}}{{\textit{{{escaped(' '.join(last.lines))}}}}}")
    tall = any(len(field.lines) > 1 for field in shown) or any(column.align == "text" for column in columns)
    return " & ".join(texts) + (TALL_ROW_ENDS if tall else ROW_ENDS)


def _field(field: Field, column: Column) -> str:
    lines = [escaped(line) for line in field.lines]
    if field.strong and lines[0]:
        lines[0] = rf"\textbf{{{lines[0]}}}"
    if field.grey:
        lines = [rf"\textcolor{{gray}}{{{line}}}" for line in lines]
    if column.align == "text" or len(lines) == 1:
        told = r" \newline ".join(lines)
    else:
        stacked = r" \\ ".join(lines)
        told = rf"\begin{{tabular}}[t]{{@{{}}{column.align[0]}@{{}}}}{stacked}\end{{tabular}}"
    return told or "{}"
