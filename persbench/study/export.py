"""The rows of a study as CSV, safe to open in a spreadsheet; withdrawn raters are not in them."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

from persbench.errors import UnknownNameError
from persbench.visible import spreadsheet_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from persbench.study.reading import StudyData

    Row = list[object]


def csv_export(data: StudyData, rows: str = "ratings") -> str:
    """Write one kind of row as CSV, the first line naming the columns.

    A text that a spreadsheet could take for a formula gets an apostrophe in front. An empty cell is a value that is not
    there.

    Args:
        data: The study.
        rows: `ratings` (one a conversation), `preferences`, `messages` or `raters`.

    Raises:
        UnknownNameError: No such kind of rows.
    """
    if rows not in EXPORTS:
        raise UnknownNameError("kind of rows", rows, list(EXPORTS))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for row in EXPORTS[rows](data):
        writer.writerow([_safe(value) for value in row])
    return stream.getvalue()


def _safe(value: object) -> object:
    if value is None:
        return ""
    return spreadsheet_text(value) if isinstance(value, str) else value


def _ratings(data: StudyData) -> Iterator[Row]:
    scales = list(data.settings.scales)
    yield ["rater", "position", "persona", "stage", "system", "turns", "over", *scales]
    for rater, task in data.held:
        over = int(task.is_over(data.settings.turns))
        values = [task.ratings.get(scale) for scale in scales]
        yield [rater.pseudonym, task.position, task.persona, task.stage, task.system, task.turns, over, *values]


def _preferences(data: StudyData) -> Iterator[Row]:
    yield ["rater", "persona", "stage", "first", "second", "choice"]
    for rater in data.raters:
        tasks = {task.position: task for task in rater.tasks}
        for pair in rater.pairs:
            first, second = tasks[pair.first], tasks[pair.second]
            choice = {None: None, "a": "first", "b": "second", "tie": "tie"}[pair.choice]
            yield [rater.pseudonym, first.persona, first.stage, first.system, second.system, choice]


def _messages(data: StudyData) -> Iterator[Row]:
    yield ["rater", "position", "persona", "stage", "system", "turn", "role", "text", "at", "seconds"]
    for rater, task in data.held:
        head: Row = [rater.pseudonym, task.position, task.persona, task.stage, task.system]
        for message in task.messages:
            yield [*head, message.turn, message.role, message.text, round(message.at, 3), message.seconds]


def _raters(data: StudyData) -> Iterator[Row]:
    yield ["rater", "came", "consented", "seen", "finished", "consent"]
    for rater in data.raters:
        times = [None if at is None else round(at, 3) for at in (rater.came, rater.consented, rater.seen)]
        yield [rater.pseudonym, *times, int(rater.is_done), rater.consent]


EXPORTS: Final[Mapping[str, Callable[[StudyData], Iterator[Row]]]] = {
    "ratings": _ratings,
    "preferences": _preferences,
    "messages": _messages,
    "raters": _raters,
}
