"""The judged table: average rank and judged scores, set back where the judge did not qualify."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persbench.report.judged import judged_columns
from persbench.report.judged_table import BUILT, GREY
from persbench.report.paper.claims import systems_of_claims
from persbench.report.paper.grouping import by_system, in_board_order
from persbench.report.paper.published import published
from persbench.report.paper.tables import NOT_MEASURED, Column, Document, Field, Row, Table, Value, name, score
from persbench.report.paper.wording import COUNTS_NOTE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.report.board import Column as Metric
    from persbench.report.board import Entry
    from persbench.report.cells import Cell
    from persbench.report.judged import JudgedTable

NOT_JUDGED = "not judged yet"
FIRST = ("average_rank", "strength", "agree", "agree_knowledge", "agree_attitude")


def judge_document(judged: Sequence[JudgedTable], cells: Sequence[Cell]) -> Document:
    """Write what each judge said of each run.

    Args:
        judged: By `persbench.report.judged.judged_tables`.
        cells: The results that were judged; a system among them that was not judged is named.
    """
    tables = [_table(table, number, _of_run(cells, table)) for number, table in enumerate(judged, 1)]
    return Document(tuple(tables), tuple(table.found.signature for table in judged))


def _of_run(cells: Sequence[Cell], table: JudgedTable) -> list[Cell]:
    run = table.found.run
    return [cell for cell in cells if not run or cell.source.startswith(f"{run}/")]


def _table(table: JudgedTable, number: int, cells: Sequence[Cell]) -> Table:
    metrics = [column for _, columns in judged_columns().values() for column in columns]
    metrics.sort(key=lambda each: FIRST.index(each.metric) if each.metric in FIRST else len(FIRST))
    shown = [each for each in metrics if any(each.metric in line.entries for line in table.lines)]
    lines = {line.system: line for line in table.lines}
    rows = []
    measured = by_system(cells)
    for system in in_board_order([*systems_of_claims(), *lines, *measured], systems_of_claims()):
        entries = lines[system].entries if system in lines else {}
        absent = NOT_JUDGED if system in measured else NOT_MEASURED
        fields = [_field(entries.get(each.metric), each, table, absent) for each in shown]
        rows.append(Row((name(system), *fields), table.found.signature))
    heads = [Column(f"{each.name} {GREY}" if table.is_grey(each) else each.name, key=each.name) for each in shown]
    where = f", {table.found.run}" if table.found.run else ""
    title = f"Judged by {table.found.judge}{BUILT * table.took_part} on {table.found.pack}{where}"
    return Table(f"judge-{number}", title, (Column("system", "left"), *heads), tuple(rows), tuple(_notes(table, shown)))


def _field(entry: Entry | None, metric: Metric, table: JudgedTable, absent: str) -> Field:
    if entry is None:
        return Field((absent,), (("", absent),))
    grey = table.is_grey(metric)
    values: list[tuple[str, Value]] = [("qualified", int(not grey)), ("took part", int(table.took_part))]
    return score(entry.value, metric.format, values=values, grey=grey)


def _notes(table: JudgedTable, shown: Sequence[Metric]) -> list[str]:
    told = [f"{each.name}: {each.help}" + (" (less is better)." if each.cost else ".") for each in shown]
    told += [f"{notice[:1].upper()}{notice[1:]}." for notice in table.notices]
    if any(table.is_grey(each) for each in shown):
        told.append(f"{GREY} and in brackets or grey: the judge did not qualify, and the number is no result.")
    if table.took_part:
        told.append(f"{BUILT}: the judge took part in writing the pack.")
    return [*told, COUNTS_NOTE, *published()["judge"]["notes"]]
