"""The database of a study: one SQLite file, opened with suspicion, written whole transactions at a time.

Write-ahead log with full synchronisation: what was acknowledged survives a killed process and a lost power supply.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from persbench.study.refusals import StudyBusyError, StudyStoreError
from persbench.study.tables import statements

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATABASE: Final = "study.sqlite"
FORMAT: Final = 1
_APPLICATION: Final = 0x50425354  # "PBST"
PATIENCE: Final = 10.0
"""Seconds that one process waits for another."""
_PAUSE: Final = 0.02


def database_in(folder: Path) -> Path:
    """Return the database of a study's folder; a file is taken as it is."""
    return folder / DATABASE if folder.is_dir() else folder


class Reader:
    """Queries on an open database.

    Args:
        connection: Its transactions are begun by hand.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def row(self, query: str, *values: object) -> tuple[Any, ...] | None:
        """Return the first row of a query."""
        found: tuple[Any, ...] | None = self._connection.execute(query, values).fetchone()
        return found

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        return self._connection.execute(query, values).fetchall()


class Database(Reader):
    """A study's database, for any number of threads, one at a time: queries belong within `writing` or `reading`.

    Args:
        path: The file; created, readable by its owner alone, where there is none.
        patience: Seconds to wait for another process.

    Raises:
        StudyStoreError: It cannot be opened, is damaged, or belongs to something else; says what to do.
    """

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise StudyStoreError(f"cannot write {path}: {error.strerror or error}. Choose another --out.") from error
        with translated(path):
            super().__init__(sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False))
            try:
                self._prepare(time.monotonic() + patience)
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Close the database; everything acknowledged is in it already."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write all that happens within, or nothing; no other thread or process writes meanwhile.

        Raises:
            StudyStoreError: It could not be written.
        """
        with self._lock, translated(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                # After an error; a full disk may have ended the transaction already.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read several tables as they stand at one moment."""
        with self._lock, translated(self.path):
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    def add(self, statement: str, *values: object) -> int:
        """Run a statement within `writing`; return the number of the row that it added."""
        return int(self._connection.execute(statement, values).lastrowid or 0)

    def empty_log(self) -> None:
        """Move the write-ahead log into the database and cut it, so that no erased text stays in it.

        While another process reads, SQLite does it later, at the latest when the database is closed.
        """
        with self._lock, suppress(sqlite3.OperationalError):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def _prepare(self, until: float) -> None:
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL").fetchone()
                break
            except sqlite3.OperationalError as error:
                # SQLite does not wait here while another process makes the same change.
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(_PAUSE)
        for setting in ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON", "trusted_schema = OFF"):
            self._connection.execute(f"PRAGMA {setting}")
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            if _is_new(self._connection):
                for statement in statements():
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                self._connection.execute(f"PRAGMA user_version = {FORMAT}")
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        _examine(self._connection, self.path)


@contextmanager
def snapshot(path: Path) -> Iterator[Reader]:
    """Open a study's database to read it as it stands at this moment, while a server may be writing to it.

    Raises:
        StudyStoreError: There is none, it is damaged, or belongs to something else.
    """
    if not path.is_file():
        raise StudyStoreError(f"{path}: no such study. Give the folder that `persbench study serve --out` wrote.")
    with (
        translated(path),
        closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=PATIENCE)) as connection,
    ):
        connection.isolation_level = None
        connection.execute("PRAGMA trusted_schema = OFF")
        _examine(connection, path)
        connection.execute("BEGIN")
        yield Reader(connection)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite says into what to do."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", None) or type(error).__name__
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise StudyBusyError(f"{path} is held by another process. Nothing was stored; try again.") from error
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            raise _damaged(path, str(error)) from error
        raise StudyStoreError(
            f"{path}: {error} ({name}). Nothing of this was stored, and what was stored before is kept: make room, or "
            "mend the rights of the folder, and try again."
        ) from error


def _is_new(connection: sqlite3.Connection) -> bool:
    marks = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    return marks == [0, 0] and connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0


def _examine(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse what is not a study of this format, and what is damaged."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
        raise StudyStoreError(f"{path} is not the database of a study. Choose another folder.")
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found != FORMAT:
        raise StudyStoreError(
            f"{path}: study format {found}, expected {FORMAT}. Use the version of persbench that wrote it, or choose "
            "another folder."
        )
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise _damaged(path, verdict)


def _damaged(path: Path, said: str) -> StudyStoreError:
    return StudyStoreError(
        f"{path} is no whole study database ({' '.join(said.split())}). Leave it and its -wal file as they are, copy "
        "both, and try `sqlite3 COPY .recover`; for a new study choose another folder."
    )
