"""Ranks: shared where systems cannot be told apart, and only among those that were asked the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from persbench.report.board import Column, columns
from persbench.report.cells import Cell
from persbench.report.site.ranks import Rank, can_be_ranked, ranks

COLUMN = Column(metric="right", task="persbench_attitude", name="right", help="")


def system(values: Sequence[float | None], *, persona: str = "ada", **signature: Any) -> list[Cell]:
    rows = [
        {"id": f"i{i}", "cluster": f"q{i}", "metrics": {"right": [value, value is not None]}}
        for i, value in enumerate(values)
    ]
    return [Cell("s", persona, {"pack": "w@1", "tasks": "attitude-1.0@a", **signature}, {"persbench_attitude": rows})]


def places(found: dict[str, Rank]) -> dict[str, int | None]:
    return {name: rank.place for name, rank in found.items()}


def test_who_cannot_be_told_from_the_leader_shares_its_rank_and_the_next_counts_them() -> None:
    best = [1.0] * 20
    near = [1.0] * 19 + [0.0]  # one flip in twenty: p = 1
    worst = [0.0] * 20  # all flip: p far below 0.05
    also = [0.0] * 19 + [1.0]
    found = ranks({"b": system(best), "n": system(near), "w": system(worst), "a": system(also)}, COLUMN)
    assert places(found) == {"b": 1, "n": 1, "w": 3, "a": 3}
    assert found["n"].shared == 2


def test_holm_counts_all_comparisons_with_the_leader() -> None:
    # Six differences of one sign: p = 2 / 2**6 = 0.031. Alone that tells them apart; among two such it does not.
    leader, other = [1.0] * 20, [1.0] * 14 + [0.0] * 6
    alone = ranks({"l": system(leader), "o": system(other)}, COLUMN)
    assert places(alone) == {"l": 1, "o": 2}
    two = ranks({"l": system(leader), "o": system(other), "p": system(other)}, COLUMN)
    assert places(two) == {"l": 1, "o": 1, "p": 1}


def test_who_is_ahead_on_the_items_that_both_have_is_not_put_below() -> None:
    leader = [1.0] * 40 + [0.0] * 40 + [None] * 20  # mean 0.50
    ahead = [1.0] * 48 + [0.0] * 52  # mean 0.48, and eight better where both have a value: p = 2 / 2**8
    found = ranks({"l": system(leader), "a": system(ahead)}, COLUMN)
    assert places(found) == {"l": 1, "a": 1}


def test_where_less_is_better_the_least_leads() -> None:
    cost = Column(metric="right", task="persbench_attitude", name="right", help="", cost=True)
    found = ranks({"much": system([1.0] * 12), "little": system([0.0] * 12)}, cost)
    assert places(found) == {"much": 2, "little": 1}


def test_other_items_are_not_ranked_and_the_reason_says_how_many() -> None:
    found = ranks({"full": system([1.0] * 10), "half": system([1.0] * 5)}, COLUMN)
    assert found["half"] == Rank(None, reason="5 of 10 items")
    assert found["full"].place == 1


def test_other_data_or_another_version_is_not_ranked() -> None:
    found = ranks(
        {
            "a": system([1.0] * 10),
            "b": system([0.0] * 10),
            "old": system([1.0] * 10, tasks="attitude-0.9@z"),
            "else": system([1.0] * 10, pack="other@2"),
        },
        COLUMN,
    )
    assert places(found) == {"a": 1, "b": 2, "old": None, "else": None}
    assert "another version" in found["old"].reason


def test_unscored_is_no_zero_and_over_a_fifth_of_it_is_not_ranked() -> None:
    few = [1.0] * 9 + [None]
    many = [1.0] * 7 + [None] * 3
    found = ranks({"whole": system([1.0] * 10), "few": system(few), "many": system(many)}, COLUMN)
    assert places(found) == {"whole": 1, "few": 1, "many": None}
    assert found["many"].reason == "3 of 10 items unscored"


def test_all_unscored_and_a_single_system() -> None:
    found = ranks({"none": system([None] * 5)}, COLUMN)
    assert places(found) == {"none": None}
    assert places(ranks({"alone": system([0.0, 1.0])}, COLUMN)) == {"alone": 1}
    assert ranks({}, COLUMN) == {}


def test_the_order_and_the_names_of_systems_change_nothing() -> None:
    one = {"a": system([1.0] * 15), "b": system([0.0] * 15), "c": system([1.0] * 14 + [0.0])}
    assert ranks(dict(reversed(one.items())), COLUMN) == ranks(one, COLUMN)


def test_only_means_over_items_that_everybody_is_asked_are_ranked() -> None:
    assert all(can_be_ranked(column) for column in columns("board"))
    unranked = {column.metric for column in columns("resistance") if not can_be_ranked(column)}
    assert {"d_prime", "held_all", "turn_of_flip"} <= unranked
