"""SmolLM2 as a judge, end to end: whatever it says, every case is either scored by the rules or unscored by name."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from known_run import samples_of, write_cell

from persbench.judging.judge import load_judge
from persbench.judging.records import load_judged
from persbench.judging.run import Work, judge_run
from persbench.models.fetch import fetch_model
from persbench.packs.bundled import fake_pack
from persbench.packs.load import load_pack
from persbench.report.cells import load_cells


@pytest.mark.slow
@pytest.mark.model
def test_a_small_real_model_judges_a_run(tmp_path: Path) -> None:
    for system in ("alpha", "beta"):
        write_cell(tmp_path, system, "ada", samples_of(system, "ada"))
    work = Work(tmp_path, load_cells(tmp_path)[0], load_pack(fake_pack()), ("agree", "rank"), 1)

    def silent(_: str, __: int) -> Any:
        return nullcontext(lambda _: None)

    made = judge_run(load_judge(f"local:{fetch_model()}", cache=tmp_path / "calls.sqlite"), work, silent, print)
    assert load_judged(tmp_path) == (made, [])
    assert [(record.kind, len(record.rows)) for record in made] == [("agree", 2), ("rank", 1)]
    for record in made:
        assert "by:local:" in record.signature
        for row in record.rows:
            assert len(row.orders) == (2 if record.kind == "rank" else 1)
            assert all(order["answers"] or order["reason"] for order in row.orders)
            assert (row.value is None) == bool(row.reason) == (row.unscored in ("malformed", "unanswered"))
            print(record.kind, row.value, row.unscored, [order["answers"] for order in row.orders])
    assert {row.value for row in made[0].rows if row.value is not None} <= set(range(6))
    again = judge_run(load_judge(f"local:{fetch_model()}", cache=tmp_path / "calls.sqlite"), work, silent, print)
    assert [[r.value for r in record.rows] for record in again] == [[r.value for r in record.rows] for record in made]
    answered = [record.kind for record in made if not any(row.unscored == "unanswered" for row in record.rows)]
    assert all(record.runs[1:] == [] or record.runs[1]["asked"] == 0 for record in again if record.kind in answered)
