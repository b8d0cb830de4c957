"""Tables as Markdown, LaTeX and CSV: the same bytes each time, and hostile texts harmless in each."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from persbench.report.paper.formats import WRITERS, csv_text, markdown
from persbench.report.paper.latex import escaped, latex
from persbench.report.paper.tables import (
    MISSING,
    Column,
    Document,
    Row,
    Table,
    count,
    missing_row,
    name,
    plain,
    score,
    text,
)
from persbench.scoring.stats import Interval
from persbench.visible import visible

HOSTILE = (
    "<script>alert(1)</script>",
    "a|b | c",
    '=HYPERLINK("http://x")',
    "+1", "-2+3", "@SUM(A1)", "\uff1dA1",
    "\\input{/etc/passwd}", "\\end{tabular}", "100% & $x_1^2$ #~{}",
    "\u202egnp.exe", "\x1b[31mred\x1b[0m", "two\nlines\r\n", "tab\tbed", "nul\x00",
    "[click](javascript:alert(1))", "![i](x)", "`code` ``` ~~~", "**bold** __b__", "[1]: http://x",
    "</td><br>", "--- | ---", "x" * 5000, " ", "[.1 .2] \\\\[3pt]", "^^5cinput",
)  # fmt: skip


def small(label: str = "prompt", note: str = "a note", signature: str = "pack:w@1") -> Document:
    values = Interval(0.5, 0.25, 0.75, 8, 4, 2)
    rows = (
        Row((name(label), score(values), count(3)), signature),
        missing_row(name("rag"), 3),
        Row((name("grey"), score(values, "signed", grey=True), plain(None)), rule=True),
        Row((name("none"), score(Interval(None, None, None, 0, 0, 9)), text("-0.5"))),
    )
    table = Table("small", label, (Column("system", "left"), Column("score"), Column("k")), rows, (note,))
    return Document((table,), (signature,))


def test_golden_markdown() -> None:
    assert markdown(small()) == (
        "**prompt**\n\n"
        "| system | score | k |\n| --- | ---: | ---: |\n"
        "| prompt | **0.50**<br>[.25 .75]<br>n 8 (+2) | 3 |\n"
        "| rag | not measured yet | not measured yet |\n"
        "| grey | (+0.50<br>[+.25 +.75]<br>n 8 (+2)) | not measured yet |\n"
        "| none | unscored<br>n 0 (+9) | -0.5 |\n\n"
        "- a note\n\n```\npack:w@1\n```\n"
    )


def test_golden_csv() -> None:
    assert csv_text(small()) == (
        "table,system,score,score low,score high,score n,score unscored,k,signature\n"
        "small,prompt,0.5,0.25,0.75,8,2,3,pack:w@1\n"
        "small,rag,not measured yet,,,,,not measured yet,\n"
        "small,grey,0.5,0.25,0.75,8,2,not measured yet,\n"
        "small,none,unscored,,,0,9,'-0.5,\n"
    )


def test_golden_latex() -> None:
    found = latex(small())
    assert "\\begin{tabular}{@{}lrr@{}}\n\\toprule\nsystem & score & k \\\\\n\\midrule\n" in found
    stacked = "\\begin{tabular}[t]{@{}r@{}}\\textbf{0.50} \\\\ {[}.25 .75{]} \\\\ n 8 (+2)\\end{tabular}"
    assert f"prompt & {stacked} & 3 \\\\ \\addlinespace[3pt]\n" in found
    assert "rag & not measured yet & not measured yet \\\\\n\\midrule\n" in found
    assert "\\textcolor{gray}{+0.50}" in found
    assert "$-$0.5" in found
    assert "\\caption{prompt}\\label{tab:small}" in found
    assert found.endswith("\\end{table*}\n% pack:w@1\n")


def test_what_is_missing_to_the_end_of_a_row_is_said_once_in_latex() -> None:
    columns = tuple(Column(head) for head in "abcde")
    rows = (missing_row(name("rag"), 5), Row((name("icl"), count(1), MISSING, MISSING, MISSING)))
    found = latex(Document((Table("t", "t", columns, rows),)))
    assert "rag & \\multicolumn{4}{c}{\\textit{not measured yet}} \\\\\n" in found
    assert "icl & 1 & \\multicolumn{3}{c}{\\textit{not measured yet}} \\\\\n" in found
    numbers = Row((name("x"), *[count(7)] * 4))
    assert "x & 7 & 7 & 7 & 7 \\\\\n" in latex(Document((Table("t", "t", columns, (numbers,)),)))


@pytest.mark.parametrize("style", sorted(WRITERS))
def test_equal_tables_are_equal_bytes(style: str) -> None:
    assert WRITERS[style](small()) == WRITERS[style](small())


@pytest.mark.parametrize("bad", HOSTILE)
def test_hostile_texts_stay_in_their_field_of_markdown(bad: str) -> None:
    found = markdown(small(bad, bad, bad))
    shown, fenced = found.split("\n- ", 1)[0], found.rsplit("\n\n", 1)[1]
    rows = [line for line in shown.split("\n") if line.startswith("| ")]
    assert len(rows) == 6
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {4}
    assert not re.search(r"<(?!br>)", shown)
    assert not re.search(r"(?<!\\)\]\(", found.split("\n\n```")[0])
    assert not set(found) & {"\u202e", "\x1b", "\x00", "\r", "\t"}
    lines = fenced.removesuffix("\n").split("\n")
    assert len(lines) == 3
    assert lines[0] == lines[2] == "`" * len(lines[0])
    assert lines[0] not in lines[1]


@pytest.mark.parametrize("bad", HOSTILE)
def test_hostile_texts_are_no_formula_in_csv(bad: str) -> None:
    head, *rows = list(csv.reader(io.StringIO(csv_text(small(bad, bad, bad)))))
    assert len(rows) == 4
    assert {len(row) for row in rows} == {len(head)}
    for value in (rows[0][head.index("system")], rows[0][head.index("signature")]):
        assert not value.startswith(("=", "+", "-", "@", "\uff1d", "\t", "\r", "\n"))
        assert value.removeprefix("'") == visible(value.removeprefix("'"))


@pytest.mark.parametrize("bad", HOSTILE)
def test_hostile_texts_are_no_command_in_latex(bad: str) -> None:
    found = escaped(bad)
    commands = set(re.findall(r"\\([a-zA-Z]+|.)", found))
    assert commands <= {
        "textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater", "textbar", "textquotedbl",
        "textasciigrave", "{", "}", "$", "&", "#", "%", "_",
    }  # fmt: skip
    bare = re.sub(r"\\.", "", found.replace("$-$", ""))
    assert not set(bare) & set('$&#%_^~<>|"`\n')
    depth = 0
    for char in bare:
        depth += (char == "{") - (char == "}")
        assert depth >= 0
    assert depth == 0


def test_environments_are_balanced() -> None:
    found = latex(small(HOSTILE[8], HOSTILE[7], HOSTILE[0]))
    for kind in ("table*", "tabular", "minipage"):
        assert found.count(f"\\begin{{{kind}}}") == found.count(f"\\end{{{kind}}}") > 0


def test_latex_compiles(tmp_path: Path) -> None:
    """With every hostile text that pdflatex's own letters can show."""
    compiler = shutil.which("pdflatex")
    if compiler is None:
        pytest.skip("pdflatex is not installed here; the tests above look at the text alone")
    bodies = "\n".join(latex(small(bad, bad, bad)) for bad in HOSTILE if max(visible(bad), default="") < "\u0250")
    packages = "".join(re.findall(r"^% (\\usepackage.*)$", latex(small()), flags=re.MULTILINE))
    (tmp_path / "all.tex").write_text(
        f"\\documentclass{{article}}{packages}\\extrafloats{{100}}\\begin{{document}}\n{bodies}\\end{{document}}\n"
    )
    command = [compiler, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]


def test_other_scripts_are_named_in_the_head_of_latex() -> None:
    assert "compile with lualatex" in latex(small("\u674e\u767d"))
    assert "compile with lualatex" not in latex(small("Zo\u00eb \u2020"))


def test_visible_keeps_what_is_harmless() -> None:
    assert visible("Zo\u00eb \u674e\u767d \u2020") == "Zo\u00eb \u674e\u767d \u2020"
    assert visible("a\u202eb\x1b\n\u2028") == "a\\u202eb\\x1b\\n\\u2028"
    assert visible("no-break\u00a0space") == "no-break space"
    assert len(visible("y" * 10_000)) == 2003


def test_names_are_shortened_for_the_eye_alone() -> None:
    one = name("x" * 100)
    assert len(one.lines[0]) == 51
    assert one.values == (("", "x" * 100),)
    assert name(" ").lines == ("(no name)",)
    assert MISSING.lines == ("not measured yet",)
