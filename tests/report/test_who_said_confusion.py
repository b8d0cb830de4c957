"""The confusion matrix of who said, from rows of records."""

from __future__ import annotations

from typing import Any

from persbench.report.cells import Cell
from persbench.report.confusion import confusions, markdown_confusions

LABELS = ["bo/late", "ada/early", "ada/late"]


def row(stage: str, lls: list[float | None], anchors: list[float] | None) -> dict[str, Any]:
    """Candidates of 10 bytes each: nats per byte are a tenth of the log-likelihoods."""
    found = {"persona": "ada", "stage": stage, "labels": LABELS, "bytes": [10, 10, 10], "loglikelihoods": lls}
    return found | ({} if anchors is None else {"anchors": anchors})


def letters(stage: str, chosen: list[int | None]) -> dict[str, Any]:
    return {"persona": "ada", "stage": stage, "labels": LABELS, "chosen": chosen}


def cell(system: str, **tasks: list[dict[str, Any]]) -> Cell:
    return Cell(system, "ada", {}, {f"persbench_{name}": rows for name, rows in tasks.items()})


def test_likelihoods_per_byte_anchored_and_raw() -> None:
    # Anchored: -2 + 1.5, -1 + 0.9, -1.5 + 1.6: late Ada. Raw: early Ada.
    rows = [row("early", [-20.0, -10.0, -15.0], [-1.5, -0.9, -1.6]), row("late", [-20.0, None, -15.0], None)]
    (anchored,) = confusions([cell("prompt", who_said=rows)])
    (raw,) = confusions([cell("prompt", who_said=rows)], raw=True)
    assert (anchored.asked, anchored.found.credit) == ("anchored", {("ada/early", "ada/late"): 1.0})
    assert (raw.asked, raw.found.credit) == ("raw", {("ada/early", "ada/early"): 1.0})
    assert (raw.found.unscored["ada/late"], anchored.found.unscored["ada/late"]) == (1, 1)


def test_letters_share_an_item_over_both_orders() -> None:
    rows = [letters("early", [1, 1]), letters("early", [1, 0]), letters("late", [2, None]), letters("late", [2, 2])]
    (found,) = confusions([cell("prompt", who_said_gen=rows)])
    assert found.asked == "letters"
    assert found.found.credit == {
        ("ada/early", "ada/early"): 1.5,
        ("ada/early", "bo/late"): 0.5,
        ("ada/late", "ada/late"): 1.0,
    }
    assert (found.found.n["ada/late"], found.found.unscored["ada/late"]) == (1, 1)


def test_the_table_has_a_row_for_whom_it_was_and_a_column_for_whom_it_was_taken() -> None:
    sure = row("early", [-20.0, -10.0, -15.0], [0.0] * 3)
    tied = row("early", [-10.0, -10.0, -15.0], [0.0] * 3)
    lost = row("late", [None, -10.0, -15.0], [0.0] * 3)
    cells = [cell("prompt", who_said=[sure, tied, lost]), cell("vanilla", attitude=[])]
    assert markdown_confusions(confusions(cells)) == (
        "**prompt**, anchored\n\n"
        "| chosen (%) | ada/early | ada/late | bo/late | n | unscored |\n"
        "|---|---:|---:|---:|---:|---:|\n"
        "| ada/early | **75** |  | 25 | 2 | 0 |\n"
        "| ada/late | - | - | - | 0 | 1 |\n"
    )
    assert confusions([cell("prompt", attitude=[])]) == []
