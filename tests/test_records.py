"""Records are written whole or not at all, one line a sample, and read back as they were."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from persbench.errors import PersbenchError
from persbench.records import LARGEST_UNPACKED, CellRecord, load_record, save_record, write_atomic, write_new

SAMPLES = [{"id": "a", "reply": 'Ein "Wort"\n\x00 mit\u2028Zeichen'}, {"id": "b", "reply": "\x000\x00"}]
RECORD = CellRecord(
    "prompt", "ada", "k", {"s": 1}, {"t": {"version": "1.0", "hash": "h", "samples": SAMPLES}}, {"v": "\x001\x00"}
)


def test_what_is_written_is_read_back_whatever_a_model_said(tmp_path: Path) -> None:
    save_record(tmp_path / "r.json", RECORD)
    assert load_record(tmp_path / "r.json") == RECORD
    assert sum('"id":' in line for line in (tmp_path / "r.json").read_text("utf-8").split("\n")) == 2


def test_a_packed_record_is_read_as_it_is_and_a_torn_one_is_named(tmp_path: Path) -> None:
    save_record(tmp_path / "r.json", RECORD)
    packed = gzip.compress((tmp_path / "r.json").read_bytes(), mtime=0)
    for torn in (b"", packed[:-20], packed[:10] + b"\0" * 30, b"no gzip"):
        (tmp_path / "r.json.gz").write_bytes(torn)
        with pytest.raises(PersbenchError, match="not a readable record"):
            load_record(tmp_path / "r.json.gz")
    (tmp_path / "r.json.gz").write_bytes(packed)
    assert load_record(tmp_path / "r.json.gz") == RECORD


def test_the_file_is_readable_by_others(tmp_path: Path) -> None:
    write_atomic(tmp_path / "deep" / "f", b"x")
    assert (tmp_path / "deep" / "f").stat().st_mode & 0o044


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.json"
    save_record(path, RECORD)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("persbench.records.os.fsync", full)
    with pytest.raises(PersbenchError, match=r"No space left on device\. What was finished before is kept"):
        save_record(path, replace(RECORD, persona="bo"))
    assert load_record(path) == RECORD
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_a_packed_record_is_unpacked_no_further_than_one_can_be_long(tmp_path: Path) -> None:
    engine, zeros = zlib.compressobj(9, zlib.DEFLATED, 31), bytes(1 << 20)
    pieces = [engine.compress(zeros) for _ in range((LARGEST_UNPACKED >> 20) + 1)]
    (tmp_path / "r.json.gz").write_bytes(b"".join([*pieces, engine.flush()]))
    with pytest.raises(PersbenchError, match="unpacks to more than 64 MiB"):
        load_record(tmp_path / "r.json.gz")


def whole(**other: Any) -> str:
    """A record as JSON, with some fields as a stranger wrote them."""
    return json.dumps(asdict(RECORD) | other).replace("\\\\u", "\\u")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable record"),
        (b'{"format": 1', "not a readable record"),
        (b"\xff", "not a readable record"),
        (b"[]", "record format 'list', expected 1"),
        (b'{"format": 99}', "record format 99, expected 1"),
        (b'{"format": 1}', "not a persbench record"),
        (b'{"format": 1, "extra": 2}', "not a persbench record"),
        (b"[" * 100_000, "not a readable record"),
        (whole(system="\\ud800").encode(), "not a readable record"),
        (whole(tasks=[]).encode(), r"not a persbench record \(of another form: tasks\)"),
        (whole(system=1, run=[]).encode(), r"\(of another form: system, run\)"),
        (whole(tasks={"t": {"version": "1.0", "hash": "h", "samples": [[]]}}).encode(), r"of another form: tasks\.'t'"),
    ],
)
def test_what_is_no_record_says_so(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(PersbenchError, match=message):
        load_record(tmp_path / "r.json")


def test_a_new_file_replaces_nothing(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "f"
    assert write_new(path, b"one")
    assert not write_new(path, b"two")
    assert path.read_bytes() == b"one"
    assert [p.name for p in path.parent.iterdir()] == ["f"]
    assert path.stat().st_mode & 0o044
