"""The main table: systems by families, and what became of every claim, on which data and model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from persbench.report.board import FLOORS, FLOORS_ON_A_TASK, Entry, Line, columns, lines_of, signature_lines
from persbench.report.compare import item_pairs, persona_gaps
from persbench.report.paper.claims import abstract_outcomes, headlines, outcomes, rule_notes, systems_of_claims
from persbench.report.paper.grouping import by_system, facts_of, in_board_order, not_comparable
from persbench.report.paper.published import published, published_table_2
from persbench.report.paper.tables import (
    MISSING,
    NOT_MEASURED,
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

BLIND: Final = ("content_acc", "attitude_acc", "knowledge_acc")  # where a system without a persona must be at chance


def main_document(cells: Sequence[Cell], baseline: str = "prompt") -> Document:
    """Write the main table and the tables of claims.

    Args:
        cells: Results in one setting a system and persona.
        baseline: The system that signs over personas are counted against.
    """
    lines = lines_of(cells, "board")
    decided = outcomes(cells, surface=surface_wins(lines))
    on = f"{facts_of(_systems(cells), 'model')} on {facts_of(_systems(cells), 'pack')}"
    return Document(
        (
            _scores(lines, cells, baseline, on),
            _abstract(abstract_outcomes(decided), [*_about(cells), *_controls(lines, cells)], on),
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
    rows += _best_rule([line for line in lines if line.is_sanity], shown)
    for place, system in enumerate(in_board_order([*systems_of_claims(), *groups], systems_of_claims())):
        found = own.get(system, [])
        if not found:
            rows.append(missing_row(name(system), len(shown) + 1))
        for line in found:
            # a system whose personas were run in several settings has a row for each
            label = system if len(found) == 1 else f"{system} ({', '.join(line.personas)})"
            mine = [cell for cell in groups[system] if cell.persona in line.personas]
            others = [] if system == baseline else groups.get(baseline, [])
            fields = [_score(line.entries.get(metric.metric), metric, mine, others) for metric in shown]
            rows.append(Row((name(label), *fields), ",".join(signature_lines([line]))))
        if place == 0:
            rows[-1] = Row(rows[-1].fields, rows[-1].signature, rule=True)
    notes = [
        (
            "Mean over items, 95% interval (bootstrap over questions), number of personas above "
            f"{baseline}. Voice and who said decide nothing: a costume passes them."
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
    if not gaps or not_comparable([*own, *others], metric.task):
        return score(entry.value, metric.format)
    above = sum(gap is not None and gap > 0 for gap in gaps)
    values = [("personas above", above), ("personas", len(gaps))]
    return score(entry.value, metric.format, more=[f"{above}/{len(gaps)} above"], values=values)


def _chance(lines: Sequence[Line], metric: Metric) -> float | None:
    found = [line.entries[metric.metric].chance for line in lines if metric.metric in line.entries]
    return next((chance for chance in found if chance is not None), None)


def _best_rule(rules: Sequence[Line], shown: Sequence[Metric]) -> list[Row]:
    """Return the best of the rules that look at the surface alone, column by column; floors may read more: left out."""
    fields = []
    for metric in shown:
        held = [
            (entry.value.mean, line.system)
            for line in rules
            if line.system not in FLOORS and (line.system, metric.task) not in FLOORS_ON_A_TASK
            if (entry := line.entries.get(metric.metric)) and entry.value.mean is not None
        ]
        if not held:
            fields.append(text("no rule"))
            continue
        best, system = min(held, key=lambda one: (-one[0], one[1]))
        short = system.removeprefix(PREFIX).replace("_", " ")
        fields.append(Field((number(best, metric.format), short), (("", best), ("rule", system))))
    return [Row((text("best surface rule"), *fields))] if rules else []


def surface_wins(lines: Sequence[Line]) -> dict[str, str]:
    """Say which headlines say nothing, because a rule that looks at the surface alone stands above chance there.

    Args:
        lines: Of the board, sanity systems among them.
    """
    found: dict[str, str] = {}
    for line in lines:
        for metric in headlines():
            entry = line.entries.get(metric)
            if entry is None or not entry.off_chance or entry.chance is None or entry.value.low is None:
                continue
            if entry.value.low > entry.chance:
                told = f"{line.system} is above chance ({number(entry.value.mean)} against {number(entry.chance)})"
                found.setdefault(metric, f"{told}: this headline says nothing")
    return found


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


def _controls(lines: Sequence[Line], cells: Sequence[Cell]) -> list[str]:
    """Say what the controls of the protocol found: surface rules above chance, a blind system that is not at chance."""
    names = {metric.metric: metric.name for metric in columns("board")}
    told = [f"{names[metric]}: {why}." for metric, why in surface_wins(lines).items()]
    rules = [cell for cell in cells if cell.system.startswith(PREFIX)]
    if not rules:
        told.append(f"Sanity systems: {NOT_MEASURED}.")
    elif facts_of(rules, "pack") != facts_of(_systems(cells), "pack"):
        told.append(f"Sanity systems were measured on another pack: {facts_of(rules, 'pack')}.")
    everybody = {cell.persona for cell in cells}
    for line in lines:
        if line.system == "vanilla" and set(line.personas) == everybody:
            told += [_not_blind(names[metric], line.entries[metric]) for metric in BLIND if metric in line.entries]
    return [each for each in told if each]


def _not_blind(metric: str, entry: Entry) -> str:
    value = entry.value
    if value.mean is None or value.low is None or value.high is None or entry.chance is None:
        return ""
    if value.low <= entry.chance <= value.high:
        return ""
    return (
        f"{metric}: vanilla, which knows no persona, is not at chance ({number(value.mean)} against "
        f"{number(entry.chance)}): a cue is in the data, and the comparisons are to be read against it."
    )


def _known() -> str:
    average = published_table_2()["average"]
    ordered = ", ".join(f"{measure} {average[measure].with_dpo:.2f}" for measure in ("intra", "stage", "inter"))
    return (
        f"Published for claim 3 (PersLLM, table 2): inter {average['inter'].without:.2f} without automatic DPO and "
        f"{average['inter'].with_dpo:.2f} with it; with it {ordered}. Its BLEU's settings are not known: compare "
        "directions and order, not sizes."
    )
