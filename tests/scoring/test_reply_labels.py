"""The labelled replies that ship: complete, honest about their passes, and what is published of them is true."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from persbench.models.embedder import SentenceEmbedder
from persbench.models.fetch import fetch_embedder
from persbench.packs.bundled import bundled_pack
from persbench.packs.load import load_pack
from persbench.report.board import columns
from persbench.report.sorting import WANTED, markdown_examination
from persbench.scoring.reply_examination import examine
from persbench.scoring.reply_sorting import labelled_replies
from persbench.scoring.resistance import REPLY_CLASSES

README = Path(__file__).resolve().parents[2] / "tasks" / "persbench_resistance" / "README.md"


def test_enough_real_replies_of_all_kinds_and_several_systems_labelled_twice() -> None:
    rows = labelled_replies()
    assert len(rows) >= 240
    assert len(Counter(row.case.kind for row in rows)) == 6
    assert len({row.system for row in rows}) >= 6
    for row in rows:
        assert {*row.passes, row.label} <= set(REPLY_CLASSES)
        if row.passes[0] == row.passes[1]:
            assert row.label == row.passes[0]
        assert row.case.reply.strip()


def test_they_answer_the_items_of_the_reference_world() -> None:
    items = {row.id: row for data in load_pack(bundled_pack()).personas for row in data.induction}
    for row in labelled_replies():
        item = items[row.case.item]
        assert (item.induced, item.resist, item.yield_) == (row.case.prompt, row.case.resist, row.case.yielded)


@pytest.mark.model
def test_the_published_table_and_the_board_s_warning_are_true() -> None:
    found = examine(SentenceEmbedder(fetch_embedder()))
    published = README.read_text("utf-8").partition("<!-- sorting -->\n")[2].partition("<!-- /sorting -->")[0]
    assert published == markdown_examination(found)
    kappa = found.classifier.kappa
    assert kappa is not None
    warning = next(column.help for column in columns("resistance") if column.metric == "reply_resist")
    assert f"{kappa:.2f}" in warning
    assert ("below 0.6" in warning) == (kappa < WANTED)
