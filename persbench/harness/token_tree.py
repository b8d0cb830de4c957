"""Requests as a tree of token prefixes, cut into pieces that a model computes one after the other.

Persona evaluation asks twelve candidates after one question, and forty questions after one long prompt. Each distinct
token needs to be computed once: the tree knows which those are, and the plan in which order, so that one running
key/value cache (the path from the root) serves them all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass
class Node:
    """A run of tokens that a set of requests shares.

    Attributes:
        tokens: The run itself, without its ancestors'.
        depth: Tokens before it, from the root on.
        children: What follows, in order of first appearance.
        size: Tokens of the whole subtree, this run included.
        targets: Place in the run -> what is asked of the model's next-token distribution there, as (request, token).
    """

    tokens: list[int]
    depth: int = 0
    children: list[Node] = field(default_factory=list)
    size: int = 0
    targets: dict[int, list[tuple[int, int]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Piece:
    """Tokens computed in one forward pass, after the cache was cut back to `past` tokens.

    Attributes:
        past: How many tokens of the running cache stand before the piece.
        nodes: The nodes it holds, parents before children, with the index of the parent inside the piece or -1. One
            without a parent sees the first `depth` tokens of the cache.
        keep: Whether its tokens stay in the cache (it is then a single run that goes on the path).
    """

    past: int
    nodes: tuple[tuple[Node, int], ...]
    keep: bool

    @property
    def length(self) -> int:
        """Tokens of the piece."""
        return sum(len(node.tokens) for node, _ in self.nodes)


def build_tree(
    inputs: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[int]],
    depth: int = 0,
    names: Sequence[int] | None = None,
) -> Node:
    """Build the radix tree of requests.

    Args:
        inputs: What the model reads, one list of token ids a request, none of them empty.
        continuations: The tokens to score; the last of them is predicted at the last token of the input, the one
            before at the one before, and so on.
        depth: Tokens before the inputs, the same for all.
        names: By which the targets call each request; their places by default.

    Returns:
        The root, an empty run, whose subtree holds every distinct prefix once.
    """
    root = Node([], depth)
    _grow(root, sorted(map(list, inputs)))
    _measure(root)
    names = range(len(inputs)) if names is None else names
    for request, tokens, wanted in zip(names, inputs, continuations, strict=True):
        _mark(root, request, tokens, wanted)
    return root


def distinct_tokens(inputs: Sequence[Sequence[int]]) -> int:
    """Count the tokens that a tree of these inputs holds: the least a model must compute."""
    return build_tree(inputs, [[] for _ in inputs]).size


def _mark(root: Node, request: int, tokens: Sequence[int], wanted: Sequence[int]) -> None:
    """Note along a request's path at which places which tokens are to be scored."""
    node, first, stop = root, root.depth + len(tokens) - len(wanted), root.depth + len(tokens)
    while node.depth + len(node.tokens) < stop:
        at = node.depth + len(node.tokens) - root.depth
        node = next(child for child in node.children if child.tokens[0] == tokens[at])
        for place in range(max(first, node.depth), node.depth + len(node.tokens)):
            node.targets.setdefault(place - node.depth, []).append((request, wanted[place - first]))


def _grow(root: Node, ordered: list[list[int]]) -> None:
    """Hang sorted sequences below the root."""
    stack = [(root, 0, len(ordered), 0)]
    while stack:
        parent, start, stop, at = stack.pop()
        while start < stop and len(ordered[start]) == at:
            start += 1  # it ends with the parent's run
        while start < stop:
            token, end = ordered[start][at], start + 1
            while end < stop and ordered[end][at] == token:
                end += 1
            shared = _common(ordered[start], ordered[end - 1], at)
            child = Node(ordered[start][at:shared], root.depth + at)
            parent.children.append(child)
            stack.append((child, start, end, shared))
            start = end


def _common(first: list[int], last: list[int], start: int) -> int:
    """Length of the common prefix of a sorted range, which is that of its ends."""
    length = min(len(first), len(last))
    while start < length and first[start] == last[start]:
        start += 1
    return start


def _measure(root: Node) -> None:
    walk = [root]
    for node in walk:
        walk.extend(node.children)
    for node in reversed(walk):
        node.size = len(node.tokens) + sum(child.size for child in node.children)


def plan(root: Node, most: int) -> Iterator[Piece]:
    """Cut a tree into pieces, depth first.

    Args:
        root: From `build_tree`.
        most: Largest number of tokens in a piece.

    Yields:
        Pieces in an order in which the path before each is in the cache when it comes: runs that lead to much go on
        the path, what hangs below is packed together as far as it fits.
    """
    stack: list[Node | list[Node]] = [[*root.children]]
    while stack:
        entry = stack.pop()
        if isinstance(entry, list):
            big = [node for node in entry if node.size > most]
            small = [node for node in entry if node.size <= most]
            stack.extend(big[::-1])
            yield from _packed(small, most)
        else:
            for start in range(0, len(entry.tokens), most):
                part = Node(entry.tokens[start : start + most], entry.depth + start)
                part.targets = {p - start: t for p, t in entry.targets.items() if start <= p < start + most}
                yield Piece(part.depth, ((part, -1),), keep=True)
            stack.append([*entry.children])


def plan_all(roots: Sequence[Node], most: int) -> Iterator[Piece]:
    """Cut trees that hang on one path at different depths into pieces, as `plan` does one.

    Yields:
        Pieces, the deepest first: each may cut the path back, and none needs more of it than those before. What hangs
        at several depths is packed together.
    """
    small: list[Node] = []
    for root in sorted(roots, key=lambda root: -root.depth):
        if root.size <= most:
            small += root.children
        else:
            yield from _packed(small, most)
            yield from plan(root, most)
            small = []
    yield from _packed(small, most)


def _packed(nodes: list[Node], most: int) -> Iterator[Piece]:
    for group in _groups(nodes, most):
        yield Piece(group[0].depth, tuple(_flatten(group)), keep=False)


def _groups(nodes: list[Node], most: int) -> Iterator[list[Node]]:
    group: list[Node] = []
    total = 0
    for node in nodes:
        if group and total + node.size > most:
            yield group
            group, total = [], 0
        group.append(node)
        total += node.size
    if group:
        yield group


def _flatten(group: list[Node]) -> Iterator[tuple[Node, int]]:
    count = 0
    stack = [(node, -1) for node in reversed(group)]
    while stack:
        node, parent = stack.pop()
        yield node, parent
        stack.extend((child, count) for child in reversed(node.children))
        count += 1
