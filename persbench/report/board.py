"""From cells to board entries: every number with its interval, its n, its unscored items and its chance level."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import yaml

from persbench.provenance import digest, signature
from persbench.report.corpus import CHANCES, STATISTICS
from persbench.report.duplicates import in_one_evaluation, shared_facts, task_labels
from persbench.report.notes import notes_of
from persbench.scoring import sanity
from persbench.scoring.sanity import PREFIX, at_chance
from persbench.scoring.stats import Interval, bonferroni, cluster_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.report.cells import Cell
    from persbench.samples import Row

FLOORS: Final = tuple(PREFIX + name for name in sanity.FLOORS)
# To yield is to repeat the prompt's premise, so a rule that echoes the prompt falls below chance there by nature.
FLOORS_ON_A_TASK: Final = {(f"{PREFIX}prompt_overlap", "persbench_induction")}
SANITY_RESAMPLES: Final = 100_000


@dataclass(frozen=True)
class Column:
    """One column of `columns.yaml`."""

    metric: str
    task: str
    name: str
    help: str
    margin: str = ""
    format: str = "share"
    statistic: str = ""
    cost: bool = False
    chance: float | None = None
    kind: str = ""
    where: str = ""


@dataclass(frozen=True)
class Entry:
    """One number of the board.

    Attributes:
        value: Mean over items with its 95% interval, clustered by question.
        raw: The same without anchors; None where there is no such metric.
        margin: Own minus best other, anchored, nats per byte; None where there is none.
        chance: What a blind guess scores on these items; None where the question does not arise.
        off_chance: For a sanity system: it is not at chance, as it must be.
        idle: Items for which the question does not arise, such as a flip where the own stance was not held first.
    """

    value: Interval
    raw: Interval | None
    margin: Interval | None
    chance: float | None
    off_chance: bool = False
    idle: int = 0


@dataclass(frozen=True)
class Line:
    """One system of the board, over all its personas.

    Attributes:
        system: System name.
        model: Model fact of its signature; empty for a rule.
        personas: Persona ids, sorted.
        signature: Facts behind its numbers.
        entries: Metric -> number, of one table.
        notes: What befell its items on the way (see notes.py).
    """

    system: str
    model: str
    personas: tuple[str, ...]
    signature: dict[str, Any]
    entries: dict[str, Entry]
    notes: tuple[str, ...] = ()

    @property
    def is_sanity(self) -> bool:
        """Whether this is a rule that looks at the surface alone."""
        return self.system.startswith(PREFIX)


@cache
def layout() -> dict[str, Any]:
    """Return all of the package's `columns.yaml`."""
    found: dict[str, Any] = yaml.safe_load(files("persbench.report").joinpath("columns.yaml").read_text("utf-8"))
    return found


@cache
def columns(table: str) -> tuple[Column, ...]:
    """Return the columns of one table of the package's `columns.yaml`."""
    return tuple(Column(**row) for row in layout()["tables"][table]["columns"])


def table_titles() -> dict[str, str]:
    """Return the tables in the order of the board, with their titles."""
    return {name: table["title"] for name, table in layout()["tables"].items()}


def system_order() -> list[str]:
    """Return the systems in the order of the board."""
    return list(layout()["systems"])


def lines_of(cells: Sequence[Cell], table: str = "board") -> list[Line]:
    """Pool cells of one system and the same settings over personas.

    Args:
        cells: Any cells; those that differ in anything but the persona stand on lines of their own.
        table: Which columns to fill.

    Returns:
        Lines in the order systems, then sanity systems.
    """
    rules = {cell.system for cell in cells if cell.system.startswith(PREFIX)} - set(FLOORS)
    judged = {column.task for column in columns(table) if any(column.task in cell.tasks for cell in cells)}
    comparisons = len(rules) * len(judged)
    lines = [_line(group, columns(table), comparisons) for group in in_one_evaluation(cells)]
    order = system_order()
    place = {name: i for i, name in enumerate(order)}
    return sorted(
        (line for line in lines if line.entries),
        key=lambda line: (line.is_sanity, place.get(line.system, len(place)), line.system, line.model),
    )


