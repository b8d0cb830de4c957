"""Markdown as units: headings are context, marks go, words stay, and what is left out is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from persbench.build.units import UnitsRead, read_units

LONG_ENOUGH = "She kept the ferry for eleven years and never crossed it once."
ANOTHER = "The winter her father died the river froze from bank to bank."


def read(path: Path, text: str) -> UnitsRead:
    path.write_text(text, "utf-8")
    return read_units([path], objective=True)


def texts(found: UnitsRead) -> list[str]:
    return [unit.text for unit in found.units]


@pytest.fixture
def md(tmp_path: Path) -> Path:
    return tmp_path / "life.md"


def test_markdown_headings_are_context(md: Path) -> None:
    found = read(md, f"# Life\n\n## Youth\n\n{LONG_ENOUGH}\n\n## Age\n\n### Late\n\n{ANOTHER}\n\n## Empty\n\n# End\n")
    assert [(unit.heading, unit.text, unit.line) for unit in found.units] == [
        ("Life > Youth", LONG_ENOUGH, 5),
        ("Life > Age > Late", ANOTHER, 11),
    ]
    assert [reason for _, reason in found.dropped] == [
        "a heading with nothing under it: Empty",
        "a heading with nothing under it: End",
    ]


def test_a_short_paragraph_does_not_leave_its_heading(md: Path) -> None:
    assert texts(read(md, f"# One\n\nYes.\n\n# Two\n\n{LONG_ENOUGH}\n")) == ["Yes.", LONG_ENOUGH]


def test_markdown_marks_go_and_words_stay(md: Path) -> None:
    found = read(
        md,
        "She *kept* the **ferry** for `eleven` years &amp; [never](http://x.org) crossed<br>it ![once](a.png).\n"
        "<b>Not</b> even when <Anna> asked.\n\n1890. That was the year of the great flood in the valley.\n\n"
        "| who | what |\n|---|---|\n| the miller | drowned in the flood of that year |\n\n"
        "    A poem set in by four blanks is no code.\n\n[Anna]: hello_there\n",
    )
    assert "\n".join(texts(found)).split("\n") == [
        "She kept the ferry for eleven years & never crossed it once. Not even when <Anna> asked.",
        "1890. That was the year of the great flood in the valley.",
        "who | what",
        "the miller | drowned in the flood of that year",
        "A poem set in by four blanks is no code.",
        "[Anna]: hello_there",
    ]


def test_markdown_names_what_it_leaves_out(md: Path) -> None:
    found = read(
        md,
        f"---\ntitle: A life\n---\n\n{LONG_ENOUGH} <!-- a\nsecret -->\n\n```\nx = 1\n```\n\n"
        f"<script>\nalert(1)\n</script>\n\n<div>{ANOTHER}<!-- more --></div>\n",
    )
    assert texts(found) == [LONG_ENOUGH, ANOTHER]
    assert [tuple(drop) for drop in found.dropped] == [
        ("life.md:1", "front matter"),
        ("life.md:5", "an HTML comment"),
        ("life.md:8", "a code block of 1 line"),
        ("life.md:12", "a script or style sheet"),
        ("life.md:16", "an HTML comment"),
    ]


def test_talk_in_markdown(md: Path) -> None:
    (unit,) = read(md, "# A talk\n\n**Anna:** one\n\n**Ben:** two\n\n**Anna:** three\n").units
    assert unit.turns == (("Anna", "one"), ("Ben", "two"), ("Anna", "three"))
    assert unit.heading == "A talk"


def test_a_text_that_begins_set_in_is_read_from_its_start(md: Path) -> None:
    assert texts(read(md, f"    {LONG_ENOUGH}\n\n{ANOTHER}\n")) == [LONG_ENOUGH, ANOTHER]
