"""Table 1: raw material and data set by persona, beside the published one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persbench.report.paper.published import published_table_1
from persbench.report.paper.tables import Column, Document, Field, Row, Table, text

if TYPE_CHECKING:
    from collections.abc import Sequence


def table_1_document(counts: Sequence[Sequence[str]], pack: str) -> Document:
    """Write the counts of a pack beside the published ones.

    Args:
        counts: Rows of text, the head first, as `persbench.data.counts.table_1` returns them.
        pack: Name, version and hash of the pack.
    """
    return Document((counts_table(counts, pack), published_table_1()), (f"pack:{pack}",))


def counts_table(counts: Sequence[Sequence[str]], pack: str) -> Table:
    """Return the counts of a pack as a table; see `table_1_document`."""
    head, *body = counts
    rows = [Row((text(label), *map(_counted, numbers)), f"pack:{pack}") for label, *numbers in body]
    return Table(
        "table-1", f"Raw material and data set: {pack}", (Column("", "left"), *map(Column, head[1:])), tuple(rows)
    )


def _counted(shown: str) -> Field:
    return Field((shown,), (("", int(shown) if shown.isdecimal() else shown or None),))
