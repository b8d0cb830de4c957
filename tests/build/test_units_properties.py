"""Whatever the text: no word is lost, ids are stable and differ, and reading units once more changes nothing."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from persbench.build.paragraphs import cut, weight
from persbench.build.units import UnitsRead, read_units
from persbench.errors import FaultsError
from persbench.packs.texts import is_id

WORDS = st.sampled_from(
    ["ferry", "Mr.", "Dr.", "he", "Said", '"Yes!"', "1890.", "well-", "known", "Anna:", "Ben:", "Note:", "U.S.", "etc.",
     "*", "—", "#", "-", "他来了。", "渡口", "Ω", "e\u0301", "(so", "then)", "...", "end.", "<b>", "&amp;", "```",
     "---", "[x]", "|", ">", "1."]
)  # fmt: skip
LINES = st.lists(WORDS, min_size=0, max_size=30).map(" ".join)
TEXTS = st.lists(st.tuples(st.sampled_from(["", "  ", "\t"]), LINES), max_size=25).map(
    lambda lines: "\n".join(f"{indent}{line}" for indent, line in lines)
)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


def read(name: str, content: str) -> UnitsRead | None:
    """Read one file of this text; None if it is refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content.encode())
        try:
            return read_units([path], objective=True)
        except FaultsError:
            return None


def letters(text: str) -> str:
    return "".join(re.findall(r"\w", normalize("NFC", text)))


def without_names(text: str) -> str:
    """Letters save those of speakers: who goes on speaking is named once, and who says nothing not at all."""
    return re.sub("Mr|Dr|Anna|Ben|Note|b", "", letters(text))


def check(found: UnitsRead) -> None:
    ids = [unit.id for unit in found.units]
    assert len(set(ids)) == len(ids)
    for unit in found.units:
        assert is_id(unit.id)
        assert letters(unit.text)
        assert unit.text == unit.text.strip()
        assert normalize("NFC", unit.text) == unit.text
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", unit.text)
        assert weight(unit.text) <= 208 + 210 * len(unit.turns)
        assert len(unit.turns) <= 6
    assert [unit.line for unit in found.units] == sorted(unit.line for unit in found.units)


@settings(max_examples=50, deadline=None)
@example("Dr. Anna:\nAnna: ferry\nDr. Anna: ferry")
@given(TEXTS)
def test_no_letter_of_a_text_is_lost(content: str) -> None:
    found = read("life.txt", content)
    if found is None:
        assert not re.search(r"[^\W_]", content)
        return
    check(found)
    repeated = [where for where, reason in found.dropped if reason.startswith("the same text")]
    kept = without_names("".join(unit.text for unit in found.units))
    if repeated:  # they stand once already
        assert len(kept) <= len(without_names(content))
        assert set(kept) == set(without_names(content))
    else:
        assert kept == without_names(content)


@settings(max_examples=50, deadline=None)
@example("1890. * ferry")
@example("ferry\n\n1890.")
@given(TEXTS)
def test_markdown_loses_only_what_it_names(content: str) -> None:
    found = read("life.md", content)
    if found is None:
        return
    check(found)
    if not found.dropped:
        text = content.replace("&amp;", "&").replace("<b>", "")
        kept = "".join(unit.heading + unit.text for unit in found.units)
        assert set(without_names(text)) <= set(letters(kept))


@pytest.mark.parametrize("content", ["Mr. Anna:\nAnna: ferry\nAnna:", "Mr. Anna:\nAnna:\nAnna:"])
def test_names_without_a_word_are_no_conversation(content: str) -> None:
    found = read("life.md", content)
    assert found is not None
    assert [unit.turns for unit in found.units] in ([()], [])
    assert letters(content) == letters("".join(unit.text for unit in found.units)) or found.dropped


@settings(max_examples=50, deadline=None)
@given(TEXTS)
def test_reading_the_units_again_changes_nothing(content: str) -> None:
    found = read("life.txt", content)
    if found is None:
        return
    assert read("life.txt", content) == found
    again = read("life.jsonl", "\n".join(json.dumps({"text": unit.text}) for unit in found.units))
    assert again is not None
    first, second = ("".join(unit.text for unit in read_once.units) for read_once in (found, again))
    assert without_names(first) == without_names(second)


@settings(max_examples=50, deadline=None)
@given(ANY_TEXT, st.sampled_from(["life.txt", "life.md", "life.jsonl"]))
def test_no_text_at_all_breaks_the_reader(content: str, name: str) -> None:
    found = read(name, content)
    if found is not None:
        check(found)


@settings(max_examples=50, deadline=None)
@given(st.one_of(TEXTS, ANY_TEXT), st.integers(1, 40), st.integers(0, 8))
def test_cutting_loses_and_adds_nothing(text: str, longest: int, shortest: int) -> None:
    pieces = cut(text, longest, shortest)
    assert "".join(pieces) == text
    assert all(pieces) or not text


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["Anna", "Ben", "Carl"]), st.integers(0, 9)), min_size=1, max_size=30))
def test_no_turn_is_lost(turns: list[tuple[str, int]]) -> None:
    rows = [{"speaker": who, "text": f"{what} and turn {number}"} for number, (who, what) in enumerate(turns)]
    found = read("life.jsonl", "\n".join(json.dumps(row) for row in rows))
    assert found is not None
    check(found)
    assert [(who, line) for unit in found.units for who, what in unit.turns for line in what.split("\n")] == [
        (row["speaker"], row["text"]) for row in rows
    ]
