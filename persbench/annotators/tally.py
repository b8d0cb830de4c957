"""Counting what annotators were asked, and what it cost."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from persbench.annotators.calls import Answer
from persbench.packs.texts import PackModel

if TYPE_CHECKING:
    from persbench.annotators.budget import Budget
    from persbench.annotators.calls import Reply


class Prices(PackModel):
    """What tokens cost.

    Attributes:
        prompt: Price of a million prompt tokens.
        completion: Price of a million completion tokens.
        currency: As it is to be shown.
    """

    prompt: float
    completion: float
    currency: str = "USD"

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return the price of so many tokens."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1_000_000


@dataclass
class TaskCount:
    """What was asked for one task. A call counts once, however often the same call is repeated.

    Attributes:
        calls: Distinct calls.
        unanswered: Of these, how many stayed without an answer, by kind.
        notes: What became of answers, by kind: `malformed` (could not be parsed), `repaired` (could, the second time),
            `truncated`.
        prompt_tokens: Of the answers, whether they came now or from the cache.
        completion_tokens: Likewise.
        cached: Calls whose answer was known already.
        spent_tokens: Tokens of the answers that came now, and of attempts that came to nothing.
        lost_prompt_tokens: Of these attempts: an empty, filtered or malformed answer is charged like any other.
        lost_completion_tokens: Likewise.
        faults: Failed attempts by kind: `rate_limit`, `server_error`, `connection`, `timeout`, `malformed_body`,
            `empty`, ...
        retries: Attempts after the first.
    """

    calls: int = 0
    unanswered: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached: int = 0
    spent_tokens: int = 0
    lost_prompt_tokens: int = 0
    lost_completion_tokens: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    retries: int = 0


_SUMS: Final = tuple(one.name for one in fields(TaskCount) if one.default == 0)


class Tally:
    """Counts by task, from any thread.

    Two parts: `work` says what the whole work took and is the same whether it was interrupted or not (as long as every
    call is answered in the end); `traffic` says what this process did for it.

    Args:
        prices: None if they are not known: then no cost is given, not even zero.
        budget: Is told what was charged for nothing, and asked before an attempt is repeated.
    """

    def __init__(self, prices: Prices | None = None, budget: Budget | None = None) -> None:
        self.prices, self._budget = prices, budget
        self.tasks: dict[str, TaskCount] = defaultdict(TaskCount)
        self._outcomes: dict[str, Reply] = {}
        self._noted: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def outcome(self, task: str, key: str, reply: Reply) -> None:
        """Count what came of a call; its first answer replaces an earlier failure, and then it stands."""
        with self._lock:
            count, before = self.tasks[task], self._outcomes.get(key)
            if isinstance(before, Answer):
                return
            if before is None:
                count.calls += 1
            else:
                count.unanswered -= Counter([before.kind])
            self._outcomes[key] = reply
            if not isinstance(reply, Answer):
                count.unanswered[reply.kind] += 1
                return
            count.prompt_tokens += reply.prompt_tokens
            count.completion_tokens += reply.completion_tokens
            count.cached += reply.cached
            count.spent_tokens += 0 if reply.cached else reply.tokens
            count.notes.update(["truncated"] if reply.truncated else [])

    def fault(self, task: str, kind: str, taken: tuple[int, int] = (0, 0)) -> None:
        """Count a failed attempt, and the tokens of prompt and answer that it was charged with."""
        if self._budget is not None:
            self._budget.lose(sum(taken))
        with self._lock:
            count = self.tasks[task]
            count.faults[kind] += 1
            count.lost_prompt_tokens += taken[0]
            count.lost_completion_tokens += taken[1]
            count.spent_tokens += sum(taken)

    def retry(self, task: str) -> None:
        """Count an attempt after the first.

        Raises:
            BudgetSpent: What earlier attempts lost leaves no room for it.
        """
        if self._budget is not None:
            self._budget.require_room()
        with self._lock:
            self.tasks[task].retries += 1

    def note(self, task: str, kind: str, key: str) -> None:
        """Count something about an answer, once for each key."""
        with self._lock:
            if (kind, key) not in self._noted:
                self._noted.add((kind, key))
                self.tasks[task].notes[kind] += 1

    def work(self) -> dict[str, dict[str, Any]]:
        """Return what the whole work took: task -> calls, unanswered, notes, tokens, cost (None without prices)."""
        with self._lock:
            return {
                task: {
                    "calls": count.calls,
                    "unanswered": dict(sorted(count.unanswered.items())),
                    "notes": dict(sorted(count.notes.items())),
                    "prompt_tokens": count.prompt_tokens,
                    "completion_tokens": count.completion_tokens,
                    "cost": self._cost(count),
                }
                for task, count in sorted(self.tasks.items())
            }

    def traffic(self) -> dict[str, dict[str, Any]]:
        """Return what this process did: task -> asked, cached, spent and lost tokens, faults by kind, retries."""
        with self._lock:
            return {
                task: {
                    "asked": count.calls - count.cached,
                    "cached": count.cached,
                    "spent_tokens": count.spent_tokens,
                    "lost_tokens": count.lost_prompt_tokens + count.lost_completion_tokens,
                    "faults": dict(sorted(count.faults.items())),
                    "retries": count.retries,
                }
                for task, count in sorted(self.tasks.items())
            }

    def total(self) -> TaskCount:
        """Return the sum over all tasks."""
        with self._lock:
            sum_ = TaskCount()
            for count in self.tasks.values():
                for name in _SUMS:
                    setattr(sum_, name, getattr(sum_, name) + getattr(count, name))
                sum_.unanswered += count.unanswered
                sum_.notes += count.notes
                sum_.faults += count.faults
            return sum_

    def lost_cost(self) -> float | None:
        """Return what attempts of this process cost that came to nothing, or None if no prices are known."""
        total = self.total()
        if self.prices is None:
            return None
        return round(self.prices.cost(total.lost_prompt_tokens, total.lost_completion_tokens), 6)

    def cost(self) -> float | None:
        """Return what all answers cost, in the prices' currency, or None if no prices are known."""
        return self._cost(self.total())

    def _cost(self, count: TaskCount) -> float | None:
        if self.prices is None:
            return None
        return round(self.prices.cost(count.prompt_tokens, count.completion_tokens), 6)
