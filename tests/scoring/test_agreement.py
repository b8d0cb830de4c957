"""Krippendorff's alpha against the numbers of its author, against nltk, and against tables worked out by hand."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.metrics.agreement import AnnotationTask  # type: ignore[import-untyped]

from persbench.scoring.agreement import Level, krippendorff_alpha

# Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, example D: four observers, twelve units.
N: Final = None
PUBLISHED: list[list[int | None]] = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
    [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
]
Row = tuple[int | None, int, int]


def rows_of(table: list[list[int | None]]) -> list[Row]:
    return [(value, unit, rater) for rater, row in enumerate(table) for unit, value in enumerate(row)]


def alpha(rows: list[Row], level: Level = "ordinal") -> float | None:
    values, units, raters = zip(*rows, strict=True)
    return krippendorff_alpha(values, units, raters, level=level, draws=10).mean


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_the_published_example(level: Level, published: float) -> None:
    found = alpha(rows_of(PUBLISHED), level)
    assert found is not None
    assert round(found, 3) == published


def test_the_published_example_counts_what_can_be_paired() -> None:
    """Forty of 48 cells are rated in units with two ratings: unit 12 has a single one."""
    values, units, raters = zip(*rows_of(PUBLISHED), strict=True)
    found = krippendorff_alpha(values, units, raters)
    assert (found.n, found.clusters, found.unscored) == (40, 4, 8)
    assert found.mean is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.mean < found.high


def test_two_raters_by_hand() -> None:
    """Units 1-1, 1-2, 2-2, nominal: one pair of three disagrees, 1/3; among all six ratings 2 * 3 * 3 / (6 * 5) = 0.6.

    Ordinal is the same: with two values all distances are alike.
    """
    rows = rows_of([[1, 1, 2], [1, 2, 2]])
    assert alpha(rows, "nominal") == pytest.approx(1 - (1 / 3) / 0.6)
    assert alpha(rows, "ordinal") == pytest.approx(1 - (1 / 3) / 0.6)


def _by_nltk(rows: list[Row]) -> float:
    """Ordinal alpha with nltk's sums over pairs and the distance written out from the definition."""
    units = Counter(unit for value, unit, _ in rows if value is not None)
    kept = [(rater, unit, value) for value, unit, rater in rows if value is not None and units[unit] > 1]
    counts = Counter(value for *_, value in kept)
    values = sorted(counts)

    def distance(one: int, other: int) -> float:
        low, high = sorted((one, other))
        between = [counts[v] for v in values if low <= v <= high]
        return float((sum(between) - (counts[low] + counts[high]) / 2) ** 2) if low != high else 0.0

    return float(AnnotationTask(kept, distance).alpha())


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 5).flatmap(
        lambda n: st.lists(
            st.lists(st.one_of(st.none(), st.integers(1, 5)), min_size=n, max_size=n), min_size=2, max_size=5
        )
    )
)
def test_equals_nltk_on_any_table(table: list[list[int | None]]) -> None:
    rows = rows_of(table)
    found = alpha(rows)
    units = Counter(unit for value, unit, _ in rows if value is not None)
    values = {value for value, unit, _ in rows if value is not None and units[unit] > 1}
    if len(values) < 2:
        assert found is None  # nothing varies, or nothing can be paired
    else:
        assert found == pytest.approx(_by_nltk(rows), abs=1e-9)


def test_agreement_and_its_opposite() -> None:
    assert alpha(rows_of([[1, 2, 3, 4, 5]] * 3)) == pytest.approx(1)
    opposed = alpha(rows_of([[1, 5, 1, 5], [5, 1, 5, 1]]))
    assert opposed is not None
    assert opposed < 0


def test_order_of_rows_changes_no_bit() -> None:
    rows = rows_of(PUBLISHED)
    values, units, raters = zip(*rows, strict=True)
    again = zip(*reversed(rows), strict=True)
    assert krippendorff_alpha(values, units, raters) == krippendorff_alpha(*again)


def test_more_levels_of_one_unit_each_say_nothing() -> None:
    found = krippendorff_alpha([1, 2, None], ["a", "b", "c"], ["r", "r", "r"])
    assert (found.mean, found.low, found.n, found.unscored) == (None, None, 0, 3)
    assert krippendorff_alpha([], [], []).mean is None


def test_a_rater_drawn_twice_does_not_agree_with_themselves() -> None:
    """Raters who never agree keep an interval below 0, however often one is drawn."""
    rows = rows_of([[1, 5, 1, 5, 1, 5], [5, 1, 5, 1, 5, 1], [1, 5, 5, 1, 1, 5]])
    values, units, raters = zip(*rows, strict=True)
    found = krippendorff_alpha(values, units, raters, level="nominal")
    assert found.mean is not None
    assert found.mean < 0.1
    if found.high is not None:
        assert found.high < 0.5


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (([1.0], ["a"], []), "there must be one each"),
        (([1.0, math.nan], ["a", "a"], ["r", "s"]), "not finite"),
        (([1.0, 2.0], ["a", "a"], ["r", "r"]), "twice"),
    ],
)
def test_what_cannot_be_meant_is_refused(rows: tuple[list[float], list[str], list[str]], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        krippendorff_alpha(*rows)


def test_distances_of_neighbours_add_up_as_defined() -> None:
    """Ordinal distances depend on counts alone: relabelling the points by a rising map changes nothing."""
    rows = rows_of(PUBLISHED)
    moved = [(None if value is None else value**3 + 7, unit, rater) for value, unit, rater in rows]
    assert alpha(moved) == pytest.approx(alpha(rows))
    assert all(a < b for a, b in pairwise(sorted({v for v, *_ in moved if v is not None})))
