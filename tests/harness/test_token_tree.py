"""The tree holds every distinct prefix once, and its plan computes each node after its ancestors."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from persbench.harness.token_tree import Node, Piece, build_tree, plan, plan_all

REQUESTS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=9), min_size=1, max_size=12)


def nodes(root: Node) -> list[Node]:
    found = [root]
    for node in found:
        found.extend(node.children)
    return found


@given(REQUESTS)
def test_each_distinct_prefix_is_one_token_of_the_tree(inputs: list[list[int]]) -> None:
    prefixes = {tuple(tokens[: i + 1]) for tokens in inputs for i in range(len(tokens))}
    assert build_tree(inputs, [[] for _ in inputs]).size == len(prefixes)


@given(REQUESTS, st.integers(1, 12))
def test_replaying_the_plan_on_one_cache_sees_every_request_whole(inputs: list[list[int]], most: int) -> None:
    """A cache of plain tokens stands in for keys and values: what a place may see must be its request's prefix."""
    wanted = [tokens[-2:] for tokens in inputs]
    seen: dict[tuple[int, int], list[int]] = {}
    cache: list[int] = []
    computed = 0
    root = build_tree(inputs, wanted)
    for piece in plan(root, most):
        assert piece.past <= len(cache)
        cache = cache[: piece.past]
        computed += piece.length
        runs: list[list[int]] = []
        for node, parent in piece.nodes:
            before = runs[parent] if parent >= 0 else cache
            assert len(before) == node.depth
            runs.append(before + node.tokens)
            for place, targets in node.targets.items():
                for request, token in targets:
                    seen.setdefault((request, node.depth + place), before + node.tokens[: place + 1])
                    assert token in wanted[request]
        if piece.keep:
            cache = runs[0]
    assert computed == root.size
    for request, tokens in enumerate(inputs):
        for place in range(len(tokens) - len(wanted[request]), len(tokens)):
            assert seen[request, place] == tokens[: place + 1]


@given(st.lists(st.integers(0, 3), min_size=3, max_size=8), REQUESTS, st.data(), st.integers(1, 12))
def test_requests_that_leave_a_path_early_or_late_see_it_up_to_there(
    path: list[int], tails: list[list[int]], data: st.DataObject, most: int
) -> None:
    held = [data.draw(st.integers(0, len(path))) for _ in tails]
    inputs = [path[:depth] + tail for depth, tail in zip(held, tails, strict=True)]
    roots = []
    for depth in dict.fromkeys(held):
        mine = [i for i, known in enumerate(held) if known == depth]
        roots.append(build_tree([tails[i] for i in mine], [tails[i][-1:] for i in mine], depth, names=mine))
    seen: dict[int, list[int]] = {}
    cache = list(path)
    for piece in plan_all(roots, most):
        assert piece.past <= len(cache)
        cache = cache[: piece.past]
        runs: list[list[int]] = []
        for node, parent in piece.nodes:
            before = runs[parent] if parent >= 0 else cache[: node.depth]
            assert len(before) == node.depth
            runs.append(before + node.tokens)
            for place, targets in node.targets.items():
                seen |= {request: before + node.tokens[: place + 1] for request, _ in targets}
        if piece.keep:
            assert len(piece.nodes) == 1
            cache = runs[0]
    assert [seen[i] for i in range(len(inputs))] == inputs


@given(REQUESTS, st.integers(1, 12))
def test_no_piece_is_larger_than_allowed(inputs: list[list[int]], most: int) -> None:
    pieces: list[Piece] = list(plan(build_tree(inputs, [[] for _ in inputs]), most))
    assert all(piece.length <= most for piece in pieces)
    assert all(len(piece.nodes) == 1 for piece in pieces if piece.keep)


def test_a_prompt_with_two_questions_of_two_candidates_by_hand() -> None:
    inputs = [[1, 1, 2, 5], [1, 1, 2, 6], [1, 1, 3, 5], [1, 1, 3, 6, 7]]
    root = build_tree(inputs, [[9], [8], [7], [6, 5]])
    assert root.size == 2 + (1 + 2) + (1 + 3)
    first, *rest = plan(root, 4)
    assert (first.past, first.keep, [n.tokens for n, _ in first.nodes]) == (0, True, [[1, 1]])
    assert [(p.past, [n.tokens for n, _ in p.nodes], [q for _, q in p.nodes]) for p in rest] == [
        (2, [[2], [5], [6]], [-1, 0, 0]),
        (2, [[3], [5], [6, 7]], [-1, 0, 0]),
    ]
    assert [n.targets for p in rest for n, _ in p.nodes] == [
        {}, {0: [(0, 9)]}, {0: [(1, 8)]}, {}, {0: [(2, 7)]}, {0: [(3, 6)], 1: [(3, 5)]},
    ]  # fmt: skip
