"""Whole IPIP-NEO inventories, one a persona and stage, as percentiles among people."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from persbench.errors import PersbenchError
from persbench.report.corpus import branch_scores
from persbench.scoring.ipip_neo import SHOWN, inventory_length, item_number, key_of, percentiles
from persbench.scoring.sanity import PREFIX
from persbench.scoring.traits import picked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persbench.report.cells import Cell
    from persbench.samples import Row

TASK: Final = "persbench_traits"
ASKING: Final = "text/ascending"  # an inventory is answered once: in its own words, from inaccurate to accurate
MOST_NAMED: Final = 5


@dataclass(frozen=True)
class Inventory:
    """One respondent.

    Attributes:
        system: System name.
        persona: Persona id.
        stage: Stage id.
        found: Domain -> percentile; None where an item has no answer, since norms are for whole inventories.
        items: 120 or 300.
        unscored: Items without a score, or with a tie between two points.
    """

    system: str
    persona: str
    stage: str
    found: Mapping[str, float] | None
    items: int
    unscored: int


def inventories(cells: Sequence[Cell], *, sex: str, age: int) -> list[Inventory]:
    """Score every persona-stage that answered a whole IPIP-NEO.

    Args:
        cells: Results of one evaluation with `--instrument`.
        sex: Of the norms: M, F, or N for the mean of both.
        age: Of the norms.

    Raises:
        PersbenchError: The statements are no IPIP-NEO or are keyed otherwise, or the library is not installed.
    """
    respondents: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for cell in cells:
        if not cell.system.startswith(PREFIX):
            for row in cell.tasks.get(TASK, []):
                respondents[cell.system, row["persona"], row["stage"]].append(row)
    return [_inventory(who, rows, sex, age) for who, rows in respondents.items()]


def _inventory(who: tuple[str, str, str], rows: Sequence[Row], sex: str, age: int) -> Inventory:
    length = _require_inventory(rows)
    answers = {_number(row): picked(branch_scores(row)[ASKING]) for row in rows}
    whole = {number: int(answer) for number, answer in answers.items() if answer is not None and answer == int(answer)}
    found = percentiles(whole, sex=sex, age=age) if len(whole) == length else None
    return Inventory(*who, found=found, items=length, unscored=length - len(whole))


def _number(row: Row) -> int:
    return item_number(row["statement"]["id"]) or 0


def _require_inventory(rows: Sequence[Row]) -> int:
    """Return how many items the inventory has.

    Raises:
        PersbenchError: It is none, or is keyed otherwise.
    """
    length = inventory_length([_number(row) for row in rows])
    if length is None:
        raise PersbenchError(
            f"these {len(rows)} statements are no whole IPIP-NEO: its CSV has all 120 or 300 items, with ids that end "
            "in the item's number (ipip-1 to ipip-120), and is run without --limit. Other scales have r, distance and "
            "alpha in `persbench report table`."
        )
    wrong = [
        f"{row['statement']['id']} is {row['statement']['domain']} {row['statement']['keyed']:+d}, "
        f"there {key[0]} {key[1]:+d}"
        for row in rows
        if (key := key_of(_number(row), length)) != (row["statement"]["domain"], row["statement"]["keyed"])
    ]
    if wrong:
        more = f" and {len(wrong) - MOST_NAMED} more" if len(wrong) > MOST_NAMED else ""
        raise PersbenchError(
            f"the CSV has other domains or keys than IPIP-NEO-{length}: {'; '.join(wrong[:MOST_NAMED])}{more}. "
            "Number the statements as the inventory does."
        )
    return length


def markdown_inventories(found: Sequence[Inventory], *, sex: str, age: int) -> str:
    """Write the table as Markdown."""
    lengths = "/".join(map(str, sorted({one.items for one in found})))
    lines = [
        f"IPIP-NEO-{lengths}, percentiles among people (norms: sex {sex}, age {age})",
        "",
        f"| system | persona | stage | {' | '.join(SHOWN)} | unscored items |",
        f"|---|---|---|{'---:|' * (len(SHOWN) + 1)}",
    ]
    for one in found:
        cells = ["-" if one.found is None else f"{one.found[name]:.0f}" for name in SHOWN]
        lines.append(f"| {one.system} | {one.persona} | {one.stage} | {' | '.join(cells)} | {one.unscored} |")
    return "\n".join(lines) + "\n"
