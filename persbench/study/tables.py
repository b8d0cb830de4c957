"""The tables of a study: rows are only ever added, and nothing of a rater is in them but a number and what was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_TABLES: Final = """
CREATE TABLE study (
    id INTEGER PRIMARY KEY CHECK (id = 1), hash TEXT NOT NULL, settings TEXT NOT NULL, facts TEXT NOT NULL,
    version TEXT NOT NULL, at REAL NOT NULL
) STRICT;
CREATE TABLE consents (version TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT;
CREATE TABLE raters (
    id INTEGER PRIMARY KEY, pseudonym TEXT NOT NULL UNIQUE, token_hash TEXT NOT NULL UNIQUE, at REAL NOT NULL
) STRICT;
CREATE TABLE events (
    id INTEGER PRIMARY KEY, rater INTEGER NOT NULL REFERENCES raters, event TEXT NOT NULL, kind TEXT NOT NULL,
    at REAL NOT NULL, UNIQUE (rater, event)
) STRICT;
CREATE TABLE places (
    event INTEGER NOT NULL REFERENCES events, rater INTEGER NOT NULL UNIQUE REFERENCES raters,
    consent TEXT NOT NULL REFERENCES consents, place INTEGER NOT NULL, holder INTEGER NOT NULL,
    UNIQUE (place, holder)
) STRICT;
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY, rater INTEGER NOT NULL REFERENCES raters, position INTEGER NOT NULL,
    persona TEXT NOT NULL, stage TEXT NOT NULL, system TEXT NOT NULL, label TEXT NOT NULL,
    UNIQUE (rater, position), UNIQUE (rater, system)
) STRICT;
CREATE TABLE pairs (
    id INTEGER PRIMARY KEY, first INTEGER NOT NULL REFERENCES tasks, second INTEGER NOT NULL REFERENCES tasks,
    UNIQUE (first, second)
) STRICT;
CREATE TABLE messages (
    event INTEGER NOT NULL REFERENCES events, task INTEGER NOT NULL REFERENCES tasks, turn INTEGER NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('user', 'assistant')), text TEXT NOT NULL, seconds REAL,
    UNIQUE (task, turn, role)
) STRICT;
CREATE TABLE endings (
    event INTEGER NOT NULL REFERENCES events, task INTEGER NOT NULL UNIQUE REFERENCES tasks
) STRICT;
CREATE TABLE ratings (
    event INTEGER NOT NULL REFERENCES events, task INTEGER NOT NULL REFERENCES tasks, scale TEXT NOT NULL,
    value INTEGER, UNIQUE (task, scale)
) STRICT;
CREATE TABLE preferences (
    event INTEGER NOT NULL REFERENCES events, pair INTEGER NOT NULL UNIQUE REFERENCES pairs,
    choice TEXT NOT NULL CHECK (choice IN ('a', 'b', 'tie'))
) STRICT;
"""
_LIMITS: Final = (
    "CREATE TABLE IF NOT EXISTS limits (id INTEGER PRIMARY KEY, settings TEXT NOT NULL, at REAL NOT NULL) STRICT;"
)
_KEPT: Final = ("study", "consents", "raters", "events", "places", "tasks", "pairs", "endings")
# What a withdrawn rater has said and judged goes; that there was one stays.
_ERASED: Final = {
    "messages": "SELECT rater FROM tasks WHERE id = OLD.task",
    "ratings": "SELECT rater FROM tasks WHERE id = OLD.task",
    "preferences": "SELECT t.rater FROM pairs p JOIN tasks t ON t.id = p.first WHERE p.id = OLD.pair",
}


def statements() -> Iterator[str]:
    """Yield the statements that make an empty database, one by one, for a single transaction."""
    yield from (f"{table.strip()};" for table in _TABLES.split(";") if table.strip())
    yield from added_later()
    for table in (*_KEPT, *_ERASED):
        yield _refusing(table, "UPDATE")
    for table in _KEPT:
        yield _refusing(table, "DELETE")
    for table, whose in _ERASED.items():
        withdrawn = f"SELECT 1 FROM events WHERE kind = 'withdraw' AND rater = ({whose})"  # noqa: S608 (both from above)
        yield _refusing(table, "DELETE", f"WHEN NOT EXISTS ({withdrawn})")


def added_later() -> Iterator[str]:
    """Yield the statements that make what databases of earlier versions lack; where it is there they do nothing."""
    yield _LIMITS
    yield _refusing("limits", "UPDATE")
    yield _refusing("limits", "DELETE")


def _refusing(table: str, change: str, unless: str = "") -> str:
    """Write a trigger that keeps rows as they are, even from a mistake of this program."""
    name = f"{table}_no_{change.lower()}"
    act = "BEGIN SELECT RAISE(ABORT, 'only added'); END"
    return f"CREATE TRIGGER IF NOT EXISTS {name} BEFORE {change} ON {table} {unless} {act}"
