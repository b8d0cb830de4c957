"""Which test items ask for what the dialogues tell: every item is marked, by rows that there are, and counted so."""

from __future__ import annotations

from pathlib import Path

import facts
import familiar
import pytest
import told
import unseen
from made_knowledge import BOARD, save_made

from persbench.errors import PersbenchError
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack

DEV = Path(__file__).parent.parent / "leaderboard" / "dev"
ON_TEST = DEV / "facts_on_test"


def test_every_test_item_is_marked_by_rows_that_there_are() -> None:
    marks = unseen.written(told.TOLD)
    pack = load_pack(resolve_pack(None))
    assert list(marks) == [item.id for data in pack.personas for item in data.knowledge]
    learnt = {row.id for data in pack.personas for row in data.train}
    further = set(unseen.written(facts.FACTS))
    for mark in marks.values():
        assert set(mark["trained"]) <= learnt, mark["id"]
        assert set(mark["told"]) <= further, mark["id"]
        owners = {row.split("-")[0] for row in (*mark["trained"], *mark["told"])}
        assert owners <= {mark["id"].split("-")[0]}, mark["id"]
        assert mark["fact"]


def test_an_item_counts_where_its_fact_is_told(tmp_path: Path) -> None:
    """A system that is right on what its training dialogues tell and nowhere else."""
    marks = unseen.written(told.TOLD)
    save_made(tmp_path, "persllm-sft", {name: bool(mark["trained"]) for name, mark in marks.items()})
    save_made(tmp_path, "vanilla", dict.fromkeys(marks, False))
    lines = told.table([tmp_path]).splitlines()
    trained = sum(bool(mark["trained"]) for mark in marks.values())
    further = sum(not mark["trained"] and bool(mark["told"]) for mark in marks.values())
    assert f"| persllm-sft | {told.IN_TRAIN} | 1.00 [1.00 1.00] | +1.0 | {trained} |" in lines
    assert f"| persllm-sft | {facts.ALONE} | 0.00 [.00 .00] | +1.0 | {further} |" in lines
    gap = f"| persllm-sft - vanilla | {told.IN_TRAIN} | +1.000 [+1.000 +1.000] | +0.00 [+.00 +.00] | {trained} |"
    assert gap in lines


def test_the_committed_tables_follow_from_the_committed_records() -> None:
    read = (DEV / "README.md").read_text(encoding="utf-8")
    assert told.table([BOARD, ON_TEST]) in read
    assert told.vocabulary([BOARD, ON_TEST]) in read


def test_words_of_a_reply_are_those_that_not_all_have() -> None:
    item = {"gold": "It was a gold ring.", "foils": ["It was a tin ring.", "It was a ring.", "It was a tin cup."]}
    said = familiar.in_words(item, {"gold": 2, "ring": 1, "it": 9, "was": 9, "a": 9})
    assert said.more == 1 - (1 / 2 + 1 + 0) / 3  # gold, ring; tin, ring; ring; tin, cup
    assert not said.all_met
    assert said.taken == 0.5  # its rarest word was met once, and so was the one of "a ring"
    assert familiar.in_words({"gold": "a b", "foils": ["a b c"] * 3}, {"a": 1, "b": 1}).taken == 1  # no other words


def test_too_few_items_are_refused() -> None:
    with pytest.raises(PersbenchError, match=r"^Fewer than 20 items were asked of both"):
        told.vocabulary([BOARD])


def test_records_of_other_items_are_refused() -> None:
    with pytest.raises(PersbenchError, match="is no test item"):
        told.table([DEV / "facts"])
