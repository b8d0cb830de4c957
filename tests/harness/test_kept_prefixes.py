"""What is kept between calls is found by its tokens, grouped where that is worth it, and dropped oldest first."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from persbench.harness.kept_prefixes import Branch, KeptPrefixes, Stem, longest_branch, shared_length, stem_groups


def layers(tokens: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(torch.zeros(1, tokens, 2), torch.zeros(1, tokens, 2))]


def kept(*stems: tuple[list[int], list[list[int]]]) -> KeptPrefixes:
    store = KeptPrefixes()
    for tokens, branches in stems:
        store.stems.append(Stem(tokens, layers(len(tokens)), [Branch(b, layers(len(b))) for b in branches]))
    return store


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_shared_length_is_that_of_the_plain_loop(first: list[int], second: list[int]) -> None:
    count = 0
    for a, b in zip(first, second, strict=False):
        if a != b:
            break
        count += 1
    assert shared_length(first, second) == count


def test_a_request_finds_the_branch_that_agrees_longest() -> None:
    store = kept(([1, 2], [[3, 4], [3, 4, 5, 6], [9]]), ([1], [[2, 3, 4, 5]]))
    stem, branch, length = store.longest([1, 2, 3, 4, 5, 7])
    assert stem is not None
    assert branch is not None
    assert (stem.tokens, branch.tokens, length) == ([1, 2], [3, 4, 5, 6], 5)
    assert store.longest([7, 7]) == (None, None, 0)
    assert longest_branch(store.stems[0], [8]) == (None, 0)


def test_the_cheapest_stem_counts_what_its_branches_save() -> None:
    store = kept(([1, 2], [[3] * 10, [4] * 10]))
    assert store.cheapest([[1, 2] + [3] * 10 + [5], [1, 2] + [4] * 10 + [5]]) is store.stems[0]
    assert store.cheapest([[1, 7, 7], [1, 7, 8]]) is None
    longer_prompt = [[1, 2] + [7] * 50 + [i] for i in range(2)]
    assert store.cheapest(longer_prompt) is None, "fifty shared tokens of its own are worth a new stem"


def test_the_oldest_go_first_and_branches_before_stems() -> None:
    store = kept(([1] * 5, [[2] * 5, [3] * 5]), ([4] * 5, []))
    one = store.stems[1].size
    store.shrink(3 * one)
    assert [b.tokens for b in store.stems[0].branches] == [[3] * 5]
    store.shrink(one)
    assert [stem.tokens for stem in store.stems] == [[4] * 5]
    store.shrink(0)
    assert not store.stems
    assert store.size == 0


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[1] * 600 + [i] for i in range(4)] + [[2] * 600 + [i] for i in range(4)], [(600, 4), (600, 4)]),
        ([[1] * 20 + [i] for i in range(4)] + [[2] * 20 + [i] for i in range(4)], [(0, 8)]),
        ([[1, 2, 3]], [(2, 1)]),
        ([[1, 2, 3]] * 3, [(2, 3)]),
        ([[1], [1, 2]], [(0, 2)]),
    ],
)
def test_rows_are_split_where_a_shared_prompt_is_worth_a_batch(
    rows: list[list[int]], expected: list[tuple[int, int]]
) -> None:
    found = list(stem_groups(rows))
    assert [(shared, len(group)) for shared, group in found] == expected
    assert sorted(i for _, group in found for i in group) == list(range(len(rows)))
