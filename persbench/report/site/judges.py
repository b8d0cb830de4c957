"""What judges say of the systems, with what does not count greyed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from persbench.report.judged import judged_columns
from persbench.report.site.safe import clean, name_of
from persbench.report.site.values import Shown, scale_of, shown_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from persbench.report.board import Column
    from persbench.report.judged import JudgedTable


@dataclass(frozen=True)
class JudgedView:
    """One judge's numbers of one kind.

    Attributes:
        title: Whose, and on what.
        took_part: The judge wrote the pack.
        columns: (column, whether it is grey: the judge did not qualify).
        rows: (system, its numbers).
        notices: What a reader must know beside them.
        signature: What is printed beside every figure of a judge.
    """

    title: str
    took_part: bool
    columns: tuple[tuple[Column, bool], ...]
    rows: tuple[tuple[str, tuple[Shown, ...]], ...]
    notices: tuple[str, ...]
    signature: str


def judged_views(tables: Sequence[JudgedTable]) -> Iterator[JudgedView]:
    """Lay judged tables out, one view a judge and kind of reply."""
    for table in tables:
        for title, wanted in judged_columns().values():
            shown = [c for c in wanted if any(c.metric in line.entries for line in table.lines)]
            scales = {c.metric: scale_of([line.entries.get(c.metric) for line in table.lines], c) for c in shown}
            rows = tuple(
                (
                    name_of(line.system),
                    tuple(shown_number(line.entries.get(c.metric), c, scales[c.metric]) for c in shown),
                )
                for line in table.lines
            )
            if shown:
                yield JudgedView(
                    title=name_of(f"{table.found.judge}: {title}", 120),
                    took_part=table.took_part,
                    columns=tuple((column, table.is_grey(column)) for column in shown),
                    rows=rows,
                    notices=tuple(map(clean, table.notices)),
                    signature=clean(table.found.signature),
                )
