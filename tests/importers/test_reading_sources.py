"""A stranger's files: every fault with file and line, sound rows around it, and memory that does not grow with them."""

from __future__ import annotations

import json
import tempfile
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persbench.importers.reading import MAX_DOCUMENT_BYTES, files_below, read_document, read_rows, text_lines
from persbench.jsonl import MAX_LINE_BYTES

if TYPE_CHECKING:
    from persbench.errors import Fault


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows.json"


def rows(path: Path) -> tuple[list[tuple[int, Any]], list[str]]:
    faults: list[Fault] = []
    found = list(read_rows(path, "f", faults))
    return found, [str(fault) for fault in faults]


@pytest.mark.parametrize("indent", [None, 4])
def test_a_list_and_lines_are_told_by_their_content(file: Path, indent: int | None) -> None:
    entries = [{"a": "é]}[{,"}, {"b": [1, {"c": '"'}]}, {}]
    file.write_text("\n " + json.dumps(entries, indent=indent), encoding="utf-8")
    found, faults = rows(file)
    assert ([row for _, row in found], faults) == (entries, [])
    assert [line for line, _ in found] == ([2, 2, 2] if indent is None else [3, 6, 14])
    file.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    assert rows(file) == ([(1, entries[0]), (2, entries[1]), (3, {})], [])


def test_an_empty_list_has_no_entries(file: Path) -> None:
    file.write_text(" [ ] \n")
    assert rows(file) == ([], [])


@pytest.mark.parametrize(
    ("raw", "sound", "message"),
    [
        (b'[{"a": 1}, {"a": 2', 1, "f:1: the file breaks off: Expecting ',' delimiter"),
        (b'[{"a": 1}, {"a": "2', 1, "f:1: the file breaks off: Unterminated string"),
        (
            b'[{"a": 1},\n{"a" 2}, {"a": 3}, {"a": "' + b"x" * 100 + b'"}]',
            1,
            "f:2: broken JSON: Expecting ':' delimiter",
        ),
        (b'[{"a": 1}', 1, "f:1: broken JSON: the end of the file where ',' belongs"),
        (b'[{"a": 1} {"a": 2}]', 1, "f:1: broken JSON: \"{\" where ',' belongs"),
        (b'[{"a": 1},]', 1, "f:1: an entry that is no object"),
        (b"[1, 2]", 0, "f:1: an entry that is no object; expected a list of objects"),
        (b'[{"a": 1}]\n[{"a": 2}]', 1, "f:2: more after the end of the list"),
        (b'[{"a": NaN}, {"a": 2}]', 1, "f:1: NaN is not JSON"),
        (b'[{"a": 1, "a": 2}, {"a": 2}]', 1, 'f:1: key "a" twice in one object'),
        (b'[{"a": "\\ud800"}, {"a": 2}]', 1, "f:1: half a surrogate pair"),
        (b'[{"a": ' + b"9" * 5000 + b"}]", 0, "f:1: JSON nested too deeply, or a number out of range"),
        (b'[{"a": "caf\xe9"}]', 0, "f:1: not UTF-8 (byte 0xe9)"),
        (b'[{"a": "\0"}]', 0, "f:1: NUL byte: this is not a text file"),
        ('[{"a": 1}]'.encode("utf-16"), 0, "f:1: NUL byte: this is not a text file; expected UTF-8"),
        (b"\xef\xbb\xbf" + b'[{"a": 1}]', 0, "f:1: byte order mark at the start"),
        (b"", 0, "f: empty file"),
        (b"\x7fELF\x02\x01\0\0\0", 0, "f:1: NUL byte"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_broken_list_is_told_with_its_line(file: Path, raw: bytes, sound: int, message: str) -> None:
    file.write_bytes(raw)
    found, faults = rows(file)
    assert len(found) == sound
    assert faults
    assert faults[0].startswith(message)


TEXTS = st.text(max_size=20)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.dictionaries(TEXTS, TEXTS | st.integers(-(2**40), 2**40) | st.none(), max_size=3), max_size=8))
def test_any_list_of_objects_comes_back_whole(entries: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "f"
        file.write_text(json.dumps(entries), encoding="utf-8")
        found, faults = rows(file)
    assert ([row for _, row in found], faults) == (entries, [])


def test_entries_that_a_piece_of_the_file_cuts_anywhere_come_back_whole(file: Path) -> None:
    entries = [{"n": i, "t": "é\u2028\\" * (i % 97), "b": True} for i in range(2000)]
    file.write_text(json.dumps(entries, ensure_ascii=False), encoding="utf-8")
    assert file.stat().st_size > 3 * (1 << 16)
    found, faults = rows(file)
    assert ([row for _, row in found], faults) == (entries, [])


@pytest.mark.parametrize("form", ["list", "entry", "line", "text"])
def test_memory_stays_bounded(file: Path, form: str) -> None:
    with file.open("wb") as out:
        if form == "list":
            out.write(b"[" + b",".join([b'{"a": "' + b"x" * 24_000 + b'"}'] * 1_000) + b"]")
        else:
            out.write({"entry": b'[{"a": "', "line": b'{"a": "', "text": b""}[form] + b"x" * 24_000_000)
    faults: list[Fault] = []
    tracemalloc.start()
    if form == "text":
        count = sum(1 for _ in text_lines(file, "f", faults))
    else:
        count = sum(1 for _ in read_rows(file, "f", faults))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < (1 if form == "list" else 8) * MAX_LINE_BYTES  # of 24 MB: one entry, its buffer, and their copies
    assert (count, len(faults)) == ((1_000, 0) if form == "list" else (0, 1))


def test_text_lines_end_with_the_first_line_that_is_none(file: Path) -> None:
    file.write_bytes(b"one\r\n\ntwo \xff\nthree\n")
    faults: list[Fault] = []
    assert list(text_lines(file, "f", faults)) == [(1, "one"), (2, "")]
    assert [str(fault)[:33] for fault in faults] == ["f:3: not UTF-8 (byte 0xff at posi"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "f: empty file; expected one JSON object"),
        (b" \n", "f: empty file; expected one JSON object"),
        (b'{"a":\n  tru}', "f:2: broken JSON"),
        (b"[1]", "f: not an object but a list"),
        (b'{"a": 1, "a": 2}', 'f: key "a" twice'),
        (b'{"a": "\xff"}', "f: not UTF-8"),
    ],
)
def test_a_document_that_is_none(file: Path, raw: bytes, message: str) -> None:
    file.write_bytes(raw)
    faults: list[Fault] = []
    assert read_document(file, "f", faults) is None
    assert [str(fault).startswith(message) for fault in faults] == [True]


def test_a_huge_document_is_not_opened(file: Path) -> None:
    with file.open("wb") as out:
        out.truncate(MAX_DOCUMENT_BYTES + 1)
    faults: list[Fault] = []
    assert read_document(file, "f", faults) is None
    assert "larger than 64,000,000 bytes" in str(faults[0])


def test_files_below_pass_over_what_is_hidden_linked_or_deep(tmp_path: Path) -> None:
    for name in ("b.txt", "a/c.txt", ".git/config", "a/.hidden", "1/2/3/4/5/6/deep", "1/2/3/4/5/6/7/deeper"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert list(files_below(tmp_path)) == ["1/2/3/4/5/6/deep", "a/c.txt", "b.txt"]
