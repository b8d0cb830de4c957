"""Opening the file of a call cache: its form, the signs of damage, and saving what can still be read."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from persbench.errors import PersbenchError

if TYPE_CHECKING:
    from collections.abc import Callable

APPLICATION_ID: Final = 0x70627363  # "pbsc": tells our file from another program's database
_PATIENCE = 60.0  # seconds to wait for another process's write
_FORM = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, annotator TEXT NOT NULL, task TEXT NOT NULL, version TEXT NOT NULL, asked TEXT NOT NULL,
    text TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, truncated INTEGER NOT NULL,
    digest TEXT NOT NULL, stored_at REAL NOT NULL, seconds REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, tenant TEXT NOT NULL, until REAL NOT NULL);
"""


def row_digest(key: str, text: str, prompt_tokens: int, completion_tokens: int, truncated: int) -> str:
    """Return sixteen hex digits of an answer, which stand beside it to tell a damaged row."""
    content = f"{key}\n{prompt_tokens}\n{completion_tokens}\n{truncated}\n{text}"
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def is_intact(
    key: str, text: object, prompt_tokens: object, completion_tokens: object, truncated: object, digest: object
) -> bool:
    """Say whether a row is as it was written."""
    return (
        isinstance(text, str)
        and isinstance(prompt_tokens, int)
        and isinstance(completion_tokens, int)
        and isinstance(truncated, int)
        and row_digest(key, text, prompt_tokens, completion_tokens, truncated) == digest
    )


def opened(path: Path | str, tell: Callable[[str], Any] = print) -> sqlite3.Connection:
    """Open the file of a cache, in good form whatever stood there.

    A damaged file is moved aside, and every row that is still whole goes into the new one. Call it under a lock.

    Args:
        path: The file, or ":memory:".
        tell: Is told what happened to a damaged file.

    Raises:
        PersbenchError: The file is a database of another program.
    """
    problem = _problem(path) if isinstance(path, Path) else None
    if isinstance(path, Path) and problem is not None:
        aside = _moved_aside(path)
        rows = _rows(aside)
        db = _connected(path)
        marks = ",".join("?" * len(_COLUMNS))
        db.executemany(f"INSERT OR IGNORE INTO answers VALUES ({marks})", rows)  # noqa: S608 - question marks
        tell(
            f"the call cache {path} was damaged ({problem}): {len(rows)} answers were saved from it, what is missing "
            f"is asked again. The damaged file is kept as {aside.name}."
        )
        return db
    return _connected(path)


_COLUMNS = (
    "key", "annotator", "task", "version", "asked", "text", "prompt_tokens", "completion_tokens", "truncated", "digest",
    "stored_at", "seconds",
)  # fmt: skip


def _connected(path: Path | str) -> sqlite3.Connection:
    # Autocommit, with transactions where we say so; one connection serves all threads, under the cache's lock.
    db = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    # In the write-ahead log a commit outlives its process; syncing each would cost more than it saves.
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.executescript(f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; {_FORM} COMMIT;")
    db.text_factory = _text
    return db


def _text(raw: bytes) -> str:
    # A damaged text is read all the same; its digest tells.
    return raw.decode("utf-8", "replace")


def _problem(path: Path) -> str | None:
    """Say in a few words what is wrong with a file, or None if it is sound, empty or not there."""
    if not path.exists() or path.stat().st_size == 0:
        return None
    db = sqlite3.connect(path, timeout=_PATIENCE)
    try:
        (owner,) = db.execute("PRAGMA application_id").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if owner == tables == 0:
            return None
        if owner != APPLICATION_ID:
            raise PersbenchError(f"{path} is a database of another program. Name another file for the call cache.")
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
        db.execute(f"SELECT {', '.join(_COLUMNS)} FROM answers LIMIT 1").fetchone()  # noqa: S608
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and "no such" not in str(error):
            raise  # no damage: no right to read it, locked, full
        return str(error)
    finally:
        db.close()
    return None if found == "ok" else " ".join(str(found).split())[:100]


def _moved_aside(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.broken-{number}")).exists():
        number += 1
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + suffix))
    return aside


def _rows(path: Path) -> list[tuple[Any, ...]]:
    """Read whole rows from both ends of a damaged file: each pass ends at the first page that cannot be read."""
    found: dict[str, tuple[Any, ...]] = {}
    for order in ("ASC", "DESC"):
        db = sqlite3.connect(path)
        db.text_factory = _text
        try:
            db.execute("PRAGMA writable_schema = ON")  # else sqlite reads nothing of a file that lost its end
            query = f"SELECT {', '.join(_COLUMNS)} FROM answers ORDER BY rowid {order}"  # noqa: S608 - fixed words
            for row in db.execute(query):
                if isinstance(row[0], str) and is_intact(row[0], *row[5:10]) and None not in row:
                    found[row[0]] = row
        except sqlite3.DatabaseError:
            continue
        finally:
            db.close()
    return list(found.values())
