"""Intra, Stage and Inter BLEU of a system by persona, and paired between two systems."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from persbench.errors import PersbenchError
from persbench.report.compare import Pair
from persbench.scoring import distinction
from persbench.scoring.distinction import Resemblance, SampledReply
from persbench.scoring.stats import Interval, cluster_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from persbench.report.cells import Cell

TASK: Final = "persbench_distinction"
MEASURES: Final[dict[str, Callable[[Iterable[SampledReply]], list[Resemblance]]]] = {
    "intra": distinction.intra,
    "stage": distinction.stage,
    "inter": distinction.inter,
}
Replies = tuple[SampledReply, ...]


def replies_of(cells: Sequence[Cell]) -> Replies:
    """Return the sampled replies of one system, in an order that does not depend on that of the cells.

    Raises:
        PersbenchError: An item stands there twice: it would be held against itself.
    """
    found = sorted(
        SampledReply(row["persona"], row["stage"], row["cluster"], (row["replies"][0], row["replies"][1]))
        for cell in cells
        for row in cell.tasks.get(TASK, [])
    )
    for one, after in pairwise(found):
        if one[:3] == after[:3]:
            system = cells[0].system
            raise PersbenchError(
                f"{TASK} of {system}: {one.persona} at {one.stage} answers {one.question} twice. "
                "Each item stands once in a record: run it again, or remove the second."
            )
    return tuple(found)


def likeness(replies: Replies, measure: str, persona: str = "") -> Interval:
    """Return a mean BLEU with its interval over questions.

    Args:
        replies: Of one system.
        measure: intra, stage or inter.
        persona: Only what this persona has part in; empty for everything.
    """
    found = [each for (_, each) in _keyed(replies, measure) if not persona or persona in each.personas]
    return cluster_interval([each.value for each in found], [each.cluster for each in found])


def likeness_pairs(own: Replies, other: Replies, measure: str) -> list[Pair]:
    """Return what both systems have: the same question, at the same stage, of the same personas.

    Args:
        own: Replies of the system.
        other: Replies of the baseline.
        measure: intra, stage or inter.
    """
    ours, theirs = (dict(_keyed(replies, measure)) for replies in (own, other))
    return [
        Pair(ours[key].personas, ours[key].cluster, ours[key].value, theirs[key].value)
        for key in sorted(ours.keys() & theirs.keys())
    ]


@lru_cache(maxsize=64)
def _keyed(replies: Replies, measure: str) -> tuple[tuple[tuple[str, ...], Resemblance], ...]:
    """Resemblances, each with what tells it from the others: question, personas, and the stage if it is within one."""
    groups: dict[str, list[SampledReply]] = defaultdict(list)
    for reply in replies:
        groups["" if measure == "stage" else reply.stage].append(reply)
    found: dict[tuple[str, ...], list[Resemblance]] = defaultdict(list)
    for stage, group in sorted(groups.items()):
        for each in MEASURES[measure](group):
            found[each.cluster, stage, *sorted(each.personas)].append(each)
    # a persona of three stages has three pairs of them a question
    return tuple(((*key, str(i)), each) for key, group in sorted(found.items()) for i, each in enumerate(group))
