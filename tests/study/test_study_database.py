"""What is acknowledged stays: threads and processes at once, kill -9, locks, full disks, files that are no study."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from played_study import arrive, play, settings

from persbench.study.database import Database, database_in, snapshot
from persbench.study.reading import read_study
from persbench.study.refusals import StudyBusyError, StudyStoreError
from persbench.study.store import Store

HERE = Path(__file__).resolve().parent
FOUR = settings(systems={f"s{i}": "vanilla" for i in range(4)}, turns={"min": 1, "max": 1}, limits={"raters": 500})
WRITER = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
from pathlib import Path
from played_study import arrive, settings
from persbench.study.settings import StudySettings
from persbench.study.store import Store
store = Store(Path(sys.argv[1]), StudySettings.model_validate_json({FOUR.model_dump_json()!r}))
print("ready", flush=True)
"""
TALKS = """
from itertools import count
for number in count():
    rater = arrive(store).rater
    text = store.add_message(rater, 1, 1, "user", f"word {number}", event="said-1").text
    print(rater.pseudonym, text, sep="|", flush=True)
    text = store.add_message(rater, 1, 1, "assistant", f"reply {number}").text
    print(rater.pseudonym, text, sep="|", flush=True)
"""
ARRIVES = """
for _ in range(int(sys.argv[2])):
    arrive(store)
"""


def test_threads_get_places_of_their_own_and_lose_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "study.sqlite", FOUR)
    start = threading.Barrier(8)

    def session(_: int) -> None:
        start.wait()
        for _ in range(2):
            play(store, lambda task: {"likeness": task.position, "engagement": 1}, lambda *_: "tie")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(session, range(8)))
    data = read_study(tmp_path)
    assert len(data.raters) == 16
    assert all(rater.is_done for rater in data.raters)
    for rater in data.raters:
        assert [dict(task.ratings) for task in rater.tasks] == [{"likeness": i, "engagement": 1} for i in (1, 2, 3, 4)]
    # 16 places are four whole rounds: every system at every position equally often.
    met = [(task.position, task.system) for rater in data.raters for task in rater.tasks]
    assert {met.count(one) for one in met} == {4}
    with snapshot(tmp_path / "study.sqlite") as reader:
        assert [row[0] for row in reader.rows("SELECT place FROM places ORDER BY place")] == list(range(16))


def test_two_processes_create_and_fill_one_study(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    commands = [[sys.executable, "-c", WRITER + ARRIVES, str(path), "20"]] * 3
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    said = [process.communicate(timeout=240)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], said
    with snapshot(path) as reader:
        assert [row[0] for row in reader.rows("SELECT place FROM places ORDER BY place")] == list(range(60))
        assert reader.row("SELECT count(*) FROM study") == (1,)


def test_the_same_event_from_many_threads_at_once_is_stored_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "study.sqlite", FOUR)
    rater = arrive(store).rater
    with ThreadPoolExecutor(8) as pool:
        found = set(
            pool.map(lambda _: store.add_message(rater, 1, 1, "user", "double click", event="said-1"), range(40))
        )
    assert len(found) == 1
    assert len(store.tasks(rater)[0].messages) == 1


def test_after_kill_9_every_acknowledged_event_is_there(tmp_path: Path) -> None:
    path, chance = tmp_path / "study.sqlite", random.Random(1)
    acknowledged: list[str] = []
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", WRITER + TALKS, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        acknowledged += [process.stdout.readline().rstrip("\n") for _ in range(chance.randrange(8, 24))]
        time.sleep(chance.uniform(0, 0.02))  # anywhere within a transaction
        process.kill()
        rest = process.stdout.read().splitlines(keepends=True)
        acknowledged += [line.rstrip("\n") for line in rest if line.endswith("\n")]
        process.stdout.close()
        process.wait(timeout=60)
        stored = {
            f"{rater.pseudonym}|{message.text}"
            for rater, task in read_study(tmp_path).held
            for message in task.messages
        }
        assert set(acknowledged) <= stored
        # At most the one event that was stored and not acknowledged any more, of each kill.
        assert len(stored) - len(set(acknowledged)) <= 2
    assert len(acknowledged) >= 16


