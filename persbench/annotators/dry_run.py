"""What a work would ask, without asking."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from persbench.annotators.calls import Answer, Reply, Unanswered, call_key, estimated_prompt_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persbench.annotators.asking import CachedAnnotator
    from persbench.annotators.calls import Call


@dataclass
class Planned:
    """What one task would take.

    Attributes:
        calls: Distinct calls that would be asked.
        cached: Distinct calls whose answers are known already, and cost nothing.
        prompt_tokens: Of the calls to be asked, estimated by `estimated_tokens`: no tokenizer takes part.
        completion_tokens: The most that their answers may take: the sum of `max_tokens`.
    """

    calls: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class DryRun:
    """An annotator that asks nothing: known answers come from the cache, every other call is counted and unanswered.

    Args:
        annotator: The one that would be asked.

    Attributes:
        plan: Task -> what it would take.
    """

    def __init__(self, annotator: CachedAnnotator) -> None:
        self._annotator = annotator
        self.tally = annotator.tally
        self.plan: dict[str, Planned] = defaultdict(Planned)
        self._seen: set[str] = set()

    @property
    def id(self) -> str:
        """Id of the annotator that would be asked."""
        return self._annotator.id

    def ask(self, calls: Sequence[Call], *, progress: Callable[[int], Any] = int) -> list[Reply]:
        """Count the calls; see `Annotator.ask`."""
        keys = [call_key(self.id, call) for call in calls]
        known = self._annotator.cache.find(keys)
        for key, call in zip(keys, calls, strict=True):
            if key not in self._seen:
                self._seen.add(key)
                self._plan(call, known.get(key))
        progress(len(calls))
        return [known.get(key, Unanswered("not asked: this is a dry run", "not_asked")) for key in keys]

    def cost(self) -> float | None:
        """Return the most that the planned calls would cost, in the prices' currency; None if no prices are known."""
        prices = self.tally.prices
        if prices is None:
            return None
        return sum(prices.cost(task.prompt_tokens, task.completion_tokens) for task in self.plan.values())

    def _plan(self, call: Call, known: Answer | None) -> None:
        planned = self.plan[call.task]
        if known is not None:
            planned.cached += 1
            return
        planned.calls += 1
        planned.prompt_tokens += estimated_prompt_tokens(call.messages)
        planned.completion_tokens += call.max_tokens
