"""Differences, verdicts and what speaks for them, as fields of tables."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Final

from persbench.report.compare import p_text
from persbench.report.paper.rule import Verdict
from persbench.report.paper.tables import MISSING, NOT_MEASURED, Column, Field, Row, Table, Value, name, text
from persbench.report.table import MARGIN_UNIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.report.compare import Comparison
    from persbench.report.paper.claims import Finding, Outcome
    from persbench.scoring.stats import Interval

COMPARISON_COLUMNS: Final = (
    Column("claim", "left"),
    Column("comparison", "left"),
    Column("headline", "left"),
    Column("difference"),
    Column("p (Holm)"),
    Column("same sign"),
    Column("detectable"),
    Column("n (+ unscored)"),
    Column("verdict", "text", 0.21),
)
COUNTS_NOTE: Final = "n: scored items (+ those without a score, which count neither for nor against)."


def signed(value: float, style: str) -> str:
    """Write a difference as its column writes values, a sign before it."""
    if style == "hundredths":
        return f"{value * MARGIN_UNIT:+.2f}"
    return f"{value:+.2f}" if style == "number" else f"{value:+.3f}"


def difference_text(interval: Interval, style: str) -> str:
    """Write a difference with its interval; "unscored" where it has no value."""
    if interval.mean is None:
        return "unscored"
    if interval.low is None or interval.high is None:
        return f"{signed(interval.mean, style)} [-]"
    ends = [re.sub(r"(?<!\d)0\.", ".", signed(end, style)) for end in (interval.low, interval.high)]
    return f"{signed(interval.mean, style)} [{' '.join(ends)}]"


def difference(comparison: Comparison, *, strong: bool = False) -> Field:
    """Return the field of a paired difference."""
    value = comparison.found.interval
    numbers: tuple[tuple[str, Value], ...] = (
        ("", "unscored" if value.mean is None else value.mean), ("low", value.low), ("high", value.high),
    )  # fmt: skip
    return Field((difference_text(value, comparison.column.format),), numbers, strong=strong)


def optional(value: float | None, shown: str) -> Field:
    """Return the field of a number that may not be there: a dash for the eye, nothing for a program."""
    return Field(("-" if value is None else shown,), (("", value),))


def verdict_field(verdict: Verdict, reason: str = "") -> Field:
    """Return the field of a verdict, and why it is not confirmed."""
    if verdict is Verdict.NOT_MEASURED and not reason:
        return MISSING
    lines = (verdict.value, reason) if reason else (verdict.value,)
    decided = verdict in (Verdict.CONFIRMED, Verdict.PARTLY, Verdict.REFUTED, Verdict.MIXED)
    return Field(lines, (("", verdict.value), ("why", reason or None)), strong=decided)


def headline_name(finding: Finding) -> str:
    """Name a finding's headline, and say where less is claimed."""
    return finding.name if finding.up else f"{finding.name} (less)"


def comparison_row(finding: Finding, *, rule: bool = False) -> Row:
    """Return a finding as a row of `COMPARISON_COLUMNS`."""
    compared = f"{finding.system} - {finding.baseline}" if finding.baseline else finding.system
    label = (text(finding.claim), name(compared), text(headline_name(finding)))
    verdict = verdict_field(finding.verdict, finding.reason or ", ".join(finding.absent))
    one = finding.comparison
    if one is None:
        told = text(finding.told) if finding.told else MISSING
        return Row((*label, told, *[optional(None, "")] * 4, verdict), rule=rule)
    interval, smallest = one.found.interval, one.detectable.difference
    shown = f"{interval.n} (+{interval.unscored})" if interval.unscored else str(interval.n)
    fields = (
        difference(one, strong=finding.verdict in (Verdict.CONFIRMED, Verdict.REFUTED)),
        optional(one.p_adjusted, p_text(one.p_adjusted)),
        Field((one.signs.text,), (("", one.signs.same), ("of", personas_of(one)))),
        optional(smallest, signed(smallest, one.column.format).lstrip("+") if smallest else "-"),
        Field((shown,), (("", interval.n), ("unscored", interval.unscored))),
    )
    return Row((*label, *fields, verdict), rule=rule)


def personas_of(comparison: Comparison) -> int:
    """Return the number of personas that a comparison is about."""
    signs = comparison.signs
    return signs.positive + signs.negative + signs.zero + signs.unscored


def comparison_table(table: str, title: str, decided: Sequence[Outcome], notes: Sequence[str]) -> Table:
    """Return every comparison of some claims, a block each."""
    rows = []
    for number, outcome in enumerate(decided):
        # what is missing for the same reason stands in one row
        together = groupby(
            outcome.findings, lambda one: (one.system, one.baseline, one.absent, one.absent or one.metric)
        )
        for place, (_, found) in enumerate(together):
            first, *more = found
            names = ", ".join(map(headline_name, (first, *more))) if len(more) <= 1 else f"{1 + len(more)} headlines"
            rows.append(
                comparison_row(replace(first, name=names, up=True) if more else first, rule=place == 0 < number)
            )
    return Table(table, title, COMPARISON_COLUMNS, tuple(rows), tuple(notes))


def tally(outcome: Outcome) -> str:
    """Count the headlines of a claim by verdict, in words."""
    counts = Counter(finding.verdict for finding in outcome.findings)
    return ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict])


def evidence(outcome: Outcome) -> tuple[str, ...]:
    """Say what speaks for or against a claim, a line a headline; what is missing once."""
    lines = []
    for finding in outcome.findings:
        what = f"{finding.name}, {finding.system} - {finding.baseline}" if finding.baseline else finding.name
        if finding.comparison is not None:
            told = difference_text(finding.comparison.found.interval, finding.comparison.column.format)
            lines.append(f"{what}: {told}, {finding.verdict.value}")
        elif not finding.absent:
            lines.append(f"{what}: {finding.told or finding.reason}, {finding.verdict.value}")
    absent = list(dict.fromkeys(system for finding in outcome.findings for system in finding.absent))
    lines += [f"{NOT_MEASURED}: {', '.join(absent)}"] if absent else []
    return tuple(dict.fromkeys(lines)) or (Verdict.OUTSIDE.value,)
