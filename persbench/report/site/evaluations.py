"""Systems as the site knows them: one with its settings, its cells, and its numbers over all personas and over each."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Final

from persbench.errors import PersbenchError
from persbench.report.board import FLOORS, Line, lines_of, system_order, table_titles
from persbench.report.cells import UNREADABLE
from persbench.report.duplicates import in_one_evaluation
from persbench.report.site.safe import name_of, slug
from persbench.scoring.sanity import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from persbench.report.cells import Cell

    Lines = dict[tuple[str, str], Line]

EVERYONE: Final = ""  # in the place of a persona: all of them
OWN_FACTS: Final = ("system", "adapter", "anchors", "tasks")  # differ wherever systems do: they tell no settings apart


@dataclass(frozen=True)
class Evaluation:
    """One system with one setting.

    Attributes:
        slug: Name of its page, without ending.
        system: System name as the records have it.
        name: The same, fit to be shown.
        model: Name of the base model, fit to be shown; empty for a rule.
        setting: What tells it from a system of the same name and model; empty if there is none.
        cells: One a persona.
        lines: (persona or `EVERYONE`, table) -> its line of the board, where it has numbers.
    """

    slug: str
    system: str
    name: str
    model: str
    setting: str
    cells: tuple[Cell, ...]
    lines: dict[tuple[str, str], Line] = field(default_factory=dict)

    @property
    def personas(self) -> tuple[str, ...]:
        """Persona ids, sorted."""
        return tuple(sorted(cell.persona for cell in self.cells))

    @property
    def signature(self) -> dict[str, Any]:
        """Facts behind its numbers, those of all personas joined."""
        return next((line.signature for line in self.lines.values()), dict(self.cells[0].signature))

    def not_recomputed(self, persona: str = EVERYONE) -> str:
        """Return the metrics of a submission that nobody computed again, over one persona or all; empty if none."""
        own = [cell for cell in self.cells if persona in {EVERYONE, cell.persona}]
        return ", ".join(sorted({name_of(name) for cell in own for name in cell.not_recomputed}))

    @property
    def is_floor(self) -> bool:
        """Whether it is a rule that is shown and not held to chance."""
        return self.system in FLOORS

    @property
    def is_sanity(self) -> bool:
        """Whether it is a rule that looks at the surface alone."""
        return self.system.startswith(PREFIX)


def personas_of(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Return the personas of all cells, sorted."""
    return tuple(sorted({cell.persona for cell in cells}))


def evaluations(
    cells: Sequence[Cell], progress: Callable[[int, int], None] = lambda _done, _total: None, *, jobs: int = 1
) -> list[Evaluation]:
    """Compute every number of the site.

    Args:
        cells: As `load_cells` reads them.
        progress: Called with what is done and what there is in all.
        jobs: Processes that share the systems; numbers do not depend on it.

    Returns:
        Systems in the order of the board, then rules. Rules have lines over everyone alone: over one persona they
        have too few items to be held to chance.
    """
    found = _named(in_one_evaluation(sorted(cells, key=lambda cell: (cell.system, cell.persona, cell.source))))
    systems = [one for one in found if not one.is_sanity]
    progress(0, len(systems))
    for done, (one, lines) in enumerate(zip(systems, _each(systems, jobs), strict=True), 1):
        one.lines.update(lines)
        progress(done, len(systems))
    _fill_rules([one for one in found if one.is_sanity])
    place = {name: i for i, name in enumerate(system_order())}
    return sorted(
        found, key=lambda one: (one.is_sanity, place.get(one.system, len(place)), one.system, one.model, one.slug)
    )


def _each(systems: Sequence[Evaluation], jobs: int) -> Iterator[Lines]:
    """Yield the lines of each system in turn."""
    if jobs <= 1 or len(systems) <= 1:
        yield from map(_lines, systems)
        return
    # A new interpreter each: libraries that run threads of their own do not outlive a fork.
    with ProcessPoolExecutor(min(jobs, len(systems)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(_lines, systems)


def _lines(one: Evaluation) -> Lines:
    found: Lines = {}
    for persona in (EVERYONE, *one.personas):
        own = [cell for cell in one.cells if persona in {EVERYONE, cell.persona}]
        for table in table_titles():
            with reading(one):
                for line in lines_of(own, table):
                    found[persona, table] = line
    return found


@contextmanager
def reading(one: Evaluation) -> Iterator[None]:
    """Say which files are to blame where items are not what persbench writes.

    Raises:
        PersbenchError: In the place of whatever reading them raised.
    """
    try:
        yield
    except UNREADABLE as error:
        sources = ", ".join(sorted({cell.source for cell in one.cells if cell.source})) or one.name
        raise PersbenchError(
            f"{sources}: items are not as persbench writes them ({type(error).__name__}: {error}). "
            "Take that record out or run its cell again, and build again."
        ) from error


def _fill_rules(rules: Sequence[Evaluation]) -> None:
    """Give the rules their lines: all in one go, since each is held to chance at a level that counts all of them."""
    cells = [cell for one in rules for cell in one.cells]
    for table in table_titles() if rules else ():
        try:
            lines = lines_of(cells, table)
        except UNREADABLE:
            for one in rules:  # each by itself, to find the file that is to blame
                with reading(one):
                    lines_of(one.cells, table)
            raise
        for one in rules:
            fitting = (line for line in lines if line.system == one.system and line.personas == one.personas)
            if (line := next(fitting, None)) is not None:
                one.lines[EVERYONE, table] = line
                lines.remove(line)


def _named(groups: Sequence[Sequence[Cell]]) -> list[Evaluation]:
    """Give every group its names; two of one system and model are told apart by the facts in which they differ."""
    alike: dict[tuple[str, str], list[Sequence[Cell]]] = defaultdict(list)
    for group in groups:
        alike[group[0].system, str(group[0].signature.get("model", ""))].append(group)
    found = []
    for (system, model), same in alike.items():
        facts = {key for group in same for key in group[0].signature} - set(OWN_FACTS)
        differ = sorted(key for key in facts if len({str(group[0].signature.get(key)) for group in same}) > 1)
        for group in same:
            told = ", ".join(f"{key} {group[0].signature.get(key)}" for key in differ)
            shared = sorted(str(sorted(cell.signature.items(), key=str)) for cell in group)
            found.append(
                Evaluation(
                    slug=slug(system, model.partition("@")[0], shared),
                    system=system,
                    name=name_of(system),
                    model=name_of(model.partition("@")[0], 40) if model else "",
                    setting=name_of(told) if told else "",
                    cells=tuple(sorted(group, key=lambda cell: cell.persona)),
                )
            )
    return found
