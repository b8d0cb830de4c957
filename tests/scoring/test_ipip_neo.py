"""IPIP-NEO by five-factor-e: numbers worked out by hand from Johnson's norms and cubic."""

from __future__ import annotations

import importlib

import pytest

from persbench.errors import PersbenchError
from persbench.scoring.ipip_neo import inventory_length, item_number, key_of, percentiles


def cubic(t: float) -> float:
    """Johnson's approximation of a percentile from a T score."""
    return 210.335958661391 - 16.7379362643389 * t + 0.405936512733332 * t**2 - 0.00270624341822222 * t**3


def keyed(towards: dict[str, int]) -> dict[int, int]:
    """Answer every item of the 120 with so much agreement towards its domain."""
    found = {}
    for number in range(1, 121):
        domain, key = key_of(number, 120)
        found[number] = towards[domain] if key == 1 else 6 - towards[domain]
    return found


def test_the_middle_of_every_item_by_hand() -> None:
    """24 items a domain, 72 points; norms of men under 21: N 67.84 (sd 15.83), E 80.70 (15.37), O 85.98 (12.37)."""
    found = percentiles(dict.fromkeys(range(1, 121), 3), sex="M", age=20)
    assert list(found) == ["O", "C", "E", "A", "N"]
    for domain, mean, deviation in (("N", 67.84, 15.83), ("E", 80.70, 15.37), ("O", 85.98, 12.37)):
        assert found[domain] == pytest.approx(cubic(10 * (72 - mean) / deviation + 50)), domain


def test_the_ends_of_the_scale_and_the_keys() -> None:
    found = percentiles(keyed({"N": 1, "E": 5, "O": 5, "A": 5, "C": 5}), sex="F", age=30)
    assert found == {"O": 99.0, "C": 99.0, "E": 99.0, "A": 99.0, "N": 1.0}
    agreeing = percentiles(dict.fromkeys(range(1, 121), 5), sex="F", age=30)
    assert agreeing["A"] < 50 < agreeing["E"]  # of 24 items on agreeableness most are reversed


def test_neutral_norms_lie_between_the_two() -> None:
    ends = sorted(percentiles(keyed(dict.fromkeys("NEOAC", 4)), sex=sex, age=40)["N"] for sex in "MF")
    assert ends[0] < percentiles(keyed(dict.fromkeys("NEOAC", 4)), sex="N", age=40)["N"] < ends[1]


def test_the_long_form() -> None:
    found = percentiles(dict.fromkeys(range(1, 301), 3), sex="N", age=40)
    assert all(1 <= value <= 99 for value in found.values())
    assert key_of(69, 300) == ("A", -1)
    assert key_of(1, 300) == key_of(1, 120) == ("N", 1)


def test_names_and_lengths() -> None:
    assert [item_number(name) for name in ("ipip-007", "q120", "7", "anger")] == [7, 120, 7, None]
    assert inventory_length(range(1, 121)) == 120
    assert inventory_length(range(1, 301)) == 300
    assert inventory_length(range(120)) is None
    assert inventory_length([1] * 120) is None


def test_what_is_not_whole_or_has_no_norms_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = dict.fromkeys(range(1, 121), 3)
    for wrong in ({}, {1: 3}, whole | {5: 6}, whole | {5: 0}):
        with pytest.raises(ValueError, match="all its 120 or 300 items"):
            percentiles(wrong, sex="N", age=40)
    for sex, age in (("X", 40), ("M", 9), ("M", 111)):
        with pytest.raises(PersbenchError, match="no norms for sex"):
            percentiles(whole, sex=sex, age=age)

    def missing(_name: str) -> None:
        raise ImportError

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(PersbenchError, match=r"pip install 'persbench\[traits\]'"):
        percentiles(whole, sex="N", age=40)
