"""JSON lines as units: chat logs in several shapes, rows of text, and a fault for each row of no known shape."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from persbench.build.units import UnitsRead, read_units
from persbench.errors import FaultsError


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def read(path: Path, *rows: object) -> UnitsRead:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), "utf-8")
    return read_units([path], objective=False)


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": "Anna", "content": "one"}, {"role": "Ben", "content": "two\n\nand more"}]},
        {"conversations": [{"from": "Anna", "value": "one"}, {"from": "Ben", "value": "two\nand more"}]},
        {"dialogue": [{"speaker": "Anna", "text": "one"}, {"speaker": "Ben", "text": " two \nand   more"}], "id": 7},
        {
            "messages": [
                {"role": "Anna", "content": [{"type": "text", "text": "one"}, {"type": "image_url", "image_url": {}}]},
                {"role": "Ben", "content": [{"type": "text", "text": "two"}, {"type": "text", "text": "and more"}]},
            ]
        },
    ],
    ids=["messages", "sharegpt", "dialogue", "parts"],
)
def test_a_conversation_in_a_row(log: Path, row: object) -> None:
    (unit,) = read(log, row).units
    assert unit.turns == (("Anna", "one"), ("Ben", "two\nand more"))
    assert unit.text == "Anna: one\nBen: two\nand more"
    assert not unit.objective


def test_rows_of_talk_are_one_conversation_until_its_id_changes(log: Path) -> None:
    found = read(
        log,
        {"speaker": "Anna", "text": "one", "conversation_id": 1},
        {"speaker": "Ben", "text": "two", "conversation_id": 1},
        "",
        {"speaker": "Anna", "text": "three", "conversation_id": 2},
        {"speaker": "Ben", "text": "four", "conversation_id": 2, "timestamp": "1890-05-03"},
        {"text": "A paragraph of prose with quite enough words to stand alone.", "title": "A letter"},
        {"sender": "Ben", "message": "five"},
        {"sender": "Anna", "message": "six"},
    )
    assert [(unit.line, unit.heading, len(unit.turns)) for unit in found.units] == [
        (1, "", 2), (4, "", 2), (6, "A letter", 0), (7, "", 2),
    ]  # fmt: skip


def test_talk_of_six_turns_and_more(log: Path) -> None:
    messages = [{"role": ("user", "assistant")[n % 2], "content": f"thing {n}"} for n in range(12)]
    assert [len(unit.turns) for unit in read(log, {"messages": messages}).units] == [5, 5, 2]


def test_text_rows_split_at_blank_lines(log: Path) -> None:
    first, second = (
        "The first paragraph has as many words as it needs.",
        "The second paragraph has as many words as it needs.",
    )
    found = read(log, {"text": f"{first}\n\n{second}"})
    assert [(unit.text, unit.line) for unit in found.units] == [(first, 1), (second, 1)]


def test_instructions_are_left_out_by_name(log: Path) -> None:
    found = read(
        log,
        {
            "messages": [
                {"role": "system", "content": "Obey."},
                {"role": "user", "content": "hi"},
                {"role": "tool", "content": "{}"},
            ]
        },
    )
    assert [unit.text for unit in found.units] == ["user: hi"]
    assert [tuple(drop) for drop in found.dropped] == [
        ("log.jsonl:1", "a system message: instructions, no talk"),
        ("log.jsonl:1", "a tool message: instructions, no talk"),
    ]


def test_line_separators_inside_a_text_do_not_break_the_row(log: Path) -> None:
    log.write_text('{"text": "A line separator\u2028stands in this text, which has enough words."}\n', "utf-8")
    (unit,) = read_units([log], objective=True).units
    assert unit.text == "A line separator stands in this text, which has enough words."


def test_every_broken_row_is_a_fault(log: Path) -> None:
    with pytest.raises(FaultsError) as caught:
        read(
            log,
            {"id": 1, "payload": "x"},
            {"text": 7},
            {"text": "A sound row between two broken ones, with enough words."},
            {"messages": "no list"},
            {"messages": ["no object"]},
            {"messages": [{"role": "user", "content": "hi"}, {"content": "nobody says it"}]},
            {"speaker": "A" * 200, "text": "hi"},
            "[1, 2]",
            "{broken",
            '{"text": "\\ud800"}',
            "[" * 100_000,
        )
    shape = 'a row of text {"text": ...}, a line of talk {"speaker": ..., "text": ...}, or a conversation'
    expected = [
        ("1: no text (keys: id, payload)", shape),
        ("2: text: not a text", "a text"),
        ("4: messages: not a list of messages", shape),
        ("5: messages[0]: not an object", '{"role": ..., "content": ...}'),
        ("6: messages[1]: no speaker", "one of speaker, role"),
        ("7: a speaker's name of 200 characters", "at most 100"),
        ("8: not an object but a list", "{...}"),
        ("9: broken JSON at column 2", "one JSON object a line"),
        ("10: half a surrogate pair", "whole characters"),
        ("11: JSON nested too deeply", "one flat object"),
    ]
    assert len(caught.value.faults) == len(expected)
    for fault, (start, wanted) in zip(map(str, caught.value.faults), expected, strict=True):
        assert fault.startswith(f"{log}:{start}")
        assert f"; expected {wanted}" in fault


def test_a_file_of_faults_is_given_up(log: Path) -> None:
    with pytest.raises(FaultsError) as caught:
        read(log, *["nonsense"] * 500)
    assert len(caught.value.faults) == 101
    assert "100 faults up to here" in str(caught.value)
