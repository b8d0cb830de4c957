"""The rule by which a claim is confirmed or not, written before any of the results: `leaderboard/protocol.md`.

A headline is confirmed if the interval of the paired difference excludes zero in the claimed direction, its
Holm-adjusted p is below 0.05, and at least five of six personas (both of two) have the same sign. It is refuted if the
interval excludes zero in the other direction. Everything else is undecided, and so is a headline of which more than a
fifth of the items is unscored (amendment 5).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.report.compare import Comparison
    from persbench.scoring.stats import Interval

ALPHA: Final = 0.05
FEWEST_PERSONAS: Final = 2
MOST_UNSCORED: Final = 0.2
"""Of a headline's items; beyond it those that are left need not be like the others, and nothing is decided."""


class Verdict(StrEnum):
    """What became of a headline or of a claim."""

    CONFIRMED = "confirmed"
    PARTLY = "partly confirmed"
    REFUTED = "refuted"
    MIXED = "mixed"
    UNDECIDED = "undecided"
    NOT_MEASURED = "not measured yet"
    REPORTED = "reported"
    OUTSIDE = "not part of this comparison"


def personas_needed(personas: int) -> int:
    """Return how many of so many personas must share the sign: five of six, both of two, and as many in proportion."""
    return -(-5 * personas // 6)


def headline_verdict(
    comparison: Comparison, p_adjusted: float | None, *, up: bool, surface: str = ""
) -> tuple[Verdict, str]:
    """Apply the rule to one headline.

    Args:
        comparison: The paired difference.
        p_adjusted: Its p by Holm over all comparisons of its claim; None where nothing could be tested.
        up: Claimed is a difference above zero; else one below it.
        surface: What is wrong with the headline itself, such as a surface rule that wins it; then it says nothing.

    Returns:
        CONFIRMED, REFUTED or UNDECIDED; and why it is not confirmed, empty if it is.
    """
    interval, signs = comparison.found.interval, comparison.signs
    hindrance = surface or _too_few(interval)
    if hindrance or interval.low is None or interval.high is None:
        return Verdict.UNDECIDED, hindrance
    if (interval.high < 0) if up else (interval.low > 0):
        return Verdict.REFUTED, "the interval excludes zero in the other direction"
    if not ((interval.low > 0) if up else (interval.high < 0)):
        return Verdict.UNDECIDED, "the interval holds zero"
    personas = signs.positive + signs.negative + signs.zero + signs.unscored
    against = []
    if p_adjusted is None or p_adjusted >= ALPHA:
        against.append("p by Holm is not below 0.05")
    if personas < FEWEST_PERSONAS:
        against.append("a single persona has no sign count")
    elif signs.same < personas_needed(personas):
        against.append(f"{signs.same} of {personas} personas, {personas_needed(personas)} needed")
    return (Verdict.UNDECIDED, "; ".join(against)) if against else (Verdict.CONFIRMED, "")


def _too_few(interval: Interval) -> str:
    """Say why an interval decides nothing, whatever it holds; empty if it may."""
    if interval.mean is None:
        return "unscored"
    items = interval.n + interval.unscored
    if interval.unscored > MOST_UNSCORED * items:
        return f"{interval.unscored} of {items} items are unscored"
    return "a single question gives no interval" if interval.low is None else ""


def claim_verdict(headlines: Sequence[Verdict]) -> Verdict:
    """Put a claim's headlines together.

    Confirmed if all headlines are; partly confirmed if at least one is and none is refuted; refuted if at least one is
    refuted and none confirmed; mixed if some are confirmed and some refuted. Of the rest, which the protocol calls
    mixed as well, those where nothing is decided at all are named for what they are: undecided, or not measured yet
    where nothing is measured. A headline that is not measured is not confirmed.

    Args:
        headlines: One a headline.
    """
    if not headlines:
        return Verdict.OUTSIDE
    confirmed, refuted = (headlines.count(verdict) for verdict in (Verdict.CONFIRMED, Verdict.REFUTED))
    if confirmed and refuted:
        return Verdict.MIXED
    if confirmed:
        return Verdict.CONFIRMED if confirmed == len(headlines) else Verdict.PARTLY
    if refuted:
        return Verdict.REFUTED
    if all(verdict is Verdict.NOT_MEASURED for verdict in headlines):
        return Verdict.NOT_MEASURED
    return Verdict.REPORTED if Verdict.REPORTED in headlines else Verdict.UNDECIDED
