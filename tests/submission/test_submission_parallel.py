"""Submissions at the same time: no record is replaced by another, and none stands twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from persbench.errors import PersbenchError
from persbench.records import CellRecord, load_record
from persbench.submission import board
from persbench.submission.board import place_of, store

RECORD = CellRecord(
    "mine", "ada", "k" * 16, {"model": "m"}, {"t": {"version": "1.0", "hash": "h", "samples": [{"id": "a"}]}}, {}
)
OTHER = replace(RECORD, key="o" * 16, tasks={"u": RECORD.tasks["t"]})


def test_another_part_of_an_evaluation_stored_meanwhile_stands_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = store(tmp_path, [RECORD])
    looks = [first]  # found free before the other command stored its own there
    monkeypatch.setattr(board, "place_of", lambda *given: looks.pop() if looks else place_of(*given))
    (second,) = store(tmp_path, [OTHER])
    assert load_record(first) == RECORD
    assert load_record(second) == OTHER
    assert first != second


def test_the_same_record_stored_meanwhile_is_refused_and_what_was_written_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = store(tmp_path, [RECORD])
    looks = [first]
    monkeypatch.setattr(
        board, "place_of", lambda folder, one: looks.pop() if one == RECORD and looks else place_of(folder, one)
    )
    with pytest.raises(PersbenchError, match="is this very record"):
        store(tmp_path, [replace(RECORD, persona="bo"), RECORD])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [first]


def test_many_at_once_leave_every_record_whole(tmp_path: Path) -> None:
    records = [replace(RECORD, key=f"{number:08}" * 2, tasks={f"t{number}": RECORD.tasks["t"]}) for number in range(16)]
    with ThreadPoolExecutor(16) as pool:
        paths = [path for (path,) in pool.map(lambda record: store(tmp_path, [record]), records)]
    assert len(set(paths)) == 16
    assert [load_record(path).key for path in paths] == [record.key for record in records]
