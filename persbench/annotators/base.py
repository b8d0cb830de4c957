"""What an annotator is for those who ask, and what stands behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from persbench.annotators.calls import Call, Reply
    from persbench.annotators.tally import Tally


class Annotator(Protocol):
    """Answers calls.

    Attributes:
        tally: Counts what was asked, by task.
    """

    tally: Tally

    @property
    def id(self) -> str:
        """What goes into signatures and cache keys: kind, model, endpoint without credentials, settings."""
        ...

    def ask(self, calls: Sequence[Call], *, progress: Callable[[int], Any] = int) -> list[Reply]:
        """Answer calls.

        Args:
            calls: Any number, also none; equal ones are asked once.
            progress: Is told the number of calls newly done, from the thread that asked.

        Returns:
            One reply a call, in the order of the calls.

        Raises:
            BudgetSpentError: The budget does not allow another call. What was answered is kept.
            PersbenchError: The annotator cannot work at all (refused key, unknown model, unreachable).
        """
        ...


class Backend(Protocol):
    """A model that answers, without memory: cache, budget and order are the business of whoever stands before it.

    Attributes:
        workers: Threads that may call `answer` at the same time.
        batch: Calls that one thread hands over at once.
    """

    workers: int
    batch: int

    @property
    def id(self) -> str:
        """See `Annotator.id`."""
        ...

    def answer(self, calls: Sequence[Call], *, tally: Tally, stop: threading.Event) -> list[Reply]:
        """Answer calls, with all retries.

        Args:
            calls: At most `batch`.
            tally: Is told of faults and retries.
            stop: When set, waiting is cut short: a call between two attempts is given up.

        Returns:
            One reply a call, in order.

        Raises:
            PersbenchError: No further call can succeed either.
        """
        ...
