"""The claims of `claims.yaml`, decided on a set of records by the rule of `rule.py`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import yaml

from persbench.report.board import Column, columns, system_order, table_titles
from persbench.report.comparable import not_comparable
from persbench.report.compare import Comparison, compare_pairs, item_pairs
from persbench.report.paper.grouping import by_system
from persbench.report.paper.likeness import MEASURES, likeness, likeness_pairs, replies_of
from persbench.report.paper.rule import Verdict, claim_verdict, headline_verdict
from persbench.scoring.comparison import holm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persbench.report.cells import Cell

UNTESTED: Final = 1.0
"""The p of a comparison that is planned and not measured: Holm counts it, so that no verdict falls when it comes."""


@dataclass(frozen=True)
class Finding:
    """What became of one headline of a claim.

    Attributes:
        claim: Id of the claim.
        system: The system of which more is claimed.
        baseline: What it is held against; empty where its own numbers are put in order.
        metric: Name of the metric; several where they are put in order.
        name: How a reader knows it.
        up: Claimed is more of it.
        comparison: The paired difference, its p adjusted over the claim; None where there is none.
        verdict: By the rule.
        reason: Why it is not confirmed; empty if it is.
        told: The numbers that were put in order, and the baseline's, of which the order is kept or is not.
        absent: Systems that it is about and that were not measured.
    """

    claim: str
    system: str
    baseline: str
    metric: str
    name: str
    up: bool
    comparison: Comparison | None
    verdict: Verdict
    reason: str
    told: str = ""
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a claim.

    Attributes:
        claim: Its id; empty for a claim of the abstract.
        says: The claim.
        findings: Its headlines.
        verdict: Of the whole.
    """

    claim: str
    says: str
    findings: tuple[Finding, ...]
    verdict: Verdict


@cache
def stated() -> dict[str, Any]:
    """Return all of the package's `claims.yaml`."""
    found: dict[str, Any] = yaml.safe_load(files("persbench.report.paper").joinpath("claims.yaml").read_text("utf-8"))
    return found


def rule_notes() -> list[str]:
    """Return the rule in sentences, for the foot of a table."""
    return list(stated()["rule"])


def headlines() -> list[str]:
    """Return the headline metrics, one a family."""
    return list(stated()["headlines"])


def column_of(metric: str) -> Column:
    """Return a metric's column on the board, from the first table that has it.

    Raises:
        KeyError: No table has it.
    """
    for table in table_titles():
        for column in columns(table):
            if column.metric == metric:
                return column
    raise KeyError(metric)


def systems_of_claims() -> list[str]:
    """Return all systems that a claim is about, in the order of the board, then in that of the claims."""
    named = [c[side] for claim in stated()["claims"] for c in claim["comparisons"] for side in ("system", "baseline")]
    return list(dict.fromkeys([*system_order(), *named]))


def outcomes(cells: Sequence[Cell], *, surface: Mapping[str, str] | None = None) -> list[Outcome]:
    """Decide every claim of the protocol.

    Args:
        cells: Results in one setting a system and persona.
        surface: Metric -> what is wrong with it as a headline.

    Returns:
        The claims in the order of `claims.yaml`. A claim whose systems are not there is not measured yet.
    """
    groups = by_system(cells)
    return [_outcome(claim, groups, surface or {}) for claim in stated()["claims"]]


def distinction_outcome(cells: Sequence[Cell], without: str, with_dpo: str) -> Outcome:
    """Decide the protocol's claim on automatic DPO for any two systems.

    Args:
        cells: Results in one setting a system and persona.
        without: A system that was not trained by automatic DPO.
        with_dpo: The same with it.
    """
    claim = next(each for each in stated()["claims"] if "order" in each)
    compared = [each | {"system": with_dpo, "baseline": without} for each in claim["comparisons"]]
    changed = claim | {"comparisons": compared, "order": claim["order"] | {"system": with_dpo}}
    return _outcome(changed, by_system(cells), {})


def abstract_outcomes(decided: Sequence[Outcome]) -> list[Outcome]:
    """Decide the claims of the paper's abstract, by the protocol's findings that bear on them."""
    found = []
    for claim in stated()["abstract"]:
        bearing = tuple(
            finding
            for wanted in claim["of"]
            for outcome in decided
            for finding in outcome.findings
            if wanted["claim"] == finding.claim
            and finding.metric in wanted.get("metrics", [finding.metric])
            and finding.baseline in wanted.get("baselines", [finding.baseline])
        )
        found.append(Outcome("", claim["says"], bearing, claim_verdict([each.verdict for each in bearing])))
    return found


