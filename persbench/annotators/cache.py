"""The call cache: every answer is on disk as soon as it came, and several processes share it without asking twice."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from filelock import FileLock

from persbench.annotators.calls import Answer
from persbench.annotators.rescue import is_intact, opened, row_digest
from persbench.annotators.tenant import is_alive, tenant
from persbench.errors import PersbenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from persbench.annotators.calls import Call

FILE_NAME: Final = "calls.sqlite"
CLAIM_SECONDS: Final = 900.0  # after that long a claim of another machine's process is thought dead
_CHUNK = 500  # sqlite takes a bounded number of parameters


class CallCache:
    """Answers by key, in one sqlite file.

    A process claims a key before it asks, so that another one on the same file waits for the answer instead of asking
    too. A claim ends with its answer, with its process (killed or not), or after `CLAIM_SECONDS`. Answers survive the
    death of the process at any moment; a power failure may take the last of them, and never harms the others.

    Args:
        path: The file, or a folder for a file of the usual name; made if it is not there. None keeps all in memory.
        tell: Is told in a sentence if the file was damaged and what was saved of it.

    Raises:
        PersbenchError: The file cannot be read or made, or is another program's.
    """

    def __init__(self, path: Path | None, *, tell: Callable[[str], Any] = print) -> None:
        if path is not None and path.is_dir():
            path /= FILE_NAME
        self.path = path
        self._lock = threading.RLock()
        self._tenant = tenant()
        with self._explained():
            if path is None:
                self._db = opened(":memory:")
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                # One process at a time looks for damage and mends it.
                with FileLock(path.with_name(f"{path.name}.lock")):
                    self._db = opened(path, tell)

    def find(self, keys: Iterable[str]) -> dict[str, Answer]:
        """Return the known answers among the keys, marked as cached."""
        wanted, found = list(dict.fromkeys(keys)), dict[str, Answer]()
        with self._lock, self._explained():
            for start in range(0, len(wanted), _CHUNK):
                chunk = wanted[start : start + _CHUNK]
                marks = ",".join("?" * len(chunk))
                query = (
                    "SELECT key, text, prompt_tokens, completion_tokens, truncated, digest FROM answers "  # noqa: S608
                    f"WHERE key IN ({marks})"
                )
                for key, *row in self._db.execute(query, chunk):
                    if is_intact(key, *row):
                        text, prompt_tokens, completion_tokens, truncated, _ = row
                        found[key] = Answer(
                            text, prompt_tokens, completion_tokens, cached=True, truncated=bool(truncated)
                        )
        return found

    def claim(self, key: str) -> Answer | bool:
        """Ask for the right to ask.

        Returns:
            The answer if it is known; True if the caller shall ask, and then `store` or `release`; False while somebody
            else is asking.
        """
        with self._transaction():
            if known := self.find([key]):
                return known[key]
            held = self._db.execute("SELECT tenant, until FROM claims WHERE key = ?", [key]).fetchone()
            if held and held[0] != self._tenant and held[1] > time.time() and is_alive(held[0]):
                return False
            self._db.execute(
                "INSERT OR REPLACE INTO claims VALUES (?, ?, ?)", [key, self._tenant, time.time() + CLAIM_SECONDS]
            )
            return True

    def release(self, keys: Iterable[str]) -> None:
        """Give up claims without an answer."""
        with self._transaction():
            self._db.executemany(
                "DELETE FROM claims WHERE key = ? AND tenant = ?", [(key, self._tenant) for key in keys]
            )

    def store(self, key: str, annotator: str, call: Call, answer: Answer, seconds: float) -> Answer:
        """Keep an answer, and end the claim.

        Args:
            key: By `call_key`.
            annotator: Id of the annotator.
            call: What was asked; it is kept beside the answer, for whoever reads the file.
            answer: What was said.
            seconds: How long it took, for the same reader.

        Returns:
            The answer that now stands: the one given, or another process's that was sooner.
        """
        asked = json.dumps({"messages": list(call.messages), "seed": call.seed}, ensure_ascii=False)
        row = (answer.text, answer.prompt_tokens, answer.completion_tokens, int(answer.truncated))
        with self._transaction():
            if known := self.find([key]):
                answer = known[key]
            else:
                self._db.execute(
                    "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [key, annotator, call.task, call.version, asked, *row, row_digest(key, *row), time.time(), seconds],
                )
            self._db.execute("DELETE FROM claims WHERE key = ?", [key])
        return answer

    def close(self) -> None:
        """Close the file; it needs no closing to be whole."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, self._explained():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise PersbenchError(
                f"the call cache {self.path or 'in memory'} cannot be used: {error}. Answers stored before are kept: "
                "make room, or name another place, and repeat the command."
            ) from error
