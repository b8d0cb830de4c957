"""What decisions on authored pairs say of a judge: is it right, and if not, what does it go by?

Every measure has its interval by a bootstrap over clusters. What a judge left unscored counts neither for nor against
it, and is reported beside.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Final

import numpy as np

from persbench.judging.cases import Kind  # noqa: TC001 - read when a file is read back
from persbench.scoring.resampling import weighted_interval
from persbench.scoring.stats import Interval, cluster_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from persbench.judging.exams import Decision

MOST_UNSCORED: Final = 0.2
"""Share of unscored verdicts above which a judge does not qualify: the rest is no longer a fair sample of the pairs."""


@dataclass(frozen=True)
class Exam:
    """One kind of judgement on one family of authored pairs.

    Attributes:
        kind: Of judgement.
        family: Of pairs, see `authored.FAMILIES`.
        accuracy: Mean credit; chance is one half. `unscored` counts pairs.
        trivial: Trivial judge -> its mean credit on the pairs that the judge has scored.
        gaps: Trivial judge -> the judge's accuracy minus its, paired.
        position: Of rankings: how much oftener the text shown first is put higher than lower, -1 to 1; 0 is none.
        length: Accuracy where the right text is the longer one, minus that where it is the shorter one, -1 to 1.
        again: Share of pairs that got the same verdict when asked again with another seed; None if none was.
        verdicts: Verdicts asked for, the second asking left out.
        unscored: Of these, how many stayed unscored, by kind.
        limit: Pairs that were asked about, where that may not have been all; else None.
        personas: Whom the pairs were of; empty for all of the pack.
        embedder: Fingerprint of what the trivial judge of that name embedded with; empty where an earlier version kept
            it with the whole qualification.
    """

    kind: Kind
    family: str
    accuracy: Interval
    trivial: dict[str, Interval]
    gaps: dict[str, Interval]
    position: Interval | None
    length: Interval
    again: Interval | None
    verdicts: int
    unscored: dict[str, int]
    limit: int | None = None
    personas: tuple[str, ...] = ()
    embedder: str = ""

    @property
    def pairs(self) -> int:
        """Pairs that were asked about."""
        return self.accuracy.n + self.accuracy.unscored

    @property
    def unscored_rate(self) -> float:
        """Share of verdicts that stayed unscored."""
        return sum(self.unscored.values()) / self.verdicts if self.verdicts else 0.0

    @property
    def best(self) -> str:
        """The trivial judge with the highest accuracy."""
        return max(sorted(self.trivial), key=lambda name: self.trivial[name].mean or 0.0)

    @property
    def failure(self) -> str:
        """Why a judge fails this exam, in a few words; empty if it passes."""
        if self.unscored_rate > MOST_UNSCORED:
            return f"{self.unscored_rate:.0%} of its verdicts are unscored"
        if self.accuracy.mean is None:
            return "nothing is scored"
        for name in sorted(self.gaps, key=lambda name: self.gaps[name].mean or 0.0):
            gap = self.gaps[name]
            if gap.low is None or gap.high is None:
                return "there are too few questions for an interval"
            if gap.low <= 0:
                return f"its lead over {name} is {gap.mean:+.2f} [{gap.low:+.2f} {gap.high:+.2f}]"
        return ""


def examined(
    kind: Kind,
    decisions: Sequence[Decision],
    trivial: Mapping[str, Sequence[float]],
    again: Sequence[Decision] = (),
) -> Exam:
    """Measure one exam.

    Args:
        kind: Of judgement.
        decisions: One a pair, at least one, all of one family.
        trivial: Trivial judge -> its credit for each of these pairs.
        again: Decisions of a second asking, for the first pairs of these.
    """
    credits_ = [found.credit for found in decisions]
    clusters = [found.pair.cluster for found in decisions]
    unscored: dict[str, int] = {}
    for reason in (reason for found in decisions for reason in found.unscored):
        unscored[reason] = unscored.get(reason, 0) + 1
    return Exam(
        kind=kind,
        family=decisions[0].pair.family,
        accuracy=cluster_interval(credits_, clusters),
        trivial={name: _beside(theirs, credits_, clusters) for name, theirs in sorted(trivial.items())},
        gaps={name: _lead(credits_, theirs, clusters) for name, theirs in sorted(trivial.items())},
        position=position_bias(decisions) if kind == "rank" else None,
        length=length_bias(decisions),
        again=self_agreement(decisions, again) if again else None,
        verdicts=sum(found.verdicts for found in decisions),
        unscored=dict(sorted(unscored.items())),
    )


def _beside(theirs: Sequence[float], own: Sequence[float | None], clusters: Sequence[str]) -> Interval:
    """A trivial judge's accuracy on what the judge has scored."""
    return cluster_interval([None if mine is None else x for x, mine in zip(theirs, own, strict=True)], clusters)


def _lead(own: Sequence[float | None], theirs: Sequence[float], clusters: Sequence[str]) -> Interval:
    """By how much a judge is ahead of a trivial one, paired: what makes a pair easy for both takes no part."""
    return cluster_interval([None if mine is None else mine - x for x, mine in zip(theirs, own, strict=True)], clusters)


def position_bias(decisions: Sequence[Decision]) -> Interval:
    """How much oftener the text shown first is put higher than lower: 1 always, -1 never, 0 no leaning.

    Every pair is shown in both orders, so that whichever is right stands first just as often as last. A pair counts
    where both orders were read.
    """
    values = [
        fmean(first for first in found.firsts if first is not None)
        if found.firsts and None not in found.firsts
        else None
        for found in decisions
    ]
    return cluster_interval(values, [found.pair.cluster for found in decisions])


def length_bias(decisions: Sequence[Decision]) -> Interval:
    """Accuracy where the right text is the longer one minus accuracy where it is the shorter one.

    1 for a judge that always takes the longer text, -1 for the shorter, 0 where length does not matter. Pairs of equal
    length, in characters, take no part. None where either side has no scored pair.
    """
    told = [
        (found.credit, len(found.pair.right) > len(found.pair.wrong), found.pair.cluster)
        for found in decisions
        if found.credit is not None and len(found.pair.right) != len(found.pair.wrong)
    ]
    unscored = sum(found.credit is None for found in decisions)
    clusters = [cluster for *_, cluster in told]
    counts = (len(told), len(set(clusters)), unscored)
    credit = np.array([value for value, *_ in told], dtype=np.float64)
    longer = np.array([is_longer for _, is_longer, _ in told], dtype=np.float64)
    if not 0 < longer.sum() < len(told):
        return Interval(None, None, None, *counts)

    def statistic(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore", divide="ignore"):
            gap: NDArray[np.float64] = weights @ (credit * longer) / (weights @ longer) - weights @ (
                credit * (1 - longer)
            ) / (weights @ (1 - longer))
        return gap

    low, high = weighted_interval(statistic, clusters) or (None, None)
    return Interval(float(statistic(np.ones((1, len(told))))[0]), low, high, *counts)


def self_agreement(decisions: Sequence[Decision], again: Sequence[Decision]) -> Interval:
    """Share of pairs that got the same verdict both times; a pair that is unscored at either time is unscored.

    Raises:
        ValueError: The second decisions are not of the first ones' pairs.
    """
    first = decisions[: len(again)]
    if [found.pair.id for found in first] != [found.pair.id for found in again]:
        raise ValueError("the second asking is of other pairs than the first")
    values = [
        None if one.verdict is None or two.verdict is None else float(one.verdict == two.verdict)
        for one, two in zip(first, again, strict=True)
    ]
    return cluster_interval(values, [found.pair.cluster for found in first])
