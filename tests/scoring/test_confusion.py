"""Who is taken for whom, by numbers worked out by hand."""

from __future__ import annotations

import pytest

from persbench.scoring.confusion import chosen, confusion

LABELS = ["ada/early", "ada/late", "bo/early"]


def test_a_tie_is_split_and_an_unscored_item_is_counted_apart() -> None:
    found = confusion(
        [
            ("ada/early", LABELS, [-1.0, -2.0, -3.0]),
            ("ada/early", LABELS[::-1], [-1.0, -1.0, -2.0]),  # bo and late ada
            ("ada/early", LABELS, [-1.0, -1.0, -1.0 - 5e-6]),  # within the tie of 1e-5
            ("ada/early", LABELS, [-1.0, None, -2.0]),
            ("bo/early", LABELS, [0.0, 1.0, 0.5]),
        ]
    )
    assert found.labels == ("ada/early", "ada/late", "bo/early")
    assert found.credit == pytest.approx(
        {
            ("ada/early", "ada/early"): 1 + 1 / 3,
            ("ada/early", "ada/late"): 1 / 2 + 1 / 3,
            ("ada/early", "bo/early"): 1 / 2 + 1 / 3,
            ("bo/early", "ada/late"): 1.0,
        }
    )
    assert (found.n["ada/early"], found.unscored["ada/early"]) == (3, 1)
    assert sum(found.share("ada/early", label) or 0.0 for label in LABELS) == pytest.approx(1.0)
    assert found.share("bo/early", "bo/early") == 0.0
    assert found.share("ada/late", "bo/early") is None  # a candidate whose own answers nobody asked for


def test_all_unscored_is_no_choice() -> None:
    found = confusion([("ada/early", LABELS, [None, None, None]), ("ada/early", LABELS, [float("nan"), 0.0, 0.0])])
    assert (found.credit, found.n["ada/early"], found.unscored["ada/early"]) == ({}, 0, 2)
    assert found.share("ada/early", "ada/early") is None


def test_nothing_and_what_does_not_fit() -> None:
    assert confusion([]).labels == ()
    with pytest.raises(ValueError, match="2 scores do not match 3 labels"):
        confusion([("ada/early", LABELS, [0.0, 1.0])])


def test_chosen_are_the_winners_labels() -> None:
    assert chosen(LABELS, [1.0, 3.0, 3.0]) == ["ada/late", "bo/early"]
    assert chosen(LABELS, [1.0, None, 3.0]) == []
