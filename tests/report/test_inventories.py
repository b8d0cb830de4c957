"""Whole inventories: an IPIP-NEO that a user brings as CSV, from the file to percentiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from persbench.errors import PersbenchError
from persbench.harness.run import run
from persbench.harness.settings import RunSettings
from persbench.packs.bundled import fake_pack
from persbench.report.board import lines_of
from persbench.report.cells import Cell, load_cells
from persbench.report.inventories import inventories, markdown_inventories
from persbench.scoring.ipip_neo import key_of, percentiles

NORMS: dict[str, Any] = {"sex": "N", "age": 40}


def row(number: int, answer: float | None, **changed: Any) -> dict[str, Any]:
    """An item answered with a point of the scale, with a tie (x.5), or not at all."""
    domain, keyed = key_of(number, 120)
    points = range(1, 6)
    lls = [None if answer is None else float(abs(point - answer) < 1) for point in points]
    asking = {"label": "text/ascending", "loglikelihoods": lls, "anchors": [0.0] * 5}
    statement = {"id": f"ipip-{number:03}", "domain": domain, "keyed": keyed, "target": None} | changed
    return {"persona": "ada", "stage": "early", "statement": statement, "bytes": [1] * 5, "branches": [asking]}


def cell(rows: list[dict[str, Any]], system: str = "prompt") -> Cell:
    return Cell(system, "ada", {}, {"persbench_traits": rows})


def test_answers_as_they_were_given_reach_the_library() -> None:
    given = {number: 1 + number % 5 for number in range(1, 121)}
    (found,) = inventories([cell([row(n, a) for n, a in given.items()]), cell([row(1, 3)], "sanity:x")], **NORMS)
    assert found.found == percentiles(given, **NORMS)
    assert (found.system, found.persona, found.stage, found.items, found.unscored) == ("prompt", "ada", "early", 120, 0)
    text = markdown_inventories([found], **NORMS)
    numbers = " | ".join(f"{value:.0f}" for value in found.found.values())
    assert text.splitlines()[0] == "IPIP-NEO-120, percentiles among people (norms: sex N, age 40)"
    assert f"| prompt | ada | early | {numbers} | 0 |" in text


@pytest.mark.parametrize("hole", [None, 2.5])
def test_an_item_without_an_answer_leaves_the_inventory_unscored(hole: float | None) -> None:
    (found,) = inventories([cell([row(n, hole if n in {7, 8} else 3) for n in range(1, 121)])], **NORMS)
    assert (found.found, found.unscored) == (None, 2)
    assert "| prompt | ada | early | - | - | - | - | - | 2 |" in markdown_inventories([found], **NORMS)


def test_another_scale_a_part_of_one_and_other_keys_are_refused() -> None:
    for rows in ([row(n, 3) for n in range(1, 120)], [row(1, 3, id="anger")]):
        with pytest.raises(PersbenchError, match=r"are no whole IPIP-NEO.*without --limit"):
            inventories([cell(rows)], **NORMS)
    rows = [row(n, 3, **({"keyed": -1} if n == 1 else {})) for n in range(1, 121)]
    with pytest.raises(PersbenchError, match=r"other domains or keys than IPIP-NEO-120: ipip-001 is N -1, there N \+1"):
        inventories([cell(rows)], **NORMS)
    assert inventories([cell([])], **NORMS) == []


def test_a_csv_of_120_items_runs_and_is_scored(tmp_path: Path) -> None:
    lines = ["id,domain,facet,keyed,text"]
    for number in range(1, 121):
        domain, keyed = key_of(number, 120)
        lines.append(f"ipip-{number},{domain},facet,{keyed},Item number {number} of a scale.")
    scale = tmp_path / "ipip-neo-120.csv"
    scale.write_text("\n".join(lines), "utf-8")
    settings = RunSettings(
        model="fake", pack=fake_pack(), out=tmp_path / "out", backend="persbench-fake", systems=("prompt",),
        personas=("ada",), tasks=("persbench_traits",), anchors=tmp_path / "anchors", instrument=scale,
    )  # fmt: skip
    run(settings, lambda _: None)
    cells, _ = load_cells(tmp_path / "out")
    found = inventories(cells, **NORMS)
    assert [(one.stage, one.items, one.unscored) for one in found] == [("early", 120, 0), ("late", 120, 0)]
    assert all(one.found is not None and all(1 <= v <= 99 for v in one.found.values()) for one in found)
    (line,) = lines_of(cells, "traits")
    assert line.entries["trait_r"].value.n == 10  # two stages by five domains have targets
