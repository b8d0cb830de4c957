"""The paper's tables on small results: golden fields, what is missing by name, published numbers as printed."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean
from typing import Any

import pytest
from synthetic_cells import ONE, OTHER, PACK, QUESTIONS, SIX, cell, system_cells, talkers

from persbench.judging.qualification import Standing
from persbench.report.board import Entry, Line, lines_of
from persbench.report.cells import Cell
from persbench.report.judged import JudgedRun, JudgedTable
from persbench.report.paper.ablation import ablation_document
from persbench.report.paper.controls import surface_wins
from persbench.report.paper.formats import WRITERS, csv_text, markdown, markdown_grid
from persbench.report.paper.judge import judge_document
from persbench.report.paper.main import main_document
from persbench.report.paper.published import published, published_table_1, published_table_2
from persbench.report.paper.table_1 import table_1_document
from persbench.report.paper.table_2 import table_2_document
from persbench.report.paper.tables import NOT_MEASURED, Document, Table
from persbench.scoring.stats import Interval

TRAINED = system_cells("persllm", 1.0) + system_cells("prompt", 0.0) + system_cells("vanilla", 0.5)


def table_of(document: Document, name: str) -> Table:
    return next(table for table in document.tables if table.name == name)


def row_of(table: Table, label: str) -> list[str]:
    line = next(line for line in markdown_grid(table).split("\n") if line.startswith(f"| {label} |"))
    return [field.strip() for field in line.strip("|").split("|")]


def test_published_averages_are_those_of_their_rows() -> None:
    rows = published_table_2()
    average = rows["average"]
    for measure, found in average.items():
        for side in (0, 1):
            own = fmean(row[measure][side] for who, row in rows.items() if who != "average")
            if (measure, side) == ("inter", 1):
                assert f"{own:.2f}" == "0.32"
                assert "its rows have a mean of 0.32" in published()["table_2"]["notes"][0]
            else:
                assert own == pytest.approx(found[side], abs=0.0051)


def test_published_counts_add_up_where_they_are_said_to() -> None:
    rows = {row["label"]: row for row in published()["table_1"]["rows"]}
    sums = {label: sum(row["counts"]) for label, row in rows.items()}
    assert sums["conversation paragraphs"] == rows["conversation paragraphs"]["sum"] == 861
    assert sums["train, early"] + sums["train, late"] == 14_509
    assert sums["test, early"] + sums["test, late"] == 3_608
    told = " ".join(published_table_1().notes)
    for label in ("experience paragraphs", "knowledge paragraphs"):
        assert sums[label] != rows[label]["sum"]
        assert str(sums[label]) in told


def test_table_1_stands_beside_the_published_one() -> None:
    counts = [["", "Ada", "sum", "words"], ["knowledge paragraphs", "3", "3", "0.1k"], ["train, early", "4", "4", ""]]
    document = table_1_document(counts, "w-1@abc")
    ours, theirs = document.tables
    assert markdown_grid(ours).split("\n")[2:] == [
        "| knowledge paragraphs | 3 | 3 | 0.1k |",
        "| train, early | 4 | 4 |  |",
    ]
    assert row_of(theirs, "experience paragraphs") == [
        "experience paragraphs", "224", "124", "78", "107", "178", "14", "1567", "230k",
    ]  # fmt: skip
    assert "table-1,knowledge paragraphs,3,3,0.1k" in csv_text(document)


def test_headline_scores_with_interval_signs_and_n() -> None:
    cells = [cell("prompt", who, {"attitude_acc": [0.0, 1.0, None]}) for who in SIX[:2]]
    cells += [cell("persllm", "ada", {"attitude_acc": [1.0, 1.0, 1.0]})]
    cells += [cell("persllm", "bo", {"attitude_acc": [0.0, 1.0, 0.0]})]
    table = table_of(main_document(cells), "main")
    place = [column.head for column in table.columns].index("attitude")
    assert row_of(table, "persllm")[place] == "**0.67**<br>[.50 1.00]<br>1/2 above<br>n 6"
    assert row_of(table, "prompt")[place] == "**0.50**<br>[.00 1.00]<br>n 4 (+2)"
    assert row_of(table, "chance")[place] == "0.50"
    assert row_of(table, "persllm")[place + 1] == NOT_MEASURED


@pytest.mark.parametrize("style", sorted(WRITERS))
def test_systems_that_are_missing_are_named_and_no_field_is_empty(style: str) -> None:
    text = WRITERS[style](main_document(TRAINED))
    for system in ("icl", "rag", "stylized", "persllm-sft", "no-analysis"):
        assert system in text
    assert text.count(NOT_MEASURED) > 10
    assert "|  |" not in text
    assert WRITERS[style](main_document(list(reversed(TRAINED)))) == text  # the order of files changes nothing


def test_every_claim_has_its_verdict_with_evidence_data_and_model() -> None:
    document = main_document(TRAINED)
    abstract, claims = table_of(document, "abstract"), table_of(document, "claims")
    assert [row.fields[1].lines[0] for row in abstract.rows] == [
        *["partly confirmed"] * 4, *[NOT_MEASURED] * 2, "not part of this comparison",
    ]  # fmt: skip
    assert abstract.rows[0].fields[2].lines == (
        "knowledge, persllm - prompt: +1.000 [+1.000 +1.000], confirmed",
        "not measured yet: stylized, stylized-matched",
    )
    assert [row.fields[2].lines[0] for row in claims.rows] == ["confirmed", *[NOT_MEASURED] * 4]
    assert "toy@111111111111 on world-1.0.0@222222222222" in abstract.title
    assert "Data: world-1.0.0@222222222222, 6 personas (ada, bo, cy, di, ed, flo)." in abstract.notes
    assert "Sanity systems: not measured yet." in abstract.notes


def test_comparisons_are_told_in_full_and_missing_ones_together() -> None:
    table = table_of(main_document(TRAINED), "comparisons")
    grid = markdown_grid(table)
    told = "**+1.000 [+1.000 +1.000]** | 0.047 | 6/6 | - | 48 | **confirmed** |"
    assert f"| 1 | persllm - prompt | knowledge | {told}" in grid
    assert "| 4 | persllm - no-analysis | induction, attitude | not measured yet" in grid
    assert "| 2 | persllm - stylized | 6 headlines | not measured yet | - | - | - | - |" in grid
    assert len(table.rows) == 6 + 2 + 3 + 4 + 1


def test_controls_say_what_they_found() -> None:
    limited = [replace(one, signature=one.signature | {"limit": 8}) for one in TRAINED]
    notes = " ".join(table_of(main_document(limited), "abstract").notes)
    assert "limit 8" in notes
    assert "vanilla" not in notes  # it is at chance
    some = [one for one in limited if one.system != "vanilla" or one.persona != SIX[0]]
    notes = " ".join(table_of(main_document(some), "abstract").notes)
    assert "vanilla, which knows no persona, over all personas: not measured yet." in notes
    knowing = system_cells("vanilla", 1.0) + system_cells("prompt", 0.0)
    notes = " ".join(table_of(main_document(knowing), "abstract").notes)
    assert "attitude: vanilla, which knows no persona, is not at chance (1.00 against 0.50)" in notes


def rule_cells(name: str, score: list[float | None], metric: str = "knowledge_acc") -> list[Cell]:
    return [cell(name, who, {metric: score}) for who in SIX]


def test_a_surface_rule_above_chance_takes_its_headline_out() -> None:
    cells = TRAINED + rule_cells("sanity:longest", [1.0] * QUESTIONS) + rule_cells("sanity:random", [0.0, 1.0] * 4)
    wins = surface_wins(lines_of(cells), PACK)
    assert wins == {"knowledge_acc": "sanity:longest is above chance (1.00 against 0.50): this headline says nothing"}
    document = main_document(cells)
    assert table_of(document, "claims").rows[0].fields[2].lines[0] == "partly confirmed"
    assert any(note.startswith("knowledge: sanity:longest") for note in table_of(document, "abstract").notes)
    assert "1.00<br>longest" in row_of(table_of(document, "main"), "best surface rule")
    elsewhere = [replace(one, signature=one.signature | {"pack": "other-1@3"}) for one in cells[len(TRAINED) :]]
    assert surface_wins(lines_of(TRAINED + elsewhere), PACK) == {}
    below = TRAINED + rule_cells("sanity:longest", [0.0] * QUESTIONS)
    floor = TRAINED + rule_cells("sanity:profile_overlap", [1.0] * QUESTIONS)
    assert surface_wins(lines_of(below), PACK) == surface_wins(lines_of(floor), PACK) == {}
    assert "no rule" in row_of(table_of(main_document(floor), "main"), "best surface rule")
    assert "1.00<br>profile overlap" in row_of(table_of(main_document(floor), "main"), "floor")


@pytest.mark.parametrize(("score", "told"), [(1.0, "undecided"), (0.5, "confirmed")])
def test_a_surface_rule_takes_a_headline_out_of_the_ablations_too(score: float, told: str) -> None:
    cells = system_cells("persllm", 1.0, SIX[:2]) + system_cells("no-analysis", 0.0, SIX[:2])
    rules = rule_cells("sanity:longest", [score] * QUESTIONS, "attitude_acc")
    table = table_of(ablation_document(cells + rules), "ablation-claim")
    (row,) = (row for row in table.rows if row.fields[2].lines == ("attitude",))
    assert row.fields[-1].lines[0] == told


def test_hostile_names_of_systems_stay_names() -> None:
    cells = TRAINED + system_cells("=evil|\\end{tabular}<script>\u202e", 0.5)
    for style, writer in WRITERS.items():
        text = writer(main_document(cells))
        assert "<script>" not in text.split("```")[0] or style != "markdown"
        assert "\u202e" not in text
    assert "| =evil\\|\\\\end{tabular}&lt;script&gt;\\\\u202e |" in markdown(main_document(cells))
    assert "main,'=evil|\\end{tabular}<script>\\u202e,0.5," in csv_text(main_document(cells))


APART = {who: (f"{who} {who} {who} {who}",) * 2 for who in SIX[:2]}
MIXED = dict.fromkeys(SIX[:2], (ONE, OTHER))


def test_table_2_by_persona_and_on_average() -> None:
    """Two texts without a word in common: Intra 0, and of four pairs between stages or personas two are equal."""
    document = table_2_document(talkers("persllm-sft", MIXED) + talkers("persllm", APART))
    ours = table_of(document, "table-2")
    assert row_of(ours, "ada") == [
        "ada",
        "0.00<br>[.00 .00]<br>n 16", "100.00<br>[100.00 100.00]<br>n 16",
        "50.00<br>[50.00 50.00]<br>n 8", "100.00<br>[100.00 100.00]<br>n 8",
        "50.00<br>[50.00 50.00]<br>n 16", "0.00<br>[.00 .00]<br>n 16",
    ]  # fmt: skip
    assert row_of(ours, "average")[1] == "0.00<br>[.00 .00]<br>n 32"
    directions = table_of(document, "table-2-directions")
    assert row_of(directions, "Intra")[1:] == [
        "higher with DPO", "3.53 to 3.86", "0.00 to 100.00", "+100.00 [+100.00 +100.00]", "2/2",
        "**confirmed**<br>beside the protocol",
    ]  # fmt: skip
    assert row_of(directions, "Inter")[1:] == [
        "lower with DPO", "0.38 to 0.33", "50.00 to 0.00", "-50.00 [-50.00 -50.00]", "2/2", "**confirmed**",
    ]  # fmt: skip
    assert row_of(directions, "Intra &gt; Stage &gt; Inter")[3] == (
        "100.00, 100.00, 0.00 (persllm-sft: 0.00, 50.00, 50.00)"
    )
    assert row_of(directions, "Stage")[-1] == "reported"


def test_table_2_where_something_is_missing() -> None:
    empty = table_2_document(TRAINED)
    assert row_of(table_of(empty, "table-2"), "average")[1:] == [NOT_MEASURED] * 6
    assert row_of(table_of(empty, "table-2-published"), "average")[1:] == [
        "3.53",
        "3.86",
        "3.46",
        "3.50",
        "0.38",
        "0.33",
    ]
    half = table_2_document(talkers("persllm-sft", MIXED) + talkers("persllm", {"ada": (ONE, ONE)}))
    ada, bo = (row_of(table_of(half, "table-2"), who) for who in ("ada", "bo"))
    assert ada[6] == "does not arise"  # nobody to be told from
    assert bo[2] == NOT_MEASURED
    blank = table_2_document(talkers("persllm", {"ada": (" ", ONE)}))
    assert row_of(table_of(blank, "table-2"), "ada")[2] == "unscored<br>n 0 (+16)"


def test_ablations_are_compared_on_their_own_personas() -> None:
    cells = system_cells("persllm", 1.0) + system_cells("no-analysis", 0.5, SIX[:2]) + system_cells("persllm-sft", 0.0)
    document = ablation_document(cells)
    table = table_of(document, "ablation")
    assert row_of(table, "persllm")[2] == "**1.00**<br>[1.00 1.00]<br>n 16"
    assert row_of(table, "no-analysis")[2] == "**0.50**<br>[.50 .50]<br>whole +0.500<br>[+.500 +.500]<br>n 16"
    assert row_of(table, "persllm-sft")[1:3] == [
        "automatic DPO", "**0.00**<br>[.00 .00]<br>whole +1.000<br>[+1.000 +1.000]<br>n 16",
    ]  # fmt: skip
    assert row_of(table, "no-general")[1:] == ["general dialogues", *[NOT_MEASURED] * 7]
    claim = table_of(document, "ablation-claim")
    assert claim.title.endswith("partly confirmed")
    assert "| 4 | persllm - no-analysis | attitude | **+0.500 [+.500 +.500]** | 0.039 | 2/2 |" in markdown_grid(claim)


def judged(*, qualified: bool, **more: Any) -> JudgedTable:
    run = JudgedRun("", "known", "id", "annotator", "world-1@2", "judge:known", {}, {})
    line = Line("prompt", "", ("ada",), {}, {"average_rank": Entry(Interval(1.5, 1.0, 2.0, 4, 4, 1), None, None, None)})
    found = JudgedTable(run, (line,), {"rank": Standing(qualified, "" if qualified else "was not examined")}, False, ())
    return replace(found, **more)


def test_judged_numbers_are_set_back_where_the_judge_did_not_qualify() -> None:
    cells = system_cells("prompt", 0.5) + system_cells("rag", 0.5)
    good = judge_document([judged(qualified=True)], cells)
    assert "| prompt | **1.50**<br>[1.00 2.00]<br>n 4 (+1) |" in markdown(good)
    assert "| rag | not judged yet |" in markdown(good)
    assert "| persllm | not measured yet |" in markdown(good)
    grey = judge_document([judged(qualified=False)], cells)
    assert "| system | rank \u2020 |" in markdown(grey)
    assert "| prompt | (1.50<br>[1.00 2.00]<br>n 4 (+1)) |" in markdown(grey)
    assert "did not qualify" in markdown(grey)
    head, line = csv_text(grey).split("\n")[:2]
    assert "rank,rank low," in head
    assert "rank qualified" in head
    assert line.startswith("judge-1,")
    built = markdown(judge_document([judged(qualified=True, took_part=True)], cells))
    assert "Judged by known\u2021" in built
    assert "its numbers are not known to us" in built
