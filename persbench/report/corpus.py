"""Numbers of a whole system that no mean over items gives: agreement, correlation, reliability, likeness.

Each is computed from the rows of records alone, as every number of the board.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from persbench.samples import Row
from persbench.scoring import distinction
from persbench.scoring.choice import anchor, per_byte_lengths, winners
from persbench.scoring.consistency import fleiss_kappa
from persbench.scoring.reliability import acquiescence, cronbach_alpha, item_matrix
from persbench.scoring.resistance import d_prime
from persbench.scoring.stats import Interval, cluster_interval
from persbench.scoring.traits import LikertAnswer, domain_scores, picked, target_correlation, target_distance

NORMAL_95: Final = 1.959964
MIDDLE: Final = 3  # of five points


def branch_scores(row: Row) -> dict[str, list[float | None]]:
    """Return the anchored scores of a row's candidates, in nats per byte, by branch."""
    found: dict[str, list[float | None]] = {}
    for branch in row["branches"]:
        raw = per_byte_lengths(branch["loglikelihoods"], row["bytes"])
        found[branch["label"]] = anchor(raw, branch.get("anchors") or [None] * len(raw))
    return found


def _d_prime(rows: Sequence[Row]) -> Interval:
    values = {
        name: [value if scored else None for value, scored in (row["metrics"][name] for row in rows)]
        for name in ("resistance", "over_resistance")
    }
    found = d_prime(values["resistance"], values["over_resistance"])
    wide = None if found.error is None else NORMAL_95 * found.error
    low, high = (None, None) if found.value is None or wide is None else (found.value - wide, found.value + wide)
    return Interval(found.value, low, high, found.n_hits, len(rows), found.unscored)


def _kappa(rows: Sequence[Row]) -> Interval:
    table: list[list[str | None]] = []
    for row in rows:
        scores = branch_scores(row)
        chosen: list[str | None] = []
        for name, probes in row["probes"].items():
            for probe in probes:
                won = winners(scores.get(f"{name}/{probe['after']}") or [None])
                chosen.append(row["labels"][won[0]] if won is not None and len(won) == 1 else None)
        table.append(chosen)
    widest = max(map(len, table), default=0)  # scripts with fewer probes are dropped, and counted
    found = fleiss_kappa([row + [None] * (widest - len(row)) for row in table])
    return Interval(found.value, None, None, found.subjects, found.subjects, found.dropped)


def likert_answers(rows: Sequence[Row]) -> list[LikertAnswer]:
    """Return every answer of rows of the trait task, one a wording and option order."""
    answers: list[LikertAnswer] = []
    for row in rows:
        statement: dict[str, Any] = row["statement"]
        for label, scores in branch_scores(row).items():
            form, _, order = label.partition("/")
            answers.append(
                LikertAnswer(
                    persona=row["persona"],
                    stage=row["stage"],
                    statement=statement["id"],
                    domain=statement["domain"],
                    keyed=statement["keyed"],
                    form="paraphrase" if form == "paraphrase" else "text",
                    order="descending" if order == "descending" else "ascending",
                    answer=picked(scores),
                )
            )
    return answers


def trait_targets(rows: Sequence[Row]) -> dict[tuple[str, str, str], float]:
    """Return the authored target of every (persona, stage, domain) that has one, 1 to 5."""
    return {
        (row["persona"], row["stage"], row["statement"]["domain"]): row["statement"]["target"]
        for row in rows
        if row["statement"]["target"] is not None
    }


def _trait_r(rows: Sequence[Row]) -> Interval:
    found = target_correlation(domain_scores(likert_answers(rows)), trait_targets(rows))
    people = len({row["persona"] for row in rows})
    return Interval(found.value, found.low, found.high, found.n, people, found.unscored)


def _trait_distance(rows: Sequence[Row]) -> Interval:
    return target_distance(domain_scores(likert_answers(rows)), trait_targets(rows))


def _middle_distance(rows: Sequence[Row]) -> float | None:
    """Return the distance of answering 3 everywhere, which blind answers approach as statements grow in number."""
    gaps = [abs(MIDDLE - target) for target in trait_targets(rows).values()]
    return sum(gaps) / len(gaps) if gaps else None


def _alpha(rows: Sequence[Row]) -> Interval:
    """Mean of the domains' alphas; each alone is noise with twelve respondents, and so no interval is shown."""
    answers = likert_answers(rows)
    domains = sorted({answer.domain for answer in answers})
    found = [cronbach_alpha(item_matrix(answers, domain)) for domain in domains]
    values = [each.value for each in found if each.value is not None]
    mean = sum(values) / len(values) if values else None
    return Interval(mean, None, None, len(values), len(values), len(found) - len(values))


def _acquiescence(rows: Sequence[Row]) -> Interval:
    return acquiescence(likert_answers(rows))


def _likeness(measure: Callable[[list[distinction.SampledReply]], list[distinction.Resemblance]]) -> Statistic:
    def statistic(rows: Sequence[Row]) -> Interval:
        replies = [
            distinction.SampledReply(
                row["persona"], row["stage"], row["cluster"], (row["replies"][0], row["replies"][1])
            )
            for row in rows
        ]
        found = measure(replies)
        return cluster_interval([each.value for each in found], [each.cluster for each in found])

    return statistic


Statistic = Callable[[Sequence[Row]], Interval]
STATISTICS: Final[dict[str, Statistic]] = {
    "d_prime": _d_prime,
    "kappa": _kappa,
    "trait_r": _trait_r,
    "trait_distance": _trait_distance,
    "alpha": _alpha,
    "acquiescence": _acquiescence,
    "intra": _likeness(distinction.intra),
    "stage": _likeness(distinction.stage),
    "inter": _likeness(distinction.inter),
}
CHANCES: Final[dict[str, Callable[[Sequence[Row]], float | None]]] = {"trait_distance": _middle_distance}
