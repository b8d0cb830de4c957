"""From rows of a study's tables to the plain values of `steps`, and to the place that is free."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from persbench.study.refusals import StudyFullError
from persbench.study.steps import PairState, StoredMessage, TaskState

if TYPE_CHECKING:
    from persbench.study.database import Reader
    from persbench.study.settings import StudyLimits

MINUTE: Final = 60.0


def tasks_of(database: Reader, rater: int) -> list[TaskState]:
    """Return the conversations of a rater, in order."""
    return [
        TaskState(
            position=position,
            label=label,
            persona=persona,
            stage=stage,
            system=system,
            messages=tuple(
                StoredMessage(*row)
                for row in database.rows(
                    "SELECT m.turn, m.role, m.text, e.at, m.seconds FROM messages m JOIN events e ON e.id = m.event "
                    "WHERE m.task = ? ORDER BY m.turn, m.role DESC",
                    task,
                )
            ),
            is_ended=database.row("SELECT 1 FROM endings WHERE task = ?", task) is not None,
            ratings=dict(database.rows("SELECT scale, value FROM ratings WHERE task = ? ORDER BY rowid", task)),
        )
        for task, position, label, persona, stage, system in database.rows(
            "SELECT id, position, label, persona, stage, system FROM tasks WHERE rater = ? ORDER BY position", rater
        )
    ]


def pairs_of(database: Reader, rater: int) -> list[PairState]:
    """Return the preferences asked of a rater, in order."""
    return [
        PairState(*row)
        for row in database.rows(
            "SELECT a.position, b.position, f.choice FROM pairs p JOIN tasks a ON a.id = p.first "
            "JOIN tasks b ON b.id = p.second LEFT JOIN preferences f ON f.pair = p.id "
            "WHERE a.rater = ? ORDER BY b.position",
            rater,
        )
    ]


def free_place(database: Reader, limits: StudyLimits, now: float) -> tuple[int, int]:
    """Find the lowest place that nobody holds.

    A rater holds a place who has finished, or has sent something within `dropout_minutes`; a withdrawn one never does.

    Returns:
        The place, and how many have held it before.

    Raises:
        StudyFullError: All are taken.
    """
    held = {
        place: (holders, bool(is_taken))
        for place, holders, is_taken in database.rows(
            "SELECT place, count(*), max(NOT withdrawn AND (done OR seen >= ?)) FROM (SELECT place, "
            "EXISTS (SELECT 1 FROM events e WHERE e.rater = p.rater AND e.kind = 'withdraw') AS withdrawn, "
            "EXISTS (SELECT 1 FROM events e WHERE e.rater = p.rater AND e.kind = 'done') AS done, "
            "(SELECT max(at) FROM events e WHERE e.rater = p.rater) AS seen FROM places p) GROUP BY place",
            now - limits.dropout_minutes * MINUTE,
        )
    }
    for place in range(limits.raters):
        holders, is_taken = held.get(place, (0, False))
        if not is_taken:
            return place, holders
    raise StudyFullError("Every place of this study is taken. Thank you for coming.")
