"""One model, many raters: replies are spoken one at a time, in the order in which they were asked for."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from persbench.errors import PersbenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ATTEMPTS = 3  # an empty reply is asked for again, with another seed


@dataclass(frozen=True)
class Progress:
    """How far a reply has come.

    Attributes:
        state: It waits for others, is being spoken, or could not be had.
        text: What was said so far.
        ahead: How many replies are spoken before this one.
    """

    state: Literal["waiting", "speaking", "failed"]
    text: str = ""
    ahead: int = 0


@dataclass
class _Job:
    stream: Callable[[int], Iterator[str]]
    keep: Callable[[str, float], None]
    state: Literal["waiting", "speaking", "failed"] = "waiting"
    pieces: list[str] = field(default_factory=list)


class Answers:
    """Speaks replies one after another in a thread of its own.

    Args:
        complain: Is told in one line why a reply could not be had.
    """

    def __init__(self, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self._jobs: dict[str, _Job] = {}
        self._line: deque[str] = deque()
        self._attempts: Counter[str] = Counter()
        self._speaking: str | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="answers", daemon=True)
        self._thread.start()

    def ask(
        self,
        key: str,
        stream: Callable[[int], Iterator[str]],
        keep: Callable[[str, float], None],
    ) -> None:
        """Put a reply in line, unless it is there already or failed; `forget` it first to have it tried again.

        Args:
            key: What it answers to.
            stream: Begins the reply, piece by piece, given the number of the attempt from 0.
            keep: Stores the whole reply and the seconds it took; only then `look` knows it no more.
        """
        with self._changed:
            if key not in self._jobs and not self._closed:
                self._jobs[key] = _Job(stream, keep)
                self._line.append(key)
                self._changed.notify()

    def forget(self, key: str) -> None:
        """Forget a reply that failed."""
        with self._changed:
            job = self._jobs.get(key)
            if job is not None and job.state == "failed":
                del self._jobs[key]

    def look(self, key: str) -> Progress | None:
        """Return how far a reply has come, or None where it was never asked for or is stored already."""
        with self._changed:
            job = self._jobs.get(key)
            if job is None:
                return None
            ahead = self._line.index(key) + (self._speaking is not None) if job.state == "waiting" else 0
            return Progress(job.state, "".join(job.pieces), ahead)

    def close(self) -> None:
        """Stop after the piece that is being spoken; what is not whole is not kept."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout=10)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._line and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                key = self._speaking = self._line.popleft()
                job = self._jobs[key]
                job.state = "speaking"
            try:
                whole = self._speak(key, job)
            except Exception as error:  # noqa: BLE001 - whatever a model may raise; the rater is told, others go on
                self._complain(f"a reply could not be had: {type(error).__name__}: {str(error)[:500]}")
                with self._changed:
                    job.state, job.pieces, self._speaking = "failed", [], None
            else:
                with self._changed:
                    self._speaking = None
                    if whole:
                        del self._jobs[key]

    def _speak(self, key: str, job: _Job) -> bool:
        """Speak and store one reply; False where it was cut short by `close`."""
        started = time.monotonic()
        for _ in range(ATTEMPTS):
            job.pieces = []
            attempt = self._attempts[key]
            self._attempts[key] += 1
            for piece in job.stream(attempt):
                if self._closed:
                    return False
                job.pieces.append(piece)
            text = "".join(job.pieces).strip()
            if text:
                job.keep(text, time.monotonic() - started)
                del self._attempts[key]
                return True
        raise PersbenchError(f"the model said nothing, {ATTEMPTS} times")
