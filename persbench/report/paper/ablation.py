"""The ablation table: what the whole training scores beside itself with one part left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from persbench.report.board import Entry, Line, lines_of, signature_lines
from persbench.report.comparable import not_comparable
from persbench.report.compare import compare_pairs, item_pairs
from persbench.report.paper.claims import column_of, headlines, outcomes, rule_notes
from persbench.report.paper.controls import surface_wins
from persbench.report.paper.grouping import by_system, facts_of
from persbench.report.paper.tables import (
    MISSING,
    NOT_MEASURED,
    Column,
    Document,
    Field,
    Row,
    Table,
    Value,
    missing_row,
    name,
    score,
    text,
)
from persbench.report.paper.wording import COUNTS_NOTE, comparison_table, difference_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.report.board import Column as Metric
    from persbench.report.cells import Cell

WHOLE: Final = "persllm"
PARTS: Final = {
    "persllm-sft": "automatic DPO",
    "no-analysis": "the analysis before the reply",
    "no-anti-induction": "anti-induction dialogues",
    "no-temporal": "temporal tokens",
    "no-general": "general dialogues",
}
OF_ALL_PERSONAS: Final = "persllm-sft"  # a system of the main comparison as well
TABLES: Final = ("board", "rigidity")
CLAIM: Final = "4"


def ablation_document(cells: Sequence[Cell]) -> Document:
    """Write the scores of the whole training and of its parts, and what became of the protocol's claim on them.

    Args:
        cells: Results in one setting a system and persona. All rows of the table are about the same personas: those
            for which an ablation was trained.
    """
    groups = by_system(cells)
    ablated = {cell.persona for part in PARTS if part != OF_ALL_PERSONAS for cell in groups.get(part, [])}
    chosen = [
        cell for system in (WHOLE, *PARTS) for cell in groups.get(system, []) if not ablated or cell.persona in ablated
    ]
    surface = surface_wins(lines_of(cells, "board"), facts_of(chosen, "pack"))
    decided = [outcome for outcome in outcomes(cells, surface=surface) if outcome.claim == CLAIM]
    on = f"{facts_of(chosen, 'model')} on {facts_of(chosen, 'pack')}" if chosen else NOT_MEASURED
    verdict = f"The protocol's claim {CLAIM}, that each part is needed: {decided[0].verdict.value}"
    tables = (_scores(chosen, on), comparison_table("ablation-claim", verdict, decided, rule_notes()))
    return Document(tables, tuple(signature_lines([line for table in TABLES[:1] for line in lines_of(chosen, table)])))


def _scores(cells: Sequence[Cell], on: str) -> Table:
    shown = [column_of(metric) for metric in (*headlines(), "general_loss")]
    groups = by_system(cells)
    lines = [line for table in TABLES for line in lines_of(cells, table)]
    rows = []
    for system in (WHOLE, *PARTS):
        own = groups.get(system, [])
        labels = (name(system), text(PARTS.get(system, "nothing")))
        if not own:
            rows.append(missing_row(labels[0], len(shown) + 2))
            rows[-1] = Row((*labels, *rows[-1].fields[2:]))
            continue
        whole = groups.get(WHOLE, []) if system != WHOLE else []
        fields = [_field(_entry(lines, system, metric), metric, own, whole) for metric in shown]
        rows.append(Row((*labels, *fields), ",".join(signature_lines([x for x in lines if x.system == system][:1]))))
    personas = ", ".join(sorted({cell.persona for cell in cells})) or NOT_MEASURED
    notes = (
        f"Personas: {personas}. whole: what {WHOLE} has more than the row, on the same items [95% interval].",
        "Only the comparisons of the claim below are tested; the others are shown.",
        COUNTS_NOTE,
        "loss: hundredths of a nat per byte on ordinary requests, less is better.",
    )
    heads = (Column("system", "left"), Column("left out", "left"), *[Column(metric.name) for metric in shown])
    return Table("ablation", f"The training with one part left out: {on}", heads, tuple(rows), notes)


def _entry(lines: Sequence[Line], system: str, metric: Metric) -> Entry | None:
    """Return a number of a system; where it stands in several settings, persona by persona, that of the first."""
    found = [line.entries[metric.metric] for line in lines if line.system == system and metric.metric in line.entries]
    return found[0] if found else None


def _field(entry: Entry | None, metric: Metric, own: Sequence[Cell], whole: Sequence[Cell]) -> Field:
    if entry is None:
        return MISSING
    pairs = [] if not_comparable(own, whole, metric.task) else item_pairs(whole, own, metric)
    if not pairs:
        return score(entry.value, metric.format)
    gap = compare_pairs(WHOLE, metric, pairs).found.interval
    more, _, interval = difference_text(gap, metric.format).partition(" ")
    values: list[tuple[str, Value]] = [("whole minus", "unscored" if gap.mean is None else gap.mean)]
    values += [("whole minus low", gap.low), ("whole minus high", gap.high)]
    return score(entry.value, metric.format, more=[f"whole {more}", *filter(None, [interval])], values=values)