def _outcome(claim: Mapping[str, Any], groups: Mapping[str, list[Cell]], surface: Mapping[str, str]) -> Outcome:
    planned = [
        (each["system"], each["baseline"], column_of(metric))
        for each in claim["comparisons"]
        for metric in each.get("metrics", headlines())
    ]
    sharing = len(planned), not claim.get("some_personas")
    measured = [_measured(system, groups, baseline, column, *sharing) for system, baseline, column in planned]
    tested = [one.found.p if isinstance(one, Comparison) else None for one in measured]
    adjusted = holm([UNTESTED if p is None else p for p in tested])
    findings = []
    for (system, baseline, column), one, p, raw in zip(planned, measured, adjusted, tested, strict=True):
        finding = Finding(
            claim["id"], system, baseline, column.metric, column.name, not column.cost, None, Verdict.NOT_MEASURED, ""
        )
        if one is None or isinstance(one, str):
            findings.append(replace(finding, reason=one or "", absent=_absent(groups, column, system, baseline)))
            continue
        shown = replace(one, p_adjusted=None if raw is None else p)
        wrong = surface.get(column.metric, "")
        verdict, reason = headline_verdict(shown, shown.p_adjusted, up=finding.up, surface=wrong)
        if claim.get("reported"):
            verdict, reason = Verdict.REPORTED, ""
        findings.append(replace(finding, comparison=shown, verdict=verdict, reason=reason))
    if "order" in claim:
        findings.append(_in_order(claim["id"], groups, planned[0][1], claim["order"]))
    return Outcome(
        claim["id"], claim["says"], tuple(findings), claim_verdict([finding.verdict for finding in findings])
    )


def _absent(groups: Mapping[str, list[Cell]], column: Column, *systems: str) -> tuple[str, ...]:
    """Return those of some systems that have nothing of a task."""
    return tuple(name for name in systems if not any(column.task in cell.tasks for cell in groups.get(name, [])))


def _measured(
    system: str, groups: Mapping[str, list[Cell]], baseline: str, column: Column, planned: int, everybody: bool
) -> Comparison | str | None:
    """Compare two systems, or say why they cannot be; None where one is not measured.

    Where the claim is about everybody, a persona that only one of them was measured on counts as unscored.
    """
    if _absent(groups, column, system, baseline):
        return None
    own, other = groups[system], groups[baseline]
    if apart := not_comparable(own, other, column.task):
        return f"not comparable: {apart}"
    if column.metric in MEASURES:
        pairs = likeness_pairs(replies_of(own), replies_of(other), column.metric)
    else:
        pairs = item_pairs(own, other, column)
    if not pairs:
        return "no item in common"
    lacking = _personas(own, column) ^ _personas(other, column) if everybody else ()
    return compare_pairs(system, column, pairs, sharing=planned, lacking=len(lacking))


def _personas(cells: Sequence[Cell], column: Column) -> set[str]:
    return {cell.persona for cell in cells if column.task in cell.tasks}


def _in_order(claim: str, groups: Mapping[str, list[Cell]], baseline: str, order: Mapping[str, Any]) -> Finding:
    """Say whether a system's own numbers still fall from the first to the last, by point estimates alone.

    An order that is kept was there before: it is told only where the baseline is measured as well.
    """
    system, metrics = order["system"], order["metrics"]
    listed = [column_of(metric) for metric in metrics]
    name = " > ".join(column.name for column in listed)
    finding = Finding(claim, system, "", " ".join(metrics), name, True, None, Verdict.NOT_MEASURED, "")
    if absent := _absent(groups, listed[0], system, baseline):
        return replace(finding, absent=absent)
    values, before = (_points(groups[each], metrics) for each in (system, baseline))
    known = [value for value in values if value is not None]
    told = f"{_listed(values)} ({baseline}: {_listed(before)})"
    if len(known) < len(values):
        return replace(finding, verdict=Verdict.UNDECIDED, reason="unscored", told=told)
    if known == sorted(set(known), reverse=True):
        return replace(finding, verdict=Verdict.CONFIRMED, told=told)
    return replace(finding, verdict=Verdict.REFUTED, reason="the point estimates stand in another order", told=told)


def _points(cells: Sequence[Cell], metrics: Sequence[str]) -> list[float | None]:
    replies = replies_of(cells)
    return [likeness(replies, metric).mean for metric in metrics]


def _listed(values: Sequence[float | None]) -> str:
    return ", ".join("unscored" if value is None else f"{value:.2f}" for value in values)
