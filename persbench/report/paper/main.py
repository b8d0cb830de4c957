"""The main table: systems by families, and what became of every claim, on which data and model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persbench.report.board import FLOORS, FLOORS_ON_A_TASK, Entry, Line, columns, lines_of, signature_lines
from persbench.report.comparable import not_comparable
from persbench.report.compare import item_pairs, persona_gaps
from persbench.report.paper.claims import abstract_outcomes, outcomes, rule_notes, systems_of_claims
from persbench.report.paper.controls import controls, surface_wins
from persbench.report.paper.grouping import by_system, facts_of, in_board_order
from persbench.report.paper.published import published, published_table_2
from persbench.report.paper.tables import (
    MISSING,
    Column,
    Document,
    Field,
    Row,
    Table,
    missing_row,
    name,
    plain,
    score,
    text,
)
from persbench.report.paper.wording import COUNTS_NOTE, comparison_table, evidence, tally, verdict_field
from persbench.report.table import number
from persbench.scoring.sanity import PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.report.board import Column as Metric
    from persbench.report.cells import Cell
    from persbench.report.paper.claims import Outcome


def main_document(cells: Sequence[Cell], baseline: str = "prompt") -> Document:
    """Write the main table and the tables of claims.

    Args:
        cells: Results in one setting a system and persona.
        baseline: The system that signs over personas are counted against.
    """
    lines = lines_of(cells, "board")
    decided = outcomes(cells, surface=surface_wins(lines, facts_of(_systems(cells), "pack")))
    on = f"{facts_of(_systems(cells), 'model')} on {facts_of(_systems(cells), 'pack')}"
    return Document(
        (
            _scores(lines, cells, baseline, on),
            _abstract(abstract_outcomes(decided), [*_about(cells), *controls(lines, cells)], on),
            _protocol(decided, on),
            comparison_table("comparisons", f"Comparisons of the claims: {on}", decided, [*rule_notes(), _known()]),
        ),
        tuple(signature_lines(lines)),
    )


def _systems(cells: Sequence[Cell]) -> list[Cell]:
    return [cell for cell in cells if not cell.system.startswith(PREFIX)]


def _scores(lines: Sequence[Line], cells: Sequence[Cell], baseline: str, on: str) -> Table:
    shown = columns("board")
    groups = by_system(cells)
    own = {line.system: [each for each in lines if each.system == line.system] for line in lines if not line.is_sanity}
    rows = [Row((text("chance"), *[plain(_chance(lines, metric)) for metric in shown]))]
    rows += _best_rules([line for line in lines if line.is_sanity], shown)
    wanted = in_board_order([*systems_of_claims(), *groups], systems_of_claims())
    for place, system in enumerate(system for system in wanted if system in own):
        found = own[system]
        for line in found:
            # a system whose personas were run in several settings has a row for each
            label = system if len(found) == 1 else f"{system} ({', '.join(line.personas)})"
            mine = [cell for cell in groups[system] if cell.persona in line.personas]
            others = [] if system == baseline else groups.get(baseline, [])
            fields = [_score(line.entries.get(metric.metric), metric, mine, others) for metric in shown]
            rows.append(Row((name(label), *fields), ",".join(signature_lines([line]))))
        if place == 0:
            rows[-1] = Row(rows[-1].fields, rows[-1].signature, rule=True)
    if absent := [system for system in wanted if system not in own]:
        rows.append(missing_row(text(", ".join(absent)), len(shown) + 1))
    notes = [
        (
            "Mean over items, 95% interval (bootstrap over questions), number of personas above "
            f"{baseline}. Voice and who said decide nothing: a costume passes them."
        ),
        (
            "Chance: a blind answer's; for consistent a steady blind one's, and 1/64 where it changes. Best surface "
            "rule: the best of those that look at the texts alone, without a model. Floor: a count of words shared "
            "with the profile."
        ),
        COUNTS_NOTE,
        *published()["main"]["notes"],
    ]
    return Table("main", f"Headline scores: {on}", _heads(shown), tuple(rows), tuple(notes))


def _heads(shown: Sequence[Metric]) -> tuple[Column, ...]:
    return (Column("system", "left"), *[Column(metric.name) for metric in shown])


def _score(entry: Entry | None, metric: Metric, own: Sequence[Cell], others: Sequence[Cell]) -> Field:
    if entry is None:
        return MISSING
    gaps = list(persona_gaps(item_pairs(own, others, metric)).values())
    if not gaps or not_comparable(own, others, metric.task):
        return score(entry.value, metric.format)
    above = sum(gap is not None and gap > 0 for gap in gaps)
    values = [("personas above", above), ("personas", len(gaps))]
    return score(entry.value, metric.format, more=[f"{above}/{len(gaps)} above"], values=values)


def _chance(lines: Sequence[Line], metric: Metric) -> float | None:
    found = [line.entries[metric.metric].chance for line in lines if metric.metric in line.entries]
    return next((chance for chance in found if chance is not None), None)


def _best_rules(rules: Sequence[Line], shown: Sequence[Metric]) -> list[Row]:
    """Return the best of the rules that look at the surface alone, column by column, and the best of the floors.

    Floors read what a system may read, such as the profile, and need not be at chance: a system below them has learnt
    less than a count of common words gives.
    """
    floors = [line for line in rules if line.system in FLOORS]
    blind = [line for line in rules if line.system not in FLOORS]
    rows = [Row((text("best surface rule"), *_best(blind, shown)))] if rules else []
    return [*rows, Row((text("floor"), *_best(floors, shown)))] if floors else rows


def _best(rules: Sequence[Line], shown: Sequence[Metric]) -> list[Field]:
    fields = []
    for metric in shown:
        held = [
            (entry.value.mean, line.system)
            for line in rules
            if (line.system, metric.task) not in FLOORS_ON_A_TASK
            if (entry := line.entries.get(metric.metric)) and entry.value.mean is not None
        ]
        if not held:
            fields.append(text("no rule"))
            continue
        best, system = min(held, key=lambda one: (-one[0], one[1]))
        short = system.removeprefix(PREFIX).replace("_", " ")
        fields.append(Field((number(best, metric.format), short), (("", best), ("rule", system))))
    return fields


def _abstract(decided: Sequence[Outcome], notes: Sequence[str], on: str) -> Table:
    rows = [
        Row((text(each.says), verdict_field(each.verdict), Field(evidence(each), (("", "; ".join(evidence(each))),))))
        for each in decided
    ]
    heads = (
        Column("claim of the paper's abstract", "text", 0.3),
        Column("verdict", "text", 0.14),
        Column("evidence", "text", 0.48),
    )
    return Table("abstract", f"The abstract's claims: {on}", heads, tuple(rows), tuple(notes))


def _protocol(decided: Sequence[Outcome], on: str) -> Table:
    rows = [
        Row((text(each.claim), text(each.says), verdict_field(each.verdict), text(tally(each)))) for each in decided
    ]
    heads = (
        Column("claim", "left"),
        Column("says", "text", 0.4),
        Column("verdict", "text", 0.16),
        Column("headlines", "text", 0.3),
    )
    return Table("claims", f"The protocol's claims: {on}", heads, tuple(rows))


def _about(cells: Sequence[Cell]) -> list[str]:
    systems = _systems(cells)
    personas = sorted({cell.persona for cell in systems})
    told = [
        f"Data: {facts_of(systems, 'pack')}, {len(personas)} personas ({', '.join(personas)}).",
        f"Model: {facts_of(systems, 'model')}, dtype {facts_of(systems, 'dtype')}. Claims are about these adapters.",
    ]
    limits = {cell.signature.get("limit") for cell in systems} - {None, "None", ""}
    if limits:
        shown = ", ".join(sorted(map(str, limits)))
        told.append(f"Only a part of each task was run (limit {shown}): no verdict here is final.")
    return told


def _known() -> str:
    average = published_table_2()["average"]
    ordered = ", ".join(f"{measure} {average[measure].with_dpo:.2f}" for measure in ("intra", "stage", "inter"))
    return (
        f"Published for claim 3 (PersLLM, table 2): inter {average['inter'].without:.2f} without automatic DPO and "
        f"{average['inter'].with_dpo:.2f} with it; with it {ordered}. Its BLEU's settings are not known: compare "
        "directions and order, not sizes."
    )
