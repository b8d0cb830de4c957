"""Submissions at the same time: no record is replaced by another, and none stands twice."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from submission_world import accepted, record, rekey, words_embedder, write

from persbench.errors import PersbenchError
from persbench.records import CellRecord, load_record
from persbench.submission import board, submit
from persbench.submission.board import board_to_oneself, place_of, store
from persbench.submission.findings import RefusedError

RECORD = CellRecord(
    "mine", "ada", "k" * 16, {"model": "m"}, {"t": {"version": "1.0", "hash": "h", "samples": [{"id": "a"}]}}, {}
)
OTHER = replace(RECORD, key="o" * 16, tasks={"u": RECORD.tasks["t"]})


@pytest.fixture(autouse=True, scope="module")
def _words() -> Iterator[None]:
    with words_embedder():
        yield


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


def test_a_copy_of_what_another_command_stores_after_the_comparison_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = [write(tmp_path / "first.json", record("prompt__ada"))]

    def meanwhile(folder: Path) -> AbstractContextManager[None]:
        if waiting:
            accepted(waiting.pop(), folder)
        return board_to_oneself(folder)

    monkeypatch.setattr(submit, "board_to_oneself", meanwhile)
    copy = record("prompt__ada")
    copy["signature"]["model"] = "Another-7B@0123456789ab"
    with pytest.raises(RefusedError, match="are those of prompt in"):
        accepted(write(tmp_path / "copy.json", rekey(copy)), tmp_path / "board")
    assert len([*(tmp_path / "board").rglob("*.json.gz")]) == 1


def test_a_board_that_another_command_keeps_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "PATIENCE", 0.01)
    own = write(tmp_path / "first.json", record("prompt__ada"))
    (tmp_path / "board").mkdir()
    with FileLock(tmp_path / "board" / ".lock"), pytest.raises(PersbenchError, match="is in use"):
        accepted(own, tmp_path / "board")
    assert accepted(own, tmp_path / "board").stored


def test_a_board_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    own = write(tmp_path / "first.json", record("prompt__ada"))
    (tmp_path / "board").write_text("no folder")
    with pytest.raises(PersbenchError, match="cannot write to"):
        accepted(own, tmp_path / "board")
