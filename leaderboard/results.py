"""Write RESULTS.md from results.md.j2: every number and every quotation in it is looked up in the records.

    python leaderboard/results.py leaderboard/records/seed1 --out leaderboard/RESULTS.md

In the template (Jinja) stand prose and calls: `score("prompt", "content")`, `claim("1")`, `grid("comparisons")`,
`difference("persllm", "prompt", "content")`, `reply("persllm", "reply/nedda/early/q26")`. A name that is not on the
board, or an item that is not in the records, ends with an error: nothing is left blank. Methods of `Results` are all
that a template may call; below `first` stands the same of the records made before amendment 3 of protocol.md, in
`trainings` of each training of the systems that were trained more than once, in `again` of the records of adapters that
were trained again (`anew`) and of the others on the same personas (`before`), for each group of tasks that these were
asked (`live`, `choices`), below `readers` what `readers.py` counts.
"""

from __future__ import annotations

import argparse
import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, StrictUndefined, UndefinedError
from readers import Readers

from persbench.errors import PersbenchError
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack
from persbench.records import write_atomic
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

    from persbench.report.board import Column, Entry, Line
    from persbench.report.cells import Cell
    from persbench.report.compare import Comparison, Pair
    from persbench.report.paper.claims import Outcome
    from persbench.report.paper.tables import Table
    from persbench.samples import Row

TEMPLATE: Final = Path(__file__).parent / "results.md.j2"
FIRST: Final = Path(__file__).parent / "before-amendment-3"
OTHER_SEEDS: Final = Path(__file__).parent / "records-of-other-seeds"
AGAIN: Final = Path(__file__).parent / "records-trained-again"
SEEDED: Final = ("nedda", "osmer")  # the personas of further seeds


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
        others = [] if instead is None else _readable(instead)
        replaced = {cell.system for cell in others}
        cells = [cell for cell in _readable(folder) if cell.system not in replaced] + others
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
        """Return a number of the board with its interval; `name` is the column's, as it is read."""
        found = self._entry(system, name, table).value
        style = self._column(name, table).format
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

    def question(self, item: str) -> str:
        """Return the words of a shared question by the id of any item about it."""
        wanted = item.rpartition("/")[2]
        return next(question.text for question in self._pack.questions if question.id == wanted)

    def reply(self, system: str, item: str) -> str:
        """Return what a system said to one item, its analysis first where it wrote one, as a quotation."""
        return f"> {_spoken(self._row(system, item))}"

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


def _readable(folder: Path) -> list[Cell]:
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


def render(results: Results, template: str, **others: object) -> str:
    """Fill a template in.

    Args:
        results: What it may ask.
        template: Text of it.
        others: What else it may ask, by name.

    Raises:
        PersbenchError: The template asks for what the records do not hold.
    """
    environment = Environment(
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        autoescape=False,  # noqa: S701 - Markdown; quotations escape themselves
    )
    asked: dict[str, Any] = {name: getattr(results, name) for name in dir(results) if not name.startswith("_")}
    try:
        return environment.from_string(template).render(asked | others)
    except (StopIteration, RuntimeError, LookupError, ValueError, UndefinedError) as error:
        raise PersbenchError(f"the template asks for what the records do not hold: {error!r}") from error


def trainings(folder: Path, others: Path = OTHER_SEEDS) -> dict[str, Results]:
    """Return what may be asked of each training of a system that was trained with several seeds, by the seed's name.

    Args:
        folder: The records of seed 1, with the systems that no seed changes.
        others: Beside it a folder of records for each further seed.
    """
    further = {seed.name: Results(folder, seed, SEEDED) for seed in sorted(others.iterdir())}
    return {folder.name: Results(folder, personas=SEEDED)} | further


def trained_again(folder: Path, anew: Path) -> dict[str, Results]:
    """Return what may be asked of adapters trained again, and of the records that they are held against.

    Args:
        folder: The comparison's records.
        anew: Records of some of its systems, of adapters trained again, on some of its personas.

    Returns:
        `before`: the comparison on those personas. `anew`: the same with the systems of `anew` in their own place.
    """
    personas = {cell.persona for cell in _readable(anew)}
    return {"before": Results(folder, personas=personas), "anew": Results(folder, anew, personas)}


def write(folder: Path, out: Path) -> None:
    """Write the page of a folder of records.

    Raises:
        PersbenchError: A record cannot be read, or the template asks for what the records do not hold.
    """
    text = render(
        Results(folder),
        TEMPLATE.read_text(encoding="utf-8"),
        first=Results(folder, FIRST),
        trainings=trainings(folder),
        again={group.name: trained_again(folder, group) for group in sorted(AGAIN.iterdir())},
        readers=Readers(),
    )
    write_atomic(out, text.encode())


def main() -> None:
    """Read the command line, write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    wanted = parser.parse_args()
    try:
        write(wanted.folder, wanted.out)
    except PersbenchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
