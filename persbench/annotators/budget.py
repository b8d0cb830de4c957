"""A budget in tokens that is never overdrawn and ends cleanly."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from persbench.errors import PersbenchError

if TYPE_CHECKING:
    from collections.abc import Callable


class BudgetSpent(PersbenchError):  # noqa: N818 - it is no fault
    """The budget does not allow another call; all that was answered is kept."""


class Budget:
    """Tokens that a work may take in all: answers from the cache count too, since they were paid for earlier.

    A call is admitted only if the most that it may take still fits beside what others in flight may take.

    Args:
        tokens: None for no limit.
    """

    def __init__(self, tokens: int | None) -> None:
        self.tokens = tokens
        self.spent = self.lost = 0
        self._counted: set[str] = set()
        self._in_flight = 0
        self._changed = threading.Condition()

    def count(self, key: str, tokens: int) -> None:
        """Count what an answer took, once for each key."""
        with self._changed:
            if key not in self._counted:
                self._counted.add(key)
                self.spent += tokens

    def lose(self, tokens: int) -> None:
        """Count what an attempt took that came to nothing: each time, and in this process alone, since it is not kept.

        Args:
            tokens: Of prompt and answer.
        """
        with self._changed:
            self.lost += tokens
            self.spent += tokens

    def require_room(self) -> None:
        """Refuse to repeat an attempt where what was lost leaves no room for what is in flight.

        Raises:
            BudgetSpent: It does.
        """
        with self._changed:
            if self.tokens is not None and self.lost and self.spent + self._in_flight > self.tokens:
                raise BudgetSpent(
                    f"the budget of {self.tokens:,} tokens is spent: {self.spent:,} are used, {self.lost:,} of them "
                    "by answers that came to nothing. Every answer so far is kept; repeat the command with a larger "
                    "budget."
                )

    def admits(self, at_most: int) -> bool:
        """Set aside what a call may take, if it fits now; `settle` must follow."""
        with self._changed:
            return self._admits(at_most)

    def wait(self, at_most: int, given_up: Callable[[], bool]) -> bool:
        """Set aside what a call may take, waiting for calls in flight to take less than they might.

        Args:
            at_most: Tokens.
            given_up: Is asked now and then; True ends the waiting.

        Returns:
            False if the waiting was given up; `settle` must follow only if True.

        Raises:
            BudgetSpent: It does not fit, and nothing is in flight.
        """
        with self._changed:
            while not self._admits(at_most):
                if self._in_flight == 0:
                    raise BudgetSpent(
                        f"the budget of {self.tokens:,} tokens is spent: {self.spent:,} are used, and the next call "
                        f"may take {at_most:,}. Every answer so far is kept; repeat the command with a larger budget."
                    )
                self._changed.wait(0.5)
                if given_up():
                    return False
            return True

    def settle(self, at_most: int) -> None:
        """Give back what was set aside for a call; what it took was counted before."""
        with self._changed:
            self._in_flight -= at_most
            self._changed.notify_all()

    def _admits(self, at_most: int) -> bool:
        if self.tokens is not None and self.spent + self._in_flight + at_most > self.tokens:
            return False
        self._in_flight += at_most
        return True
