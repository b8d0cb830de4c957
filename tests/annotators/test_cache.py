"""The call cache survives damage, strangers and dead neighbours."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from persbench.annotators import cache as cache_module
from persbench.annotators.cache import FILE_NAME, CallCache
from persbench.annotators.calls import Answer, Call
from persbench.annotators.tenant import is_alive, tenant
from persbench.errors import PersbenchError

CALL = Call("t", "v", ({"role": "user", "content": "hello " * 50},), 5)


def filled(path: Path, count: int = 200) -> Path:
    cache = CallCache(path)
    for i in range(count):
        assert cache.claim(f"k{i:04}") is True
        cache.store(f"k{i:04}", "a", CALL, Answer(f"text {i} " * 20, i, 1, cached=False, truncated=i % 2 == 1), 0.1)
    cache.close()
    return path


KEYS = [f"k{i:04}" for i in range(200)]


def test_answers_come_back_as_they_were(tmp_path: Path) -> None:
    path = filled(tmp_path / "deep" / "calls.sqlite")
    found = CallCache(path).find([*KEYS, "other"])
    assert list(map(str, sorted(found))) == KEYS
    assert found["k0007"] == Answer("text 7 " * 20, 7, 1, cached=True, truncated=True)
    assert CallCache(path.parent).path == path.parent / FILE_NAME  # a folder gets a file of the usual name


@pytest.mark.parametrize("harm", ["cut", "middle", "head", "text"])
def test_a_damaged_file_is_told_of_and_what_is_whole_is_saved(tmp_path: Path, harm: str) -> None:
    path = filled(tmp_path / "calls.sqlite")
    data = bytearray(path.read_bytes())
    if harm == "cut":
        del data[len(data) * 2 // 3 :]
    elif harm == "middle":
        at = len(data) // 2 // 4096 * 4096
        data[at : at + 4096] = b"\xa5" * 4096
    elif harm == "head":
        data[:100] = b"\x00" * 100
    else:
        at = data.index(b"text 50 text 50")
        data[at : at + 4] = b"next"
    path.write_bytes(data)
    told: list[str] = []
    cache = CallCache(path, tell=told.append)
    found = cache.find(KEYS)
    assert all(answer.text == f"text {int(key[1:])} " * 20 for key, answer in found.items())  # never a wrong answer
    assert len(found) < 200
    if harm == "text":
        assert len(found) == 199  # one changed letter is no damage to the file, and the row's digest tells
        assert not told
    else:
        assert len(told) == 1
        assert "was damaged" in told[0]
        assert f"{len(found)} answers were saved" in told[0]
        assert (tmp_path / "calls.sqlite.broken-1").exists()
        assert len(found) > 0 or harm == "head"
    # It goes on as if nothing had been: what is missing is asked again and kept.
    missing = next(key for key in KEYS if key not in found)
    assert cache.claim(missing) is True
    cache.store(missing, "a", CALL, Answer("new", 1, 1, cached=False), 0.1)
    assert CallCache(path, tell=told.append).find([missing])[missing].text == "new"
    assert len(told) <= 1


def test_a_text_file_is_moved_aside_and_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("these are my notes\n" * 100)
    told: list[str] = []
    CallCache(path, tell=told.append)
    assert (tmp_path / "notes.broken-1").read_text().startswith("these are my notes")
    assert told
    other = tmp_path / "other.sqlite"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE mine (a)")
    db.commit()
    db.close()
    before = other.read_bytes()
    with pytest.raises(PersbenchError, match="another program"):
        CallCache(other)
    assert other.read_bytes() == before


def test_an_empty_file_and_a_half_made_one_are_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    sqlite3.connect(tmp_path / "half").execute("PRAGMA journal_mode = WAL").close()
    for name in ("empty", "half"):
        assert CallCache(tmp_path / name, tell=pytest.fail).claim("k") is True


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PersbenchError, match=r"call cache .*file/calls.sqlite cannot be used.*name another place"):
        CallCache(tmp_path / "file" / "calls.sqlite")


def test_a_key_is_claimed_once_until_it_is_answered_or_given_up(tmp_path: Path) -> None:
    one, two = CallCache(tmp_path), CallCache(tmp_path)
    assert one.claim("k") is True
    assert one.claim("k") is True  # its own claim does not bar it
    assert two.claim("k") is False
    two.release(["k"])  # not its own
    assert two.claim("k") is False
    one.release(["k"])
    assert two.claim("k") is True
    two.store("k", "a", CALL, Answer("two", 1, 1, cached=False), 0.1)
    known = one.claim("k")
    assert isinstance(known, Answer)
    assert known.text == "two"
    # Whoever comes later with an answer of its own gets the one that stands.
    assert one.store("k", "a", CALL, Answer("one", 1, 1, cached=False), 0.1).text == "two"


def test_a_dead_claim_bars_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = CallCache(tmp_path), CallCache(tmp_path)
    assert one.claim("k") is True
    monkeypatch.setattr(cache_module, "is_alive", lambda _: False)
    assert two.claim("k") is True
    monkeypatch.setattr(cache_module, "is_alive", lambda _: True)
    monkeypatch.setattr(cache_module, "CLAIM_SECONDS", -1.0)
    assert one.claim("old") is True
    assert two.claim("old") is True


def test_a_holder_is_known_by_machine_process_and_start() -> None:
    mine = tenant()
    host, pid, started, _ = mine.split(" ")
    assert is_alive(mine)
    assert tenant() != mine
    assert not is_alive(f"{host} {pid} 1.00 x")  # the same number, given to another process
    assert not is_alive(f"{host} 999999999 {started} x")
    assert is_alive(f"elsewhere {pid} {started} x")
