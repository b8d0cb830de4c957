"""The annotator that everybody uses: a backend behind cache, budget, tally and a queue of calls."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from persbench.annotators.budget import Budget
from persbench.annotators.calls import Answer, Reply, Unanswered, call_key, most_tokens
from persbench.annotators.tally import Tally
from persbench.errors import PersbenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persbench.annotators.base import Backend
    from persbench.annotators.cache import CallCache
    from persbench.annotators.calls import Call
    from persbench.annotators.tally import Prices

STOPPED: Final = "stopped"
ONE_CALLS_FAULT: Final = ("filtered", "too_long", "empty")  # they say nothing about the next call
PATIENCE: Final = 10  # unanswered calls in a row after which going on is pointless
_POLL = 0.2  # seconds between two looks whether another process has answered
_GRACE = 10.0  # seconds that calls in flight get to be stored after an interruption


class CachedAnnotator:
    """Answers from the cache, and asks a backend what is missing, in as many threads as it allows.

    Every answer is stored as soon as it came. An error or an interruption lets the calls in flight end first.

    Args:
        backend: Answers.
        cache: Remembers.
        budget: Bounds the tokens of all answers used, those from the cache included; None for no bound.
        prices: For the tally; None if not known.
    """

    def __init__(
        self, backend: Backend, cache: CallCache, *, budget: int | None = None, prices: Prices | None = None
    ) -> None:
        self.backend, self.cache = backend, cache
        self.budget = Budget(budget)
        self.tally = Tally(prices, self.budget)
        self.unanswered_in_a_row = 0

    @property
    def id(self) -> str:
        """See `Annotator.id`."""
        return self.backend.id

    def ask(self, calls: Sequence[Call], *, progress: Callable[[int], Any] = int) -> list[Reply]:
        """See `Annotator.ask`."""
        keys = [call_key(self.id, call) for call in calls]
        copies, wanted = Counter(keys), dict(zip(keys, calls, strict=True))
        replies: dict[str, Reply] = {}

        def done(key: str, reply: Reply) -> None:
            replies[key] = reply
            self.tally.outcome(wanted[key].task, key, reply)
            progress(copies[key])

        for key, answer in self.cache.find(wanted).items():
            self.budget.count(key, answer.tokens)
            done(key, answer)
        missing = {key: call for key, call in wanted.items() if key not in replies}
        if missing:
            _Round(self, missing).run(done)
        return [replies[key] for key in keys]


class _Round:
    """The missing calls of one `ask`: a queue, and workers that empty it."""

    def __init__(self, annotator: CachedAnnotator, calls: dict[str, Call]) -> None:
        self.annotator, self.calls = annotator, calls
        self.backend, self.cache, self.budget = annotator.backend, annotator.cache, annotator.budget
        self.waiting = deque(calls)
        self.results: queue.SimpleQueue[tuple[str, Reply] | None] = queue.SimpleQueue()
        self.stop = threading.Event()
        self.error: BaseException | None = None

    def run(self, done: Callable[[str, Reply], Any]) -> None:
        """Answer all, or raise what kept the workers from it, after calls in flight are stored."""
        workers = [
            threading.Thread(target=self._work, name=f"annotator-{i}", daemon=True)
            for i in range(min(self.backend.workers, len(self.calls)))
        ]
        for worker in workers:
            worker.start()
        try:
            running = len(workers)
            while running:
                result = self.results.get()
                if result is None:
                    running -= 1
                elif not (isinstance(result[1], Unanswered) and result[1].kind == STOPPED):
                    self._watch(result[1])
                    done(*result)
        except BaseException:
            self.stop.set()
            end = time.monotonic() + _GRACE
            for worker in workers:
                worker.join(max(0.0, end - time.monotonic()))
            raise
        if self.error is not None:
            raise self.error

    def _watch(self, reply: Reply) -> None:
        """Give up when nothing is answered any more: the rest would only take time."""
        if isinstance(reply, Answer):
            self.annotator.unanswered_in_a_row = 0
        elif reply.kind not in ONE_CALLS_FAULT:
            self.annotator.unanswered_in_a_row += 1
            if self.annotator.unanswered_in_a_row >= PATIENCE:
                self._fail(
                    PersbenchError(
                        f"{PATIENCE} calls in a row stayed without an answer, the last one because: {reply.reason} "
                        "What was answered is kept; mend that, and repeat the command."
                    )
                )

    def _fail(self, error: BaseException) -> None:
        if self.error is None:
            self.error = error
        self.stop.set()

    def _work(self) -> None:
        try:
            while not self.stop.is_set():
                batch = self._take()
                if batch is None:
                    return
                if batch:
                    self._answer(batch)
                else:
                    self.stop.wait(_POLL)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
            self._fail(error)
        finally:
            self.results.put(None)

    def _take(self) -> list[str] | None:
        """Take the next calls, claimed and within the budget: none while others ask all of them, None at the end."""
        taken: list[str] = []
        looks = len(self.waiting)
        if not looks:
            return None
        while looks and len(taken) < self.backend.batch and not self.stop.is_set():
            looks -= 1
            try:
                key = self.waiting.popleft()
            except IndexError:
                break
            claimed = self.cache.claim(key)
            if isinstance(claimed, Answer):
                self.budget.count(key, claimed.tokens)
                self.results.put((key, claimed))
            elif not claimed:
                self.waiting.append(key)
            elif self._admitted(key, first=not taken):
                taken.append(key)
            else:
                self.cache.release([key])
                self.waiting.appendleft(key)
                break
        return taken

    def _admitted(self, key: str, *, first: bool) -> bool:
        at_most = most_tokens(self.calls[key])
        if not first:
            return self.budget.admits(at_most)
        try:
            return self.budget.wait(at_most, self.stop.is_set)
        except PersbenchError:
            self.cache.release([key])
            raise

    def _answer(self, keys: list[str]) -> None:
        began, left = time.monotonic(), set(keys)
        try:
            calls = [self.calls[key] for key in keys]
            replies = self.backend.answer(calls, tally=self.annotator.tally, stop=self.stop)
            for key, call, reply in zip(keys, calls, replies, strict=True):
                kept = reply
                if isinstance(reply, Answer):
                    self.budget.count(key, reply.tokens)
                    kept = self.cache.store(key, self.annotator.id, call, reply, time.monotonic() - began)
                    left.remove(key)
                self.results.put((key, kept))
        finally:
            for key in keys:
                self.budget.settle(most_tokens(self.calls[key]))
            if left:
                with suppress(PersbenchError):  # a claim that cannot be given up ends with this process
                    self.cache.release(left)
