"""Every broken line is one fault with its number; the sound lines around it come through; memory stays bounded."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persbench.jsonl import MAX_FAULTS, MAX_LINE_BYTES, MAX_SKIPPED_BYTES, parse_object, read_objects

if TYPE_CHECKING:
    from persbench.errors import Fault


def read(path: Path) -> tuple[list[tuple[int, dict[str, object]]], list[str]]:
    faults: list[Fault] = []
    rows = list(read_objects(path, "rows.jsonl", faults))
    return rows, [str(fault) for fault in faults]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows.jsonl"


def test_sound_lines_come_with_their_numbers(file: Path) -> None:
    file.write_bytes('{"a": 1}\r\n{"b": "é\\ud83d\\ude00"}'.encode())
    assert read(file) == ([(1, {"a": 1}), (2, {"b": "é😀"})], [])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"a": "caf\xe9"}', "not UTF-8 (byte 0xe9 at position 11); expected UTF-8 without a byte order mark"),
        (b'{"a": 1', "broken JSON at column 8: Expecting ',' delimiter; expected one JSON object a line"),
        (b'{"a": 1} {"b": 2}', "broken JSON at column 10: Extra data; expected one JSON object a line"),
        (b"", "empty line; expected one JSON object a line"),
        (b" \t", "empty line; expected one JSON object a line"),
        (b"[1, 2]", "not an object but a list; expected {...} on every line"),
        (b"null", "not an object but null; expected {...} on every line"),
        (b'"x"', "not an object but a string; expected {...} on every line"),
        (b"7", "not an object but a number; expected {...} on every line"),
        (b'{"a": NaN}', "NaN is not JSON; expected a finite number"),
        (b'{"a": -Infinity}', "-Infinity is not JSON; expected a finite number"),
        (b'{"a": 1e999}', "number out of range; expected a finite number"),
        (b'{"a": ' + b"9" * 5000 + b"}", "number out of range; expected at most 64 bits"),
        (b'{"x": {"a": 1, "a": 2}}', 'key "a" twice in one object; expected each key once'),
        (b'{"a": "\\ud800"}', "half a surrogate pair (\\ud800 to \\udfff); expected whole characters"),
        (b'{"a": [{"\\uDFFF": 1}]}', "half a surrogate pair (\\ud800 to \\udfff); expected whole characters"),
        (b"[" * 200_000, "JSON nested too deeply; expected one flat object a line"),
        (b'{"a": "' + b"x" * MAX_LINE_BYTES + b'"}', "line longer than 1,000,000 bytes; expected one JSON object a"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_broken_line_is_one_fault_and_its_neighbours_survive(file: Path, line: bytes, message: str) -> None:
    file.write_bytes(b'{"first": 1}\n' + line + b'\n{"last": 1}\n')
    rows, faults = read(file)
    assert [number for number, _ in rows] == [1, 3]
    assert len(faults) == 1
    assert faults[0].startswith(f"rows.jsonl:2: {message}")


def test_a_byte_order_mark_is_told_and_the_line_is_read(file: Path) -> None:
    file.write_bytes(b'\xef\xbb\xbf{"a": 1}\n')
    told = (
        "rows.jsonl:1: byte order mark at the start; expected UTF-8 without a byte order mark "
        "(save the file again with that encoding)"
    )
    assert read(file) == ([(1, {"a": 1})], [told])


def test_an_empty_file_is_a_fault(file: Path) -> None:
    file.touch()
    assert read(file) == ([], ["rows.jsonl: empty file; expected at least one JSON object, or no such file"])


def test_a_binary_file_is_left_after_one_fault(file: Path) -> None:
    file.write_bytes(b"PK\0\n" * 1000)
    rows, faults = read(file)
    assert rows == []
    assert len(faults) == 1
    assert faults[0].startswith("rows.jsonl:1: NUL byte: this is not a text file")


def test_a_file_of_faults_is_given_up(file: Path) -> None:
    file.write_bytes(b"x\n" * 10_000)
    _, faults = read(file)
    assert len(faults) == MAX_FAULTS + 1
    assert faults[-1] == "rows.jsonl:100: 100 faults up to here: the rest of the file was not read"


@pytest.mark.parametrize("size", [10_000_000, 200_000_000])
def test_an_endless_line_is_never_held_in_memory(file: Path, size: int) -> None:
    file.write_bytes(b'{"a": "')
    os.truncate(file, size)  # sparse: a line of NUL bytes that costs no disk
    tracemalloc.start()
    rows, faults = read(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == []
    assert len(faults) == 1
    assert faults[0].startswith("rows.jsonl:1: line longer than 1,000,000 bytes")
    assert ("the rest of the file was not read" in faults[0]) == (size > MAX_SKIPPED_BYTES)
    assert peak < 4 * MAX_LINE_BYTES


def test_reading_goes_on_after_an_overlong_line(file: Path) -> None:
    file.write_bytes(b"x" * 10_000_000 + b'\n{"a": 1}\nbroken\n')
    rows, faults = read(file)
    assert rows == [(2, {"a": 1})]
    assert [fault.split(":")[1] for fault in faults] == ["1", "3"]


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe")
    assert read(tmp_path / "folder") == ([], ["rows.jsonl: a folder, not a file"])
    assert read(tmp_path / "loop")[1][0].startswith("rows.jsonl: cannot be read: Too many levels of symbolic links")
    assert read(tmp_path / "nowhere") == ([], ["rows.jsonl: a link to nothing"])
    assert read(tmp_path / "gone") == ([], ["rows.jsonl: missing file"])
    assert read(tmp_path / "pipe") == ([], ["rows.jsonl: not an ordinary file"])


def test_a_file_that_may_not_be_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("{}")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert read(file) == ([], ["rows.jsonl: cannot be read: Permission denied"])


@given(st.binary())
def test_any_bytes_give_an_object_or_a_fault_in_two_parts(line: bytes) -> None:
    try:
        assert isinstance(parse_object(line), dict)
    except ValueError as error:
        assert [type(arg) for arg in error.args] == [str, str]  # noqa: PT017