def _line(cells: list[Cell], wanted: Sequence[Column], comparisons: int) -> Line:
    shared = shared_facts(cells[0])
    labels = task_labels(cells)
    shared |= {"tasks": ",".join(labels[name] for name in sorted(labels))} if labels else {}
    for fact in ("adapter", "anchors"):  # of each persona its own
        values = sorted({str(c.signature[fact]) for c in cells if fact in c.signature})
        shared |= {fact: digest(values, 8)} if values else {}
    system = cells[0].system
    judged = comparisons if system.startswith(PREFIX) and system not in FLOORS else 0
    entries: dict[str, Entry] = {}
    for column in wanted:
        rows = [row for cell in cells for row in cell.tasks.get(column.task, [])]
        if column.statistic and rows and not system.startswith(PREFIX):
            chance = CHANCES[column.statistic](rows) if column.statistic in CHANCES else column.chance
            entries[column.metric] = Entry(STATISTICS[column.statistic](rows), None, None, chance)
            continue
        rows = [row for row in rows if column.metric in row["metrics"]]
        if rows:
            held = judged if (system, column.task) not in FLOORS_ON_A_TASK else 0
            entries[column.metric] = _entry(rows, column, held)
    return Line(
        system=system,
        model=str(shared.get("model", "")),
        personas=tuple(sorted(cell.persona for cell in cells)),
        signature=shared,
        entries=entries,
        notes=tuple(notes_of(cells)),
    )


def _entry(rows: list[Row], column: Column, judged: int) -> Entry:
    asked = _arising(rows, column, column.where)
    chances = [row["chance"][column.metric] for row in rows if column.metric in row.get("chance", {})]
    chance = sum(chances) / len(chances) if chances else column.chance
    off = False
    if judged and chance is not None:
        confidence = bonferroni(0.95, judged)
        off = not at_chance(interval(asked, column.metric, confidence=confidence, resamples=SANITY_RESAMPLES), chance)
    names = rows[0]["metrics"]
    raw = f"{column.metric}_raw"
    asked_raw = _arising(rows, column, f"{column.where}_raw" if column.where else "")
    return Entry(
        value=interval(asked, column.metric),
        raw=interval(asked_raw, raw) if raw in names else None,
        margin=interval(asked, column.margin) if column.margin in names else None,
        chance=chance,
        off_chance=off,
        idle=len(rows) - len(asked),
    )


def _arising(rows: list[Row], column: Column, where: str) -> list[Row]:
    """Return the items that a column's question arises for; one whose condition is unscored stays, unscored itself.

    Where items have chance levels of their own, one without has no such question: a persona of one stage has no other
    stage to be taken for.
    """
    if any(column.metric in row.get("chance", {}) for row in rows):
        rows = [row for row in rows if column.metric in row.get("chance", {})]
    if column.kind:
        rows = [row for row in rows if row["kind"] == column.kind]
    if where:
        rows = [row for row in rows if row["metrics"][where][0] in {1.0, None}]
    return rows


def interval(rows: Sequence[Row], metric: str, **settings: Any) -> Interval:
    """Return a metric's mean over rows with its interval, clustered by shared question."""
    values = [value if scored else None for value, scored in (row["metrics"][metric] for row in rows)]
    return cluster_interval(values, [row["cluster"] for row in rows], **settings)


def signature_lines(lines: Sequence[Line]) -> list[str]:
    """Write the signatures: what all lines share once, then what is each line's own, equal ones together.

    Args:
        lines: Lines of the board.
    """
    if not lines:
        return []
    shared = {k: v for k, v in lines[0].signature.items() if all(line.signature.get(k) == v for line in lines)}
    own: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        facts = {k: v for k, v in line.signature.items() if k not in shared and k != "system"}
        own[signature(facts | {"personas": ",".join(line.personas)})].append(
            str(line.signature.get("system", line.system))
        )
    return ([signature(shared)] if shared else []) + [f"{', '.join(names)}  {text}" for text, names in own.items()]
