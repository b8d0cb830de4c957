"""What the site says of a submitted system whose cosines nobody computed again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from site_world import cell, cells
from test_site_pages import SCRIPT, build

from persbench.records import CellRecord, save_record
from persbench.report.cells import load_cells
from persbench.report.site.safe import slug


def test_cosines_that_nobody_recomputed_are_marked_where_the_system_stands(tmp_path: Path) -> None:
    bo, ada = cell("prompt", "bo", 0.1), replace(cell("prompt", "ada", 0.1), not_recomputed=(f"cosine_{SCRIPT}",))
    pages = build([ada, bo, *cells(persllm=0.9)], tmp_path / "site", most=0)
    mark, footnote = (
        b'title="not recomputed: cosine_&lt;/script&gt;',
        b"\xe2\x80\xa0</span> Not recomputed",
    )
    for name in ("index.html", "resistance.html", f"board-{slug('ada')}.html"):
        assert pages[name].count(mark) == pages[name].count(footnote) == 1
        row = next(row for row in pages[name].split(b"<tr") if mark in row)
        assert b'data-name="prompt"' in row
    assert mark not in pages[f"board-{slug('bo')}.html"]
    assert footnote not in pages[f"board-{slug('bo')}.html"]
    marked = [n for n, c in pages.items() if n.startswith("systems/") and b"<b>not recomputed</b>" in c]
    assert [b"<h1><bdi>prompt</bdi></h1>" in pages[name] for name in marked] == [True]


def test_records_say_what_of_a_submission_nobody_recomputed(tmp_path: Path) -> None:
    for place, names in enumerate((None, ["cosine_nearest", "cosine_lift"], 7)):
        tasks = {"persbench_costume": {"version": "1.0", "hash": "ab" * 8, "samples": []}}
        record = CellRecord(f"s{place}", "ada", "k", {}, tasks, {}, {"submission": {"not_recomputed": names}})
        save_record(tmp_path / "records" / f"s{place}__ada.json", record)
    found, _ = load_cells(tmp_path)
    assert [made.not_recomputed for made in found] == [(), ("cosine_lift", "cosine_nearest"), ()]
