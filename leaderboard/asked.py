"""What a page may ask of the records: a score, a difference, a verdict, a reply (results.py fills pages in)."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from persbench.errors import PersbenchError
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack
from persbench.report.board import columns, lines_of, table_titles
from persbench.report.cells import load_cells
from persbench.report.comparable import not_comparable
from persbench.report.compare import compare_pairs, item_pairs, p_text, persona_gaps
from persbench.report.duplicates import require_one_setting
from persbench.report.paper.claims import outcomes
from persbench.report.paper.controls import surface_wins
from persbench.report.paper.formats import markdown_grid
from persbench.report.paper.grouping import by_system, facts_of
from persbench.report.paper.main import main_document
from persbench.report.paper.wording import difference_text, signed, tally
from persbench.report.table import ends, number
from persbench.visible import markdown_text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from persbench.report.board import Column, Entry, Line
    from persbench.report.cells import Cell
    from persbench.report.compare import Comparison, Pair
    from persbench.report.paper.claims import Outcome
    from persbench.report.paper.tables import Table
    from persbench.samples import Row


class Results:
    """What the template may ask of a folder of records.

    Args:
        folder: Records of one model, one setting a system and persona.
        instead: Other records, which take the place of the same systems' in `folder`.
        personas: The only ones to look at; without it all that are there.

    Raises:
        PersbenchError: A record cannot be read, or a system stands there in two settings.
    """

    def __init__(self, folder: Path, instead: Path | None = None, personas: Collection[str] = ()) -> None:
        others = [] if instead is None else readable(instead)
        replaced = {cell.system for cell in others}
        cells = [cell for cell in readable(folder) if cell.system not in replaced] + others
        self._cells = [cell for cell in cells if not personas or cell.persona in personas]
        require_one_setting(self._cells)
        self._groups = by_system(self._cells)
        self._pack = load_pack(resolve_pack(None))

    @cached_property
    def _lines(self) -> dict[str, list[Line]]:
        return {table: lines_of(self._cells, table) for table in table_titles()}

    @cached_property
    def _tables(self) -> dict[str, Table]:
        return {table.name: table for table in main_document(self._cells).tables}

    @cached_property
    def _decided(self) -> dict[str, Outcome]:
        systems = [cell for group in self._groups.values() for cell in group]
        surface = surface_wins(self._lines["board"], facts_of(systems, "pack"))
        return {one.claim: one for one in outcomes(self._cells, surface=surface)}

    def grid(self, name: str) -> str:
        """Return a table of `persbench paper main`: main, abstract, claims or comparisons."""
        return markdown_grid(self._tables[name])

    def notes(self, name: str) -> str:
        """Return what stands below such a table, as a list."""
        return "\n".join(f"- {markdown_text(note)}" for note in self._tables[name].notes)

    def claim(self, name: str) -> str:
        """Return the verdict on one of the protocol's claims, and how its headlines fell."""
        decided = self._decided[name]
        return f"**{decided.verdict}** ({tally(decided)})"

    def verdict(self, claim: str, baseline: str, name: str) -> str:
        """Return what became of one headline of a claim, and why it is not confirmed."""
        findings = self._decided[claim].findings
        found = next(each for each in findings if (each.baseline, each.name) == (baseline, name))
        return f"{found.verdict} ({found.reason})" if found.reason else str(found.verdict)

    def score(self, system: str, name: str, table: str = "board") -> str:
        """Return a number of the board, with its interval where it has one; `name` is the column's, as it is read."""
        found = self._entry(system, name, table).value
        style = self._column(name, table).format
        if found.low is None:  # a statistic of all items at once has no interval
            return number(found.mean, style)
        return f"{number(found.mean, style)} {ends(found, style)}"

    def raw(self, system: str, name: str) -> str:
        """Return a number of the first board as it is without anchors."""
        found = self._entry(system, name, "board").raw
        if found is None:
            raise LookupError(f"{name} has no anchors")
        return f"{number(found.mean)} {ends(found)}"

    def difference(self, system: str, baseline: str, name: str, table: str = "board") -> str:
        """Return a paired difference with its interval and its sign count."""
        signs = self._compared(system, baseline, self._column(name, table)).signs
        return f"{self.gap(system, baseline, name, table)}, {signs.text} personas"

    def gap(
        self, system: str, baseline: str, name: str, table: str = "board", *, over: Collection[Results] = ()
    ) -> str:
        """Return a paired difference with its interval; over several trainings their mean, each item being in each."""
        column = self._column(name, table)
        pairs = [pair for training in (over or [self]) for pair in training.pairs(system, baseline, column)]
        return difference_text(compare_pairs(system, column, pairs).found.interval, column.format)

    def items(self, system: str, name: str, table: str = "board") -> str:
        """Return how many items of a column are scored, and how many are not."""
        found = self._entry(system, name, table).value
        return f"{found.n} scored, {found.unscored} not"

    def p(self, system: str, baseline: str, name: str, table: str = "board") -> str:
        """Return the p of a paired permutation test, not adjusted."""
        return p_text(self._compared(system, baseline, self._column(name, table)).found.p)

    def by_persona(self, system: str, baseline: str, name: str, table: str = "board") -> str:
        """Return each persona's own mean difference."""
        column = self._column(name, table)
        gaps = persona_gaps(item_pairs(self._groups[system], self._groups[baseline], column))
        return ", ".join(
            f"{persona} {'unscored' if gap is None else signed(gap, column.format)}" for persona, gap in gaps.items()
        )

    def answer(self, item: str) -> str:
        """Return the persona's own answer to the question and stage of any item about it."""
        _, persona, stage, question = item.split("/")
        found = self._pack.persona(persona).answer(question, stage)
        if found is None:
            raise LookupError(f"{persona} has no answer to {question} at the stage {stage}")
        return _one_line(found.reply)

    def question(self, item: str) -> str:
        """Return the words of a shared question by the id of any item about it."""
        wanted = item.rpartition("/")[2]
        return next(question.text for question in self._pack.questions if question.id == wanted)

    def reply(self, system: str, item: str) -> str:
        """Return what a system said to one item, its analysis first where it wrote one, in one line."""
        return _spoken(self._row(system, item))

    def dialogue(self, system: str, item: str, turns: int) -> str:
        """Return the first turns of a live dialogue as a quotation: what was said to the system, and its replies."""
        script = next(iter(self._row(system, item)["transcripts"].values()))
        lines = [
            line
            for turn in script[:turns]
            for line in (f"> **they:** {_one_line(turn['user'])}", f"> **{markdown_text(system)}:** {_spoken(turn)}")
        ]
        return "  \n".join(lines)

    def _row(self, system: str, item: str) -> Row:
        rows = (row for cell in self._groups[system] for task in cell.tasks.values() for row in task)
        return next(row for row in rows if row["id"] == item)

    def _entry(self, system: str, name: str, table: str) -> Entry:
        line = next(line for line in self._lines[table] if line.system == system)
        return line.entries[self._column(name, table).metric]

    def _column(self, name: str, table: str) -> Column:
        return next(column for column in columns(table) if column.name == name)

    def _compared(self, system: str, baseline: str, column: Column) -> Comparison:
        return compare_pairs(system, column, self.pairs(system, baseline, column))

    def pairs(self, system: str, baseline: str, column: Column) -> list[Pair]:
        """Return the items of a column that both systems have."""
        own, other = self._groups[system], self._groups[baseline]
        if apart := not_comparable(own, other, column.task):
            raise PersbenchError(f"{system} and {baseline} cannot be compared: {apart}")
        return item_pairs(own, other, column)


def readable(folder: Path) -> list[Cell]:
    """Return the records of a folder.

    Raises:
        PersbenchError: One of them cannot be read.
    """
    cells, faults = load_cells(folder)
    if faults:
        raise PersbenchError("; ".join(map(str, faults)))
    return cells


def _spoken(turn: Mapping[str, Any]) -> str:
    thought = turn.get("analysis") or next(iter(turn.get("analyses") or []), None)
    told = [f"*({_one_line(thought)})*"] if thought else []
    return " ".join([*told, _one_line(turn["reply"]) or "(nothing)"])


def _one_line(text: str) -> str:
    return markdown_text(" ".join(text.split()))
