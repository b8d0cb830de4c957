"""Whether a record of judging that was read from a file has all its parts: it may have been edited by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from persbench.judging.records import JudgedRecord, JudgedRow


def is_whole(record: JudgedRecord) -> bool:
    """Return whether everything that others read is there, in its own type.

    Raises:
        KeyError, TypeError, AttributeError: It is so far from a record that even looking fails.
    """
    return (
        {"id", "name", "annotator", "signature"} <= record.judge.keys()
        and isinstance(record.judge["signature"], dict)
        and isinstance(record.cases, int)
        and isinstance(record.runs, list)
        and isinstance(record.cells, dict)
        and all(isinstance(told, str) for told in record.cells.values())
        and all(map(_is_whole_row, record.rows))
    )


def _is_whole_row(row: JudgedRow) -> bool:
    texts = (row.key, row.case, row.task, row.persona, row.stage, row.cluster, *row.systems)
    values = list(row.value.values()) if isinstance(row.value, dict) else [row.value]
    numbers = [value for value in values if value is not None and not isinstance(value, str)]
    return (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers)
        and isinstance(row.place, dict)
        and isinstance(row.left_out, dict)
        and all(isinstance(order[name], int) for order in row.orders for name in ("prompt_tokens", "completion_tokens"))
        and all(isinstance(order.get("call", ""), str) for order in row.orders)
    )
