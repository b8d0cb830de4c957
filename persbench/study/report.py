"""The numbers of a study: ratings, preferences, agreement of raters, and how far raters came.

Intervals draw whole raters, since what one rater says of several systems is not independent. Nothing unrated is a zero:
a conversation without a rating is counted as unscored.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from persbench.judging.ranking import bradley_terry
from persbench.scoring.agreement import krippendorff_alpha
from persbench.scoring.stats import cluster_interval
from persbench.study.dropouts import StepLine, steps_reached
from persbench.study.rows import MINUTE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persbench.scoring.stats import Interval
    from persbench.study.reading import StudyData
    from persbench.study.steps import TaskState

    _Rated = tuple[int | None, tuple[str, str, str], str]


@dataclass(frozen=True)
class SystemLine:
    """One system.

    Attributes:
        system: Its name in the settings.
        ratings: Scale to mean over conversations, 1 to its highest point.
        wins: Share of comparisons in which it was preferred, a tie counting half; None where it was due in none.
        strength: Bradley-Terry strength in nats; likewise.
        conversations: Conversations in which something was said.
        turns: Median of the rater's messages that got a reply.
        minutes: Median length of a conversation, first message to last reply.
        reply_seconds: Median time of a reply; None where none is known.
    """

    system: str
    ratings: Mapping[str, Interval]
    wins: Interval | None
    strength: Interval | None
    conversations: int
    turns: float | None
    minutes: float | None
    reply_seconds: float | None


@dataclass(frozen=True)
class StudyReport:
    """All numbers of a study.

    Attributes:
        title: Of the study.
        lines: One a system, in the order of the settings.
        alphas: Scale to Krippendorff's alpha (ordinal) over system and part.
        versus: (system, other) to how often it was preferred to it, neither, and how often the other was.
        later: Share of comparisons, ties half, won by the partner met later; 0.5 where order does not matter.
        unanswered: Comparisons that were due and have no answer, those of raters under way among them.
        steps: In order.
        withdrawn: Raters who have withdrawn; nothing of theirs is in any number.
        minutes: Median over raters who finished, consent to last event.
        signature: Facts to print beside every number.
    """

    title: str
    lines: Sequence[SystemLine]
    alphas: Mapping[str, Interval]
    versus: Mapping[tuple[str, str], tuple[int, int, int]]
    later: Interval
    unanswered: int
    steps: Sequence[StepLine]
    withdrawn: int
    minutes: float | None
    signature: Mapping[str, object]


@dataclass(frozen=True)
class _Comparison:
    rater: str
    first: str
    second: str
    score: float | None
    """Of the second: 1 preferred, 0 the other was, 0.5 neither, None not answered."""

    @property
    def ranking(self) -> dict[str, float] | None:
        if self.score is None:
            return None
        return {self.first: 1 + self.score, self.second: 2 - self.score}


def study_report(data: StudyData, *, now: float | None = None) -> StudyReport:
    """Compute all numbers of a study.

    Args:
        data: As read.
        now: Seconds since 1970, to tell who has stopped from who may still be under way; the clock's if None.
    """
    now = time.time() if now is None else now
    compared = _comparisons(data)
    clusters = [one.rater for one in compared]
    due = [(one.first, one.second) for one in compared]
    strengths = bradley_terry([one.ranking for one in compared], clusters, due=due)
    rated = _ratings(data)
    spent = [rater.seconds / MINUTE for rater in data.raters if rater.seconds is not None]
    return StudyReport(
        title=data.settings.title,
        lines=[_line(system, data, rated, compared, strengths) for system in data.settings.systems],
        alphas={scale: krippendorff_alpha(*zip(*rows, strict=True)) for scale, rows in rated.items() if rows},
        versus=_versus(compared, list(data.settings.systems)),
        later=cluster_interval([one.score for one in compared], clusters),
        unanswered=sum(one.score is None for one in compared),
        steps=steps_reached(data, now),
        withdrawn=data.withdrawn,
        minutes=_median(spent),
        signature=_signature(data),
    )


def _line(
    system: str,
    data: StudyData,
    rated: Mapping[str, list[_Rated]],
    compared: Sequence[_Comparison],
    strengths: Mapping[str, Interval],
) -> SystemLine:
    tasks = [task for _, task in data.held if task.system == system]
    took = [message.seconds for task in tasks for message in task.messages if message.role == "assistant"]
    ratings = {}
    for scale, rows in rated.items():
        own = [(value, rater) for value, unit, rater in rows if unit[0] == system]
        ratings[scale] = cluster_interval([value for value, _ in own], [rater for _, rater in own])
    met = any(system in (one.first, one.second) for one in compared)
    return SystemLine(
        system=system,
        ratings=ratings,
        wins=_wins(compared, system) if met else None,
        strength=strengths[system] if met else None,
        conversations=len(tasks),
        turns=_median([task.turns for task in tasks]),
        minutes=_median([_span(task) / MINUTE for task in tasks if len(task.messages) > 1]),
        reply_seconds=_median([seconds for seconds in took if seconds is not None]),
    )


def _ratings(data: StudyData) -> dict[str, list[_Rated]]:
    """Scale to rows of rating, unit (system, persona, stage) and rater, one for each conversation held."""
    return {
        scale: [
            (task.ratings.get(scale), (task.system, task.persona, task.stage), rater.pseudonym)
            for rater, task in data.held
        ]
        for scale in data.settings.scales
    }


def _comparisons(data: StudyData) -> list[_Comparison]:
    """Every comparison that was due: something was said in both conversations.

    Whether they were rated does not matter: a system that drives raters away before that could else not lose.
    """
    found = []
    for rater in data.raters:
        tasks = {task.position: task for task in rater.tasks}
        for pair in rater.pairs:
            first, second = tasks[pair.first], tasks[pair.second]
            if first.messages and second.messages:
                score = None if pair.choice is None else {"a": 0.0, "b": 1.0, "tie": 0.5}[pair.choice]
                found.append(_Comparison(rater.pseudonym, first.system, second.system, score))
    return found


def _wins(compared: Sequence[_Comparison], system: str) -> Interval:
    values, clusters = [], []
    for one in compared:
        if system in (one.first, one.second):
            own = one.score if system == one.second or one.score is None else 1 - one.score
            values.append(own)
            clusters.append(one.rater)
    return cluster_interval(values, clusters)


def _versus(compared: Sequence[_Comparison], systems: Sequence[str]) -> dict[tuple[str, str], tuple[int, int, int]]:
    found = {}
    for i, one in enumerate(systems):
        for other in systems[i + 1 :]:
            scores = [c.score for c in compared if (c.second, c.first) == (one, other)]
            scores += [
                None if c.score is None else 1 - c.score for c in compared if (c.first, c.second) == (one, other)
            ]
            if any(score is not None for score in scores):
                found[one, other] = (scores.count(1.0), scores.count(0.5), scores.count(0.0))
    return found


def _signature(data: StudyData) -> dict[str, object]:
    finished = sum(rater.is_done for rater in data.raters)
    return {
        "study": data.settings.hash,
        **data.facts,
        "raters": len({rater.pseudonym for rater, _ in data.held}),
        "finished": finished,
        "seed": data.settings.seed,
        "persbench": data.version,
    }


def _span(task: TaskState) -> float:
    return task.messages[-1].at - task.messages[0].at


def _median(values: Sequence[float]) -> float | None:
    return float(median(values)) if values else None
