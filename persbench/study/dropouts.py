"""How far raters came: who did each step, and who did nothing after it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from persbench.study.rows import MINUTE

if TYPE_CHECKING:
    from persbench.study.reading import RaterData, StudyData

CAME: Final = "came"
CONSENTED: Final = "consented"
FINISHED: Final = "finished"


@dataclass(frozen=True)
class StepLine:
    """How many raters did a step, and how many did nothing after it: stopped, or perhaps still under way."""

    name: str
    reached: int
    stopped: int
    under_way: int


def _done(rater: RaterData, data: StudyData) -> list[str]:
    """Names of the steps that a rater has done."""
    names = [CAME]
    if rater.consented is not None:
        names.append(CONSENTED)
    for task in rater.tasks:
        names += [f"conversation {task.position}"] if task.is_over(data.settings.turns) else []
        names += [f"ratings {task.position}"] if task.ratings else []
    names += [f"preference {i}" for i, pair in enumerate(rater.pairs, start=1) if pair.choice is not None]
    return [*names, FINISHED] if rater.is_done else names


def steps_reached(data: StudyData, now: float) -> list[StepLine]:
    """Return every step in order, with those who did it.

    Args:
        data: The study.
        now: Seconds since 1970: who has sent something within the study's `dropout_minutes` may be under way.
    """
    order = [CAME, CONSENTED]
    settings = data.settings
    for i in range(1, settings.conversations + 1):
        order += [f"conversation {i}", f"ratings {i}"]
        # The first preference may be asked after the second conversation at the earliest, and so on.
        order += [f"preference {i - 1}"] if 1 < i <= settings.pairs + 1 else []
    order.append(FINISHED)
    reached: Counter[str] = Counter()
    last: Counter[str] = Counter()
    active: Counter[str] = Counter()
    for rater in data.raters:
        done = _done(rater, data)
        reached.update(done)
        if not rater.is_done:
            recent = now - rater.seen < settings.limits.dropout_minutes * MINUTE
            (active if recent else last)[max(done, key=order.index)] += 1
    return [StepLine(name, reached[name], last[name], active[name]) for name in order]
