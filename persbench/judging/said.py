"""What was judged, and whether it is still what was said: a digest of replies for each system, persona and task."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from persbench.judging.fit import JUDGED_TASKS, READS
from persbench.provenance import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from persbench.judging.cases import Kind
    from persbench.judging.fit import Cell
    from persbench.judging.records import JudgedRow
    from persbench.samples import Row

_LATER: Final = ("tasks", "anchors")  # parts of a run that may come after it was judged
_PLACE: Final = ("id", "persona", "stage", "cluster", "kind")
_SAID: Final = ("reply", "transcripts", "faults", "questions")


def said_by(cells: Iterable[Cell], kind: Kind) -> set[tuple[str, str]]:
    """Return what a kind of judgement reads: (`system/persona/task`, digest of the settings and of what was said).

    Of one system and persona there may be several, from runs of other settings.
    """
    return {
        (f"{cell.system}/{cell.persona}/{task}", _digest(cell.signature, cell.tasks[task], kind))
        for cell in cells
        for task in READS[kind]
        if cell.tasks.get(task)
    }


def names_of(row: JudgedRow) -> set[str]:
    """Return the names, as `said_by` gives them, of what a row is about; none for a question that was sorted."""
    return {f"{system}/{row.persona}/{row.task}" for system in row.systems}


def who(name: str) -> str:
    """Return `system/persona` of a name; records of earlier versions name no task."""
    head, _, task = name.rpartition("/")
    return head if task in JUDGED_TASKS else name


def _digest(facts: Mapping[str, Any], rows: Iterable[Row], kind: Kind) -> str:
    # Questions are sorted by what the pack holds of them: another reply to one changes nothing.
    keys = _PLACE if kind == "sort" else (*_PLACE, *_SAID)
    # As ASCII, since a reply may hold half of a surrogate pair.
    told = sorted(json.dumps({key: row.get(key) or None for key in keys}, sort_keys=True) for row in rows)
    return digest([{name: value for name, value in facts.items() if name not in _LATER}, told])
