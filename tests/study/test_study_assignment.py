"""Who meets what: blinded orders that balance position, what comes before, and persona, counted over whole rounds."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from played_study import settings

from persbench.study.assignment import plan, williams_sequence
from persbench.study.settings import StudySettings


def study(
    systems: int, parts: int = 1, per_rater: int | None = None, pairs: int | None = None, seed: int = 0
) -> StudySettings:
    return settings(
        systems={f"s{i}": "vanilla" for i in range(systems)},
        parts=[{"persona": f"p{i}", "stage": "late"} for i in range(parts)],
        systems_per_rater=per_rater,
        pairs_per_rater=pairs,
        seed=seed,
    )


def test_the_sequence_by_hand() -> None:
    assert williams_sequence(4) == [0, 1, 3, 2]
    assert williams_sequence(6) == [0, 1, 5, 2, 4, 3]
    assert williams_sequence(1) == [0]


@pytest.mark.parametrize("size", [2, 4, 6])
def test_one_round_of_an_even_number_balances_position_and_what_comes_before(size: int) -> None:
    plans = [plan(study(size), place) for place in range(size)]
    at = Counter((i, system) for one in plans for i, system in enumerate(one.systems))
    assert set(at.values()) == {1}
    after = Counter(pair for one in plans for pair in pairwise(one.systems))
    assert len(after) == size * (size - 1)
    assert set(after.values()) == {1}


@pytest.mark.parametrize("size", [3, 5])
def test_two_rounds_of_an_odd_number_do(size: int) -> None:
    plans = [plan(study(size), place) for place in range(2 * size)]
    assert set(Counter((i, system) for one in plans for i, system in enumerate(one.systems)).values()) == {2}
    after = Counter(pair for one in plans for pair in pairwise(one.systems))
    assert len(after) == size * (size - 1)
    assert set(after.values()) == {2}


def test_every_part_meets_every_system_at_every_position_equally_often() -> None:
    chosen = study(4, parts=3)
    plans = [plan(chosen, place) for place in range(2 * 4 * 3)]
    met = Counter((one.persona, i, system) for one in plans for i, system in enumerate(one.systems))
    assert len(met) == 3 * 4 * 4
    assert set(met.values()) == {2}


@given(
    st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))),
    st.integers(1, 3),
    st.integers(0, 500),
    st.integers(0, 99),
)
def test_a_rater_meets_each_assigned_system_once_and_always_the_same(
    sizes: tuple[int, int], parts: int, place: int, seed: int
) -> None:
    chosen = study(sizes[0], parts, per_rater=sizes[1], seed=seed)
    found = plan(chosen, place)
    assert found == plan(chosen, place)
    assert len(found.systems) == len(set(found.systems)) == sizes[1]
    assert set(found.systems) <= set(chosen.systems)
    assert found.pairs == tuple((i, i + 1) for i in range(1, sizes[1]))


def test_some_of_the_systems_are_met_equally_often() -> None:
    chosen = study(5, per_rater=3)
    plans = [plan(chosen, place) for place in range(5)]
    assert set(Counter(system for one in plans for system in one.systems).values()) == {3}
    assert set(Counter((i, system) for one in plans for i, system in enumerate(one.systems)).values()) == {1}


def test_fewer_preferences_than_neighbours_take_turns() -> None:
    chosen = study(4, pairs=1)
    plans = [plan(chosen, place) for place in range(48)]
    assert {len(one.pairs) for one in plans} == {1}
    assert set(Counter(one.pairs[0] for one in plans).values()) == {16}
    pairs = Counter(frozenset((one.systems[a - 1], one.systems[b - 1])) for one in plans for a, b in one.pairs)
    assert len(pairs) == 6
    assert max(pairs.values()) <= 2 * min(pairs.values())


def test_seeds_and_blocks_differ() -> None:
    orders = {seed: [plan(study(5, seed=seed), place).systems for place in range(10)] for seed in range(3)}
    assert orders[0] != orders[1] != orders[2]
    first, later = ([plan(study(4), place).systems for place in range(at, at + 8)] for at in (0, 8))
    assert first != later
    with pytest.raises(ValueError, match="counted from 0"):
        plan(study(2), -1)
