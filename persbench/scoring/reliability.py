"""What five-point answers are made of besides the persona: consistency, wording, option order, and yea-saying."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import fdtri

from persbench.scoring.stats import Interval, cluster_interval
from persbench.scoring.traits import POINTS, Cell, Estimate, LikertAnswer, mean_of_scored

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MIDDLE = (1 + POINTS) / 2
_FLAT = 1e-12
"""A variance up to this is rounding: answers stand on a scale of 1 to 5."""


def item_matrix(answers: Iterable[LikertAnswer], domain: str) -> list[list[float | None]]:
    """Reverse-keyed answers of a domain for `cronbach_alpha`.

    Returns:
        Respondents (sorted by persona and stage) x statements (sorted by id), each the mean over the scored
        wordings and orders; None where there are none.
    """
    cells: defaultdict[tuple[str, str], defaultdict[str, list[float | None]]]
    cells = defaultdict(lambda: defaultdict(list))
    for answer in answers:
        if answer.domain == domain:
            cells[answer.persona, answer.stage][answer.statement].append(answer.toward)
    statements = sorted({statement for row in cells.values() for statement in row})
    return [[mean_of_scored(cells[respondent].get(s, [])) for s in statements] for respondent in sorted(cells)]


def cronbach_alpha(matrix: Sequence[Sequence[float | None]], *, confidence: float = 0.95) -> Estimate:
    """Internal consistency of a scale (Cronbach 1951): k / (k - 1) * (1 - sum of item variances / variance of sums).

    The interval is that of Feldt, Woodruff and Salih (1987): (1 - A) / (1 - alpha), with A the population's, follows F
    with n - 1 and (n - 1)(k - 1) degrees of freedom, so the ends are 1 - (1 - alpha) F at both tails. It takes
    respondents for independent. A bootstrap of a dozen of them would hold resamples whose sums hardly vary.

    Args:
        matrix: Respondents x items, reverse-keyed (see `item_matrix`).
        confidence: Coverage of the interval.

    Returns:
        Alpha, at most 1 and without a lower bound; n in respondents. A respondent with an unscored item is left out
        and counted. None with fewer than two items or complete respondents, or if their sums do not vary.

    Raises:
        ValueError: The rows differ in length.
    """
    if len({len(row) for row in matrix}) > 1:
        raise ValueError("rows differ in length: give every respondent the same items, None where unscored")
    complete = [row for row in matrix if None not in row]
    n, unscored = len(complete), len(matrix) - len(complete)
    k = len(complete[0]) if complete else 0
    if min(n, k) < 2:  # noqa: PLR2004 (a variance needs two)
        return Estimate(None, None, None, n, unscored)
    table = np.array(complete, dtype=np.float64)
    total = float(table.sum(axis=1).var(ddof=1))
    if total <= _FLAT:
        return Estimate(None, None, None, n, unscored)
    alpha = k / (k - 1) * (1 - float(table.var(axis=0, ddof=1).sum()) / total)
    degrees = (n - 1, (n - 1) * (k - 1))
    low, high = (1 - (1 - alpha) * float(fdtri(*degrees, (1 + c) / 2)) for c in (confidence, -confidence))
    return Estimate(alpha, low, high, n, unscored)


def paraphrase_sensitivity(answers: Iterable[LikertAnswer]) -> Interval:
    """How far an answer moves with the wording: mean |text - paraphrase| within respondent, statement and option order.

    Returns:
        The mean in points of the scale, 0 to 4, with its interval over statements, the question that all respondents
        share; n in pairs. A pair with an unscored side is unscored; an answer without a counterpart is no pair.

    Raises:
        ValueError: A respondent answers one form of a statement in one order twice.
    """
    return _sensitivity(answers, "form")


def order_sensitivity(answers: Iterable[LikertAnswer]) -> Interval:
    """How far an answer moves with the order of the options: mean |ascending - descending| within the same wording.

    Returns:
        As for `paraphrase_sensitivity`.

    Raises:
        ValueError: A respondent answers one form of a statement in one order twice.
    """
    return _sensitivity(answers, "order")


def acquiescence(answers: Iterable[LikertAnswer]) -> Interval:
    """Yea-saying: how far raw answers stand above the middle where the keys balance out (Soto and others 2008).

    Within a respondent and domain, (mean raw answer to statements keyed 1 + mean of those keyed -1) / 2 - 3. Both
    directions weigh the same however many statements each has, so that what the respondent is like cancels out.

    Returns:
        Mean over cells, -2 to 2, with its interval over personas. A cell with no scored answer in one direction is
        unscored; a cell that was never asked in one direction cannot tell, and is left out.
    """
    cells: defaultdict[Cell, dict[int, list[float | None]]] = defaultdict(lambda: {1: [], -1: []})
    for answer in answers:
        cells[answer.persona, answer.stage, answer.domain][answer.keyed].append(answer.answer)
    told = {cell: sides for cell, sides in cells.items() if sides[1] and sides[-1]}
    values: list[float | None] = []
    for sides in told.values():
        plus, minus = mean_of_scored(sides[1]), mean_of_scored(sides[-1])
        values.append(None if plus is None or minus is None else (plus + minus) / 2 - _MIDDLE)
    return cluster_interval(values, [persona for persona, _, _ in told])


def _sensitivity(answers: Iterable[LikertAnswer], to: Literal["form", "order"]) -> Interval:
    """Mean absolute difference between the two values of one field, all others being equal."""
    pairs: defaultdict[tuple[str, str, str, str], dict[str, float | None]] = defaultdict(dict)
    for answer in answers:
        side, fixed = (answer.form, answer.order) if to == "form" else (answer.order, answer.form)
        pair = pairs[answer.persona, answer.stage, answer.statement, fixed]
        if side in pair:
            raise ValueError(
                f"{answer.persona} {answer.stage} answers {answer.statement!r} ({answer.form}, {answer.order}) twice"
            )
        pair[side] = answer.answer
    values: list[float | None] = []
    statements: list[str] = []
    for (_, _, statement, _), pair in pairs.items():
        if len(pair) == 2:  # noqa: PLR2004 (both sides were asked)
            one, other = pair.values()
            values.append(None if one is None or other is None else abs(one - other))
            statements.append(statement)
    return cluster_interval(values, statements)
