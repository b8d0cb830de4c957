"""Tables in narrow windows: no word and no number is broken while a part of the table would fit."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table

from persbench.report.fitting import FittingTable

NAMES = ("attitude", "content", "knowledge", "induction", "voice")


def build(names: Sequence[str], is_first: bool) -> Table:
    table = Table(title="Scores" if is_first else None)
    for name in ("system", *names):
        table.add_column(name, overflow="fold")
    table.add_row("prompt", *["[.49 .59]".replace("[", r"\[")] * len(names))
    return table


def printed(width: int, names: Sequence[str] = NAMES) -> str:
    stream = StringIO()
    Console(width=width, file=stream).print(FittingTable(names, build))
    return stream.getvalue()


@pytest.mark.parametrize(("width", "parts"), [(200, 1), (60, 2), (40, 3), (24, 5)])
def test_it_is_cut_into_as_few_parts_as_fit(width: int, parts: int) -> None:
    text = printed(width)
    assert text.count("prompt") == text.count("system") == parts
    assert text.count("Scores") == 1
    assert text.count("[.49 .59]") == len(NAMES)
    assert all(text.count(name) == 1 for name in NAMES)
    assert max(map(len, text.splitlines())) <= width


def test_what_fits_in_no_way_is_folded_and_nothing_is_lost() -> None:
    text = printed(16)
    assert max(map(len, text.splitlines())) <= 16
    assert text.count("prom") == text.count("[.49") == text.count(".59]") == len(NAMES)


def test_a_table_without_columns_is_its_first_column() -> None:
    assert "prompt" in printed(40, ())
