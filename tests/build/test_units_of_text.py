"""Plain text as units: what becomes a paragraph, what a conversation, what is left out by name."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from persbench.build.paragraphs import cut, weight
from persbench.build.units import Limits, Unit, UnitsRead, read_units
from persbench.packs.texts import is_id


def read(path: Path, text: str | bytes, **limits: int) -> UnitsRead:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_units([path], objective=True, limits=Limits(**limits))


def texts(found: UnitsRead) -> list[str]:
    return [unit.text for unit in found.units]


@pytest.fixture
def txt(tmp_path: Path) -> Path:
    return tmp_path / "life.txt"


LONG_ENOUGH = "She kept the ferry for eleven years and never crossed it once."
ANOTHER = "The winter her father died the river froze from bank to bank."


def test_hard_wrapped_lines_join_and_blank_lines_divide(txt: Path) -> None:
    found = read(txt, "She kept the ferry for eleven years\r\nand never crossed it once.\r\n\r\n\r\n" + ANOTHER)
    assert texts(found) == [LONG_ENOUGH, ANOTHER]
    assert [unit.line for unit in found.units] == [1, 5]
    assert found.bytes_read == txt.stat().st_size
    assert found.dropped == ()


def test_a_unit_says_where_it_comes_from(txt: Path) -> None:
    unit = read(txt, LONG_ENOUGH).units[0]
    assert unit == Unit(unit.id, LONG_ENOUGH, "life.txt", 1, True)
    assert is_id(unit.id)


def test_long_lines_are_paragraphs_of_their_own(txt: Path) -> None:
    first, second = (LONG_ENOUGH + " ") * 3, (ANOTHER + " ") * 3
    assert texts(read(txt, f"{first}\n{second}\n")) == [first.strip(), second.strip()]


def test_an_indented_line_begins_a_paragraph(txt: Path) -> None:
    found = read(txt, f"   {LONG_ENOUGH[:30]}\n{LONG_ENOUGH[30:]}\n   {ANOTHER[:30]}\n{ANOTHER[30:]}\n")
    assert len(found.units) == 2
    assert found.units[1].line == 3


def test_hyphens_stay_and_chinese_lines_meet_without_a_blank(txt: Path) -> None:
    found = read(
        txt,
        "It was the well-\nknown ferryman of the valley.\n\nAnother one now stands here, with words enough.\n\n"
        "她在渡口住了十一年，\n从来没有过过那条河。\n",
    )
    assert texts(found) == [
        "It was the well-known ferryman of the valley.",
        "Another one now stands here, with words enough.",
        "她在渡口住了十一年，从来没有过过那条河。",
    ]


def test_short_paragraphs_join_the_next_and_the_last_one_the_one_before(txt: Path) -> None:
    found = read(txt, f'"No," he said.\n\n"Why?"\n\n{LONG_ENOUGH}\n\n{ANOTHER}\n\nSo it was.\n')
    assert texts(found) == [f'"No," he said.\n"Why?"\n{LONG_ENOUGH}', f"{ANOTHER}\nSo it was."]
    assert [unit.line for unit in found.units] == [1, 7]
    assert texts(read(txt, "So it was.")) == ["So it was."]


def test_long_paragraphs_are_cut_at_the_ends_of_sentences_and_know_their_lines(txt: Path) -> None:
    sentences = [f'Mr. Brown paid {n} pence at St. Ann\'s on day {n}, and said "Good!" to us.' for n in range(40)]
    found = read(txt, "\n".join(sentences))
    assert len(found.units) == 4
    assert " ".join(texts(found)) == " ".join(sentences)
    for unit in found.units:
        assert weight(unit.text) <= 208
        assert unit.text.startswith("Mr. Brown paid")
        assert unit.text.endswith("to us.")
        assert sentences[unit.line - 1] in unit.text


@pytest.mark.parametrize(
    "text", ["word " * 1000, "字" * 1000, "a, b; " * 500, "他来了。" * 300], ids=["words", "han", "clauses", "short"]
)
def test_text_without_useful_sentences_is_cut_all_the_same(text: str) -> None:
    pieces = cut(text, 200, 8)
    assert "".join(pieces) == text
    assert len(pieces) > 1
    assert all(8 <= weight(piece) <= 208 for piece in pieces)


def test_equal_texts_are_kept_once(tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text(f"{LONG_ENOUGH}\n\n{ANOTHER}\n")
    second.write_text(f"{ANOTHER.upper()}\n")
    found = read_units([first, second], objective=False)
    assert texts(found) == [LONG_ENOUGH, ANOTHER]
    assert found.dropped == (("b.txt:1", "the same text as a.txt:3"),)


def test_a_row_of_stars_and_encoded_data_are_no_prose(txt: Path) -> None:
    found = read(txt, f"{LONG_ENOUGH}\n\n* * *\n\n{'QUJD' * 200}\n\n{ANOTHER}\n")
    assert texts(found) == [LONG_ENOUGH, ANOTHER]
    assert found.dropped == (
        ("life.txt:3", "no words: * * *"),
        ("life.txt:5", "data, no prose: 800 characters without a blank"),
    )


def test_the_licence_around_a_gutenberg_book_is_left_out(txt: Path) -> None:
    start, end = (f"*** {word} OF THE PROJECT GUTENBERG EBOOK A LIFE ***" for word in ("START", "END"))
    found = read(txt, f"Words about rights that nobody lived.\n\n{start}\n\n{LONG_ENOUGH}\n\n{end}\n\nMore of it.")
    assert texts(found) == [LONG_ENOUGH]
    assert found.dropped == (("life.txt:1", "4 lines of licence and title around a Gutenberg e-book"),)


def test_talk_is_cut_by_five_turns(txt: Path) -> None:
    said = [(("Anna", "Ben")[n % 2], f"This is the {n}th thing I say.") for n in range(13)]
    found = read(txt, f"{LONG_ENOUGH}\n" + "\n".join(f"{who}: {what}" for who, what in said) + f"\n\n{ANOTHER}\n")
    talks = [unit for unit in found.units if unit.turns]
    assert [len(unit.turns) for unit in talks] == [5, 5, 3]
    assert [turn for unit in talks for turn in unit.turns] == said
    assert talks[0].text.startswith("Anna: This is the 0th thing I say.\nBen: This is the 1th")
    assert [unit.line for unit in found.units] == [1, 2, 7, 12, 16]


def test_a_last_turn_alone_stays_with_the_segment_before(txt: Path) -> None:
    found = read(txt, "\n".join(f"{'Anna' if n % 2 else 'Ben'}: line {n}" for n in range(11)))
    assert [len(unit.turns) for unit in found.units] == [5, 6]


@pytest.mark.parametrize(
    ("text", "turns"),
    [
        ("Anna: one\n\nBen: two\n\nAnna: three", ["Anna one", "Ben two", "Anna three"]),
        ("ANNA:\n  one\n  two\nBEN (softly): three\nANNA: four", ["ANNA one two", "BEN (softly) three", "ANNA four"]),
        ("<anna> one\n<ben> two\n<anna> three", ["anna one", "ben two", "anna three"]),
        ("李白：一\n杜甫：二\n李白：三", ["李白 一", "杜甫 二", "李白 三"]),
        ("Anna: one\nAnna: two\nanna_92: three\nMe: four", ["Anna one\ntwo", "anna_92 three", "Me four"]),
        ("The old miller: one\nBen: two\nBen: three", ["The old miller one", "Ben two\nthree"]),
    ],
)  # fmt: skip
def test_lines_of_talk_in_many_forms(txt: Path, text: str, turns: list[str]) -> None:
    (unit,) = read(txt, text).units
    assert [f"{who} {what}" for who, what in unit.turns] == turns


def test_the_time_of_a_first_line_is_kept_as_heading(txt: Path) -> None:
    (unit,) = read(txt, "12/05/2020, 10:15 - Anna: one\n12/05/2020, 10:16 - Ben: two\n[10:20] Anna: three").units
    assert unit.turns == (("Anna", "one"), ("Ben", "two"), ("Anna", "three"))
    assert unit.heading == "12/05/2020, 10:15"


@pytest.mark.parametrize(
    "text",
    [
        "From: Anna\nTo: Ben\nDate: 3 May\nSubject: the ferry",
        "Anna: a monologue of one\nAnna: goes on and on and on",
        "She asked what he had seen, and the answer was\nLondon: a city of fog, and\nParis: another one.",
        "as the song goes: hey\nas the song goes: ho\nWrite to: us",
        "http://example.org/one\nhttp://example.org/two",
    ],
)
def test_what_only_looks_like_talk_stays_prose(txt: Path, text: str) -> None:
    found = read(txt, text)
    assert not [unit for unit in found.units if unit.turns]
    assert "".join("".join(texts(found)).split()) == "".join(text.split())


def test_a_long_turn_is_cut(txt: Path) -> None:
    found = read(txt, f"Anna: {(LONG_ENOUGH + ' ') * 40}\nBen: yes\nAnna: no")
    assert [who for who, _ in found.units[0].turns][:3] == ["Anna", "Anna", "Anna"]
    assert all(weight(what) <= 208 for unit in found.units for _, what in unit.turns)


def test_text_is_normal_and_without_hidden_characters(txt: Path) -> None:
    hidden = "".join(chr(0xE0000 + ord(c)) for c in "obey me")
    found = read(
        txt,
        "\ufeff"
        + LONG_ENOUGH.replace("e", "e\u0301")
        + f"\x07\x1b{hidden}\u202e so\u00adft\x0cA new page begins here with words enough for itself.",
    )
    first, second = texts(found)
    assert first == unicodedata.normalize("NFC", LONG_ENOUGH.replace("e", "e\u0301")) + " soft"
    assert second == "A new page begins here with words enough for itself."
    assert found.dropped == (("life.txt:1", "10 control characters in the file, from here on"),)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_with_a_byte_order_mark_is_read(txt: Path, encoding: str) -> None:
    assert texts(read(txt, ("Ève " + LONG_ENOUGH).encode(encoding))) == ["Ève " + LONG_ENOUGH]


def test_ids_are_stable_and_differ_by_side(txt: Path) -> None:
    first = read(txt, f"{LONG_ENOUGH}\n\n{ANOTHER}\n")
    assert read_units([txt], objective=True) == first
    other = read_units([txt], objective=False)
    assert len({unit.id for unit in (*first.units, *other.units)}) == 4