def test_a_database_that_another_process_holds(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    Store(path, FOUR).close()
    store = Database(path, patience=0.2)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StudyBusyError, match="held by another process"), store.writing():
        pass
    with snapshot(path) as reader:  # a report does not wait for who writes
        assert reader.row("SELECT count(*) FROM raters") == (0,)
    holder.execute("COMMIT")
    with store.writing():
        store.add("INSERT INTO consents (version, text) VALUES ('x', 'y')")


def test_a_short_wait_for_another_process_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    store = Store(path, FOUR)
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    threading.Timer(0.3, lambda: holder.execute("COMMIT")).start()
    assert store.new_rater().rater.pseudonym == "R0001"


def test_a_full_disk_loses_the_event_at_hand_and_nothing_else(tmp_path: Path) -> None:
    store = Store(tmp_path / "study.sqlite", FOUR)
    rater = arrive(store).rater
    connection = store._database._connection
    used = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {used + 2}")  # SQLite then says what it says of a full disk
    store.add_message(rater, 1, 1, "user", "kept", event="said-1")
    with pytest.raises(StudyStoreError, match=r"full.*Nothing of this was stored.*make room"):
        store.add_message(rater, 1, 1, "assistant", "x" * 1_000_000)
    assert [m.text for m in store.tasks(rater)[0].messages] == ["kept"]
    connection.execute("PRAGMA max_page_count = 100000")
    store.add_message(rater, 1, 1, "assistant", "x" * 1_000_000)
    assert store.tasks(rater)[0].turns == 1


def test_it_writes_through_to_the_disk(tmp_path: Path) -> None:
    database = Database(tmp_path / "study.sqlite")
    with database.reading():
        assert database.row("PRAGMA journal_mode") == ("wal",)
        assert database.row("PRAGMA synchronous") == (2,)
        assert database.row("PRAGMA foreign_keys") == (1,)
        assert database.row("PRAGMA secure_delete") == (1,)


def finished(folder: Path) -> Path:
    path = folder / "study.sqlite"
    store = Store(path, FOUR)
    for _ in range(8):
        play(store, lambda _: {"likeness": 1, "engagement": 1}, lambda *_: "a")
    store.close()
    return path


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_half_written_file_is_refused_and_left_as_it_is(tmp_path: Path, share: float) -> None:
    path = finished(tmp_path)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    for act in (lambda: Store(path, FOUR), lambda: read_study(tmp_path)):
        with pytest.raises(StudyStoreError, match="no whole study database"):
            act()


def test_a_file_with_garbage_inside_is_refused(tmp_path: Path) -> None:
    path = finished(tmp_path)
    raw = bytearray(path.read_bytes())
    for start in range(4096, len(raw), 4096):
        raw[start : start + 64] = b"\xa5" * 64
    path.write_bytes(raw)
    with pytest.raises(StudyStoreError, match=r"no whole study database.*\.recover"):
        read_study(tmp_path)


def test_files_that_are_no_study(tmp_path: Path) -> None:
    noise = tmp_path / "noise.sqlite"
    noise.write_bytes(b"no database at all, but long enough to be read as one " * 200)
    with pytest.raises(StudyStoreError, match="no whole study database"):
        Store(noise, FOUR)
    assert noise.read_bytes().startswith(b"no database at all")
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE things (a)")
    with pytest.raises(StudyStoreError, match="not the database of a study"):
        Store(other, FOUR)
    newer = tmp_path / "newer.sqlite"
    Store(newer, FOUR).close()
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 9")
    with pytest.raises(StudyStoreError, match="format 9, expected 1"):
        Store(newer, FOUR)
    with pytest.raises(StudyStoreError, match="no such study"):
        read_study(tmp_path / "nowhere")
    with pytest.raises(StudyStoreError, match="cannot write"):
        Store(other / "below-a-file.sqlite", FOUR)
    empty = tmp_path / "empty.sqlite"
    empty.touch()  # what a kill before the first transaction leaves
    Store(empty, FOUR).close()
    assert read_study(empty).raters == ()
    assert database_in(tmp_path) == tmp_path / "study.sqlite"
