"""Paired differences on the board: the same items only, corrected over the table, signs by persona."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from persbench.errors import UnknownNameError
from persbench.report.cells import Cell
from persbench.report.compare import comparisons, markdown_comparisons


def cell(system: str, persona: str, values: Sequence[float | None], **signature: Any) -> Cell:
    rows = [
        {
            "id": f"{persona}/q{i}",
            "cluster": f"q{i}",
            "metrics": {"attitude_acc": [value, value is not None]},
            "chance": {},
        }
        for i, value in enumerate(values)
    ]
    return Cell(system, persona, {"system": system, **signature}, {"persbench_attitude": rows})


def test_only_items_scored_on_both_sides_count() -> None:
    cells = [cell("prompt", "ada", [0.0, 1.0, 0.0, None, 0.0]), cell("persllm", "ada", [1.0, 1.0, None, 1.0])]
    (found,) = comparisons(cells, "prompt")
    assert (found.system, found.column.metric) == ("persllm", "attitude_acc")
    interval = found.found.interval
    assert (interval.mean, interval.n, interval.unscored) == (0.5, 2, 2)


def test_signs_are_counted_by_persona_and_p_is_adjusted_over_the_table() -> None:
    up, down = [1.0] * 8, [0.0] * 8
    cells = [cell("prompt", p, [0.0] * 8) for p in ("ada", "bo", "cy")]
    cells += [cell("rag", "ada", up), cell("rag", "bo", up), cell("rag", "cy", down)]
    cells += [cell("icl", "ada", up), cell("icl", "bo", up), cell("icl", "cy", up)]
    icl, rag = comparisons(cells, "prompt")
    assert [one.system for one in (icl, rag)] == ["icl", "rag"]
    assert (icl.signs.text, rag.signs.text) == ("3/3", "2/3")
    # eight questions, all flipped together: 2 of 256 sign vectors, twice for two comparisons
    assert icl.found.p == pytest.approx(2 / 256)
    assert icl.p_adjusted == pytest.approx(4 / 256)
    text = markdown_comparisons([icl, rag], "prompt")
    assert "| icl | attitude | **+1.000** [+1.000 +1.000] | 0.016 | 3/3 |" in text


def test_unknown_names_are_told() -> None:
    cells = [cell("prompt", "ada", [1.0]), cell("sanity:longest", "ada", [1.0])]
    with pytest.raises(UnknownNameError, match="unknown system 'promt'"):
        comparisons(cells, "promt")
    with pytest.raises(UnknownNameError, match="unknown table 'bord'"):
        comparisons(cells, "prompt", tables=("bord",))
    assert comparisons(cells, "prompt") == []
