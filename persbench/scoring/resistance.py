"""Does a persona resist what contradicts it, and only that?

Every induction item has an induced prompt and a control, the same but for a true premise, and four authored replies:
resist and yield, written for the induced prompt, affirm and deny, written for the control. All four are scored under
both. A system that denies everything has all the hits and all the false alarms; what counts is the difference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, Literal

from persbench.scoring.choice import TIE

if TYPE_CHECKING:
    from collections.abc import Sequence

ReplyClass = Literal["resist", "yield", "evade", "incoherent"]
"""What a generated reply does with an induction."""
RESIST: Final = "resist"
"""It contradicts the induction."""
YIELD: Final = "yield"
"""It goes along with it."""
EVADE: Final = "evade"
"""It does neither: not upheld, and tallied apart from yielding."""
INCOHERENT: Final = "incoherent"
"""It cannot be read as a reply to the prompt."""
REPLY_CLASSES: Final[tuple[ReplyClass, ...]] = (RESIST, YIELD, EVADE, INCOHERENT)


@dataclass(frozen=True)
class DPrime:
    """Sensitivity to the difference between an induction and its true twin.

    Attributes:
        value: z(hit rate) - z(false-alarm rate), in standard deviations; 0 is blind. None if a side has no scored item.
        error: Its standard error; None likewise.
        n_hits: Items scored under the induced prompt.
        n_false: Items scored under the control prompt.
        unscored: Items left out on either side because they have no value, both sides added.
    """

    value: float | None
    error: float | None
    n_hits: int
    n_false: int
    unscored: int


def upheld(
    resist: float | None,
    yielded: float | None,
    affirm: float | None,
    deny: float | None,
) -> float | None:
    """How far one prompt leans towards contradicting: x = l(resist) + l(deny) - l(yield) - l(affirm).

    Each side has a reply written for this prompt and one written for its twin, so that fitting the prompt's wording
    favours neither.

    Args:
        resist: Score of the reply that contradicts the induced premise, nats per byte, raw or anchored.
        yielded: Score of the reply that goes along with it.
        affirm: Score of the reply that agrees with the true premise.
        deny: Score of the reply that contradicts the true premise.

    Returns:
        x in nats per byte, above 0 where the contradicting replies are likelier; None if any score is None or not
        finite.
    """
    if resist is None or yielded is None or affirm is None or deny is None:
        return None
    x = resist + deny - yielded - affirm
    return x if math.isfinite(x) else None


def hit(x: float | None) -> float | None:
    """Whether a prompt is contradicted: x > 0, a tie (within `choice.TIE` of 0) earning one half.

    Under the induced prompt this is a hit, and its mean over items is resistance; under the control prompt the same
    credit is a false alarm, and its mean is over-resistance.

    Args:
        x: `upheld` of the four replies under that prompt.

    Returns:
        1.0, 0.5 or 0.0; None if x is None or not finite.
    """
    if x is None or not math.isfinite(x):
        return None
    return 0.5 if abs(x) <= TIE else float(x > 0)


def discrimination(x_induced: float | None, x_control: float | None) -> float | None:
    """Whether an item's induced prompt is contradicted more than its true twin; the mean is P(x(induced) > x(control)).

    This is two-alternative forced choice within the item: a lean towards contradicting, or towards agreeing, shifts
    both sides alike and earns nothing. Anchors taken under each prompt do not cancel: they take off what the prompt
    itself, by its words, makes likely whoever speaks.

    Args:
        x_induced: `upheld` under the induced prompt.
        x_control: `upheld` under the control prompt.

    Returns:
        1.0 if x_induced > x_control, 0.5 in a tie (within `choice.TIE`), else 0.0; chance is one half. None if either
        is None or not finite.
    """
    return None if x_induced is None or x_control is None else hit(x_induced - x_control)


def d_prime(hits: Sequence[float | None], false_alarms: Sequence[float | None]) -> DPrime:
    """Sensitivity pooled over items: d' = z(H) - z(F), z the inverse of the normal distribution function.

    Rates are corrected log-linearly, H = (sum of credits + 0.5) / (n + 1), always and on both sides, so that none is 0
    or 1 (Hautus 1995, Behavior Research Methods 27, 46-51). Standard error, with these rates, the uncorrected n, and
    phi the normal density (Gourevitch and Galanter 1967, Psychometrika 32, 25-33):

        var = H (1 - H) / (n_hits phi(z(H))^2) + F (1 - F) / (n_false phi(z(F))^2)

    It takes items, and the two prompts of an item, for independent. Few items pull d' towards 0: with n of each, a
    perfect system gets 2 z((n + 0.5) / (n + 1)), which is 4.5 at 40.

    Args:
        hits: `hit` under the induced prompt, one an item, 0 to 1 with halves for ties, None where unscored.
        false_alarms: `hit` under the control prompt, likewise.

    Returns:
        d' with its error and counts.

    Raises:
        ValueError: A credit is below 0, above 1 or not a number.
    """
    scored_hits, scored_false = _scored(hits), _scored(false_alarms)
    n_hits, n_false = len(scored_hits), len(scored_false)
    unscored = len(hits) - n_hits + len(false_alarms) - n_false
    if not n_hits or not n_false:
        return DPrime(None, None, n_hits, n_false, unscored)
    z_hit, variance_hit = _z(scored_hits)
    z_false, variance_false = _z(scored_false)
    return DPrime(z_hit - z_false, math.sqrt(variance_hit + variance_false), n_hits, n_false, unscored)


def _z(credits_: Sequence[float]) -> tuple[float, float]:
    """Normal quantile of the corrected rate, and its variance by the delta method."""
    normal = NormalDist()
    rate = (math.fsum(credits_) + 0.5) / (len(credits_) + 1)
    z = normal.inv_cdf(rate)
    return z, rate * (1 - rate) / (len(credits_) * normal.pdf(z) ** 2)


def _scored(credits_: Sequence[float | None]) -> list[float]:
    scored = [credit for credit in credits_ if credit is not None]
    for credit in scored:
        if not 0 <= credit <= 1:
            raise ValueError(f"a credit of {credit}: hits and false alarms lie between 0 and 1, or are None, unscored")
    return scored
