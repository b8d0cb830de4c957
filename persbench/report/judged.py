"""What judges have said of a run, and whether it counts: their numbers beside their qualification.

A judge's number is greyed where the judge did not qualify in that kind of judgement on that pack, or was never
examined; a judge that took part in writing the pack is marked.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from persbench.errors import Fault, PersbenchError
from persbench.judging.cases import KINDS
from persbench.judging.fit import CONVERSATIONS
from persbench.judging.qualification import NOT_EXAMINED, TOOK_PART, Standing, is_same_model
from persbench.judging.records import FOLDER, load_judged_record
from persbench.judging.said import names_of, said_by, who
from persbench.report.board import Column, Entry, Line, layout, system_order
from persbench.report.judged_values import judged_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from persbench.judging.cases import Kind
    from persbench.judging.qualification import Qualification
    from persbench.judging.records import JudgedRecord, JudgedRow
    from persbench.report.cells import Cell

    Said = Callable[[Kind], set[tuple[str, str]]]


@dataclass(frozen=True)
class JudgedRun:
    """What one judge said of one run.

    Attributes:
        run: Folder of the run, below the one that was asked for; empty if it is that one.
        judge: Name of the judge.
        judge_id: Its id.
        annotator: Id of who answers for it.
        pack: World, version and hash of the pack.
        signature: What is printed beside every figure.
        rows: Kind -> rows whose replies are those of the run's cells as they are now.
        cases: Kind -> how many cases the run holds.
        built_by: Id of the annotator that wrote the pack, as the record says; None if it says none.
    """

    run: str
    judge: str
    judge_id: str
    annotator: str
    pack: str
    signature: str
    rows: dict[Kind, tuple[JudgedRow, ...]]
    cases: dict[Kind, int]
    built_by: str | None = None


@dataclass(frozen=True)
class JudgedTable:
    """One judge's numbers on one run.

    Attributes:
        found: Whose they are.
        lines: A line a system, in the order of the board.
        standings: Kind of judgement -> whether the judge qualified in it, for each kind that it was asked for.
        took_part: The judge is the model that wrote the pack.
        notices: What a reader must know beside the numbers, a sentence each.
    """

    found: JudgedRun
    lines: tuple[Line, ...]
    standings: dict[Kind, Standing]
    took_part: bool
    notices: tuple[str, ...]

    def is_grey(self, column: Column) -> bool:
        """Return whether a column is greyed: the judge did not qualify in a kind of judgement that it rests on."""
        return not all(self.standings.get(kind, NOT_EXAMINED).qualified for kind in kinds_of(column))


def judged_columns() -> dict[str, tuple[str, tuple[Column, ...]]]:
    """Return the tables of judged numbers: name -> title and columns."""
    return {
        name: (table["title"], tuple(Column(**row) for row in table["columns"]))
        for name, table in layout()["judged"].items()
    }


def kinds_of(column: Column) -> tuple[Kind, ...]:
    """Return the kinds of judgement that a judged column rests on."""
    return tuple(kind for kind in KINDS if kind in column.task.split())


def judged_runs(folder: Path, cells: Sequence[Cell]) -> tuple[list[JudgedRun], list[Fault]]:
    """Read what judges have said of the runs below a folder.

    Args:
        folder: What `persbench report` was given.
        cells: The results below it. Rows about replies that have changed since, or are gone, are left out.

    Returns:
        One for each judge and run, and a fault for whatever is left out.
    """
    groups: dict[tuple[str, str], list[JudgedRecord]] = defaultdict(list)
    faults: list[Fault] = []
    known: Said = cache(lambda kind: said_by(cells, kind))
    for path in sorted(folder.rglob(f"{FOLDER}/*/*.json")):
        if path.stem in KINDS:
            name = path.relative_to(folder).as_posix()
            try:
                record = load_judged_record(path)
            except PersbenchError as error:
                faults.append(Fault(name, None, str(error)))
                continue
            if any(row.task == CONVERSATIONS for row in record.rows):
                continue  # `persbench report conversations` shows these
            run = path.parents[2].relative_to(folder).as_posix()
            groups[record.judge["id"], "" if run == "." else run].append(record)
            if gone := record.cells.items() - known(record.kind):
                names = ", ".join(sorted({who(name) for name, _ in gone}))
                told = f"judged replies that are no longer there as they were ({names})"
                faults.append(Fault(name, None, told, "`persbench judge` again: it asks about the new ones alone"))
    return [_judged_run(run, records, known) for (_, run), records in sorted(groups.items())], faults


def _judged_run(run: str, records: Sequence[JudgedRecord], known: Said) -> JudgedRun:
    first = records[0]
    rows: dict[Kind, tuple[JudgedRow, ...]] = {}
    for record in sorted(records, key=lambda record: KINDS.index(record.kind)):
        there = {name for name, _ in record.cells.items() & known(record.kind)}
        rows[record.kind] = tuple(row for row in record.rows if names_of(row) <= there)
    return JudgedRun(
        run=run,
        judge=str(first.judge["name"]),
        judge_id=str(first.judge["id"]),
        annotator=str(first.judge["annotator"]),
        pack=first.pack,
        signature=first.signature,
        rows=rows,
        cases={record.kind: record.cases for record in records},
        built_by=next((record.built_by for record in records if record.built_by), None),
    )


def judged_tables(runs: Iterable[JudgedRun], qualifications: Sequence[Qualification]) -> list[JudgedTable]:
    """Put numbers beside standings.

    Args:
        runs: By `judged_runs`.
        qualifications: All that are known; those of this judge on this pack count.
    """
    return [_table(found, _qualification(found, qualifications)) for found in runs]


def _qualification(found: JudgedRun, qualifications: Sequence[Qualification]) -> Qualification | None:
    pack_hash = found.pack.rpartition("@")[2]
    return next(
        (
            one
            for one in qualifications
            if one.judge["id"] == found.judge_id and pack_hash and one.pack["hash"].startswith(pack_hash)
        ),
        None,
    )


def _table(found: JudgedRun, examined: Qualification | None) -> JudgedTable:
    standings = {kind: NOT_EXAMINED if examined is None else examined.standing(kind) for kind in found.rows}
    builder = found.built_by or (examined.built_by if examined else None)
    took_part = builder is not None and is_same_model(builder, found.annotator)
    columns = [column for _, row in judged_columns().values() for column in row]
    place = {name: i for i, name in enumerate(system_order())}
    lines = []
    for system, values in judged_values(found.rows).items():
        people = {row.persona for rows in found.rows.values() for row in rows if system in row.systems}
        entries = {
            column.metric: Entry(values[column.metric], None, None, column.chance)
            for column in columns
            if column.metric in values
        }
        lines.append(Line(system, "", tuple(sorted(people)), {"judged": found.signature}, entries))
    lines.sort(key=lambda line: (place.get(line.system, len(place)), line.system))
    return JudgedTable(found, tuple(lines), standings, took_part, tuple(_notices(found, standings, took_part)))


def _notices(found: JudgedRun, standings: dict[Kind, Standing], took_part: bool) -> list[str]:
    told: dict[str, list[str]] = defaultdict(list)
    for kind, standing in standings.items():
        if not standing.qualified:
            told[standing.why].append(kind)
    notices = [f"{', '.join(kinds)}: the judge {why}; its figures are no result" for why, kinds in told.items()]
    if took_part:
        notices.append(TOOK_PART)
    for kind, rows in found.rows.items():
        if len(rows) < found.cases[kind]:
            notices.append(f"{kind}: {len(rows)} of {found.cases[kind]} cases are judged")
    return notices
