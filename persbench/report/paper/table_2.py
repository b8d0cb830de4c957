"""Table 2: how distinct personas and stages are, with and without automatic DPO, beside the published table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from persbench.report.board import lines_of, signature_lines
from persbench.report.comparable import not_comparable
from persbench.report.compare import compare_pairs
from persbench.report.paper.claims import column_of, distinction_outcome
from persbench.report.paper.grouping import by_system, facts_of
from persbench.report.paper.likeness import MEASURES, TASK, likeness, likeness_pairs, replies_of
from persbench.report.paper.published import published, published_table_2, source
from persbench.report.paper.rule import Verdict, headline_verdict
from persbench.report.paper.tables import (
    MISSING,
    NOT_MEASURED,
    Column,
    Document,
    Field,
    Row,
    Table,
    name,
    plain,
    score,
    text,
)
from persbench.report.paper.wording import COUNTS_NOTE, difference, optional, verdict_field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.report.cells import Cell
    from persbench.report.compare import Comparison
    from persbench.report.paper.claims import Finding
    from persbench.report.paper.likeness import Replies

WITH: Final = "persllm"
WITHOUT: Final = "persllm-sft"
DIRECTIONS: Final = {"intra": "higher with DPO", "stage": "nothing", "inter": "lower with DPO"}
RAISED: Final = ("intra",)
NOTES: Final = (
    "Published and ours: averages without automatic DPO, and with it.",
    "Inter and the order are decided as in the protocol's claim 3; Intra by the same rule, beside the protocol.",
    "The paper's BLEU has settings that are not known, and its personas are others: compare directions, not sizes.",
)


def table_2_document(cells: Sequence[Cell], without: str = WITHOUT, with_dpo: str = WITH) -> Document:
    """Write Intra, Stage and Inter BLEU by persona, and whether the directions are those that the paper claims.

    Args:
        cells: Results in one setting a system and persona.
        without: The system that was not trained by automatic DPO.
        with_dpo: The one that was.
    """
    groups = by_system(cells)
    replies = {system: replies_of(groups.get(system, [])) for system in (without, with_dpo)}
    shown = [cell for system in (without, with_dpo) for cell in groups.get(system, []) if TASK in cell.tasks]
    on = f"{facts_of(shown, 'model')} on {facts_of(shown, 'pack')}" if shown else NOT_MEASURED
    tables = (_ours(replies, without, with_dpo, on), _theirs(), _directions(cells, replies, without, with_dpo))
    return Document(tables, tuple(signature_lines(lines_of(shown, "dynamics"))))


def _columns() -> tuple[Column, ...]:
    heads = [head for measure in MEASURES for head in (measure.title(), f"{measure.title()}*")]
    return (Column("persona", "left"), *map(Column, heads))


def _ours(replies: dict[str, Replies], without: str, with_dpo: str, on: str) -> Table:
    personas = sorted({reply.persona for found in replies.values() for reply in found})
    rows = [_row(persona, [replies[without], replies[with_dpo]], persona) for persona in personas]
    average = _row("average", [replies[without], replies[with_dpo]], "")
    notes = (
        "BLEU between sampled replies, 0 to 100 [95% interval, bootstrap over questions].",
        f"Without automatic DPO: {without}; with it (*): {with_dpo}.",
        "Intra: two replies of a persona at one stage; Stage: at its stages; Inter: of it and the other personas.",
        "The average is over all items. Short and uniform replies raise all three.",
        COUNTS_NOTE,
    )
    title = f"Distinction of personas and stages: {on}"
    return Table("table-2", title, _columns(), (*rows, Row(average.fields, rule=bool(rows))), notes)


def _row(label: str, systems: Sequence[Replies], persona: str) -> Row:
    fields = [_value(replies, measure, persona) for measure in MEASURES for replies in systems]
    return Row((name(label), *fields))


def _value(replies: Replies, measure: str, persona: str) -> Field:
    if not any(not persona or reply.persona == persona for reply in replies):
        return MISSING
    found = likeness(replies, measure, persona)
    if not found.n and not found.unscored:  # one stage alone, or one persona
        return Field(("does not arise",), (("", None),))
    return score(found, "fine", strong=False)


def _theirs() -> Table:
    rows = []
    for who, row in published_table_2().items():
        fields = [plain(value, "fine") for measure in MEASURES for value in row[measure]]
        rows.append(Row((text(who), *fields), rule=who == "average"))
    notes = tuple(published()["table_2"]["notes"])
    return Table("table-2-published", f"Published: {source('table_2')}", _columns(), tuple(rows), notes)


def _directions(cells: Sequence[Cell], replies: dict[str, Replies], without: str, with_dpo: str) -> Table:
    """Say of each direction that the paper claims what the published numbers and ours show."""
    heads = (
        Column("quantity", "left"), Column("claimed", "left"), Column("published", "left"), Column("ours", "left"),
        Column("difference"), Column("same sign"), Column("verdict", "text", 0.22),
    )  # fmt: skip
    decided = {finding.metric: finding for finding in distinction_outcome(cells, without, with_dpo).findings}
    average = published_table_2()["average"]
    rows = []
    for measure, claimed in DIRECTIONS.items():
        ours = [likeness(replies[system], measure).mean for system in (without, with_dpo)]
        finding = decided.get(measure)
        one = finding.comparison if finding else _beside(cells, replies, without, with_dpo, measure)
        rows.append(
            Row((
                text(measure.title()),
                text(claimed),
                text(_arrow(average[measure])),
                MISSING if any(not replies[system] for system in (without, with_dpo)) else text(_arrow(ours)),
                difference(one) if one else MISSING,
                text(one.signs.text) if one else optional(None, ""),
                _decided(finding) if finding else _on_its_own(one, measure),
            ))
        )  # fmt: skip
    order = decided[" ".join(MEASURES)]
    printed = ", ".join(f"{average[measure].with_dpo:.2f}" for measure in MEASURES)
    rows.append(
        Row((
            text("Intra > Stage > Inter"), text("kept with DPO"), text(printed),
            text(order.told) if order.told else MISSING, optional(None, ""), optional(None, ""), _decided(order),
        ))
    )  # fmt: skip
    return Table("table-2-directions", f"Directions claimed: {source('table_2')}", heads, tuple(rows), NOTES)


def _arrow(pair: Sequence[float | None]) -> str:
    return " to ".join("unscored" if value is None else f"{value:.2f}" for value in pair)


def _decided(finding: Finding) -> Field:
    return verdict_field(finding.verdict, finding.reason or ", ".join(finding.absent))


def _on_its_own(one: Comparison | None, measure: str) -> Field:
    """Apply the rule to what is no headline of the protocol, with the p that this one comparison has."""
    if one is None:
        return MISSING
    if measure not in RAISED:
        return verdict_field(Verdict.REPORTED)
    verdict, reason = headline_verdict(one, one.found.p, up=True)
    return verdict_field(verdict, reason or "beside the protocol")


def _beside(
    cells: Sequence[Cell], replies: dict[str, Replies], without: str, with_dpo: str, measure: str
) -> Comparison | None:
    """Compare two systems in a measure that is no headline of the protocol; None where they cannot be compared."""
    own, other = ([cell for cell in cells if cell.system == system] for system in (with_dpo, without))
    pairs = likeness_pairs(replies[with_dpo], replies[without], measure)
    if not pairs or not_comparable(own, other, TASK):
        return None
    return compare_pairs(with_dpo, column_of(measure), pairs)
