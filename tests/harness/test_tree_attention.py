"""Attention branch by branch gives what one masked attention gives, and steps aside where there is nothing to save."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from tiny_model import tiny

from persbench.harness.prefix_lm import PrefixLM
from persbench.harness.row_cache import _by_parts, _by_products
from persbench.harness.token_tree import Node, Piece
from persbench.harness.tree_attention import attend, branches, tree_attention
from persbench.harness.tree_scoring import ancestor_mask, blocks_of


def piece(past: int, *sizes: int) -> Piece:
    """Several branches after a common path; the last but one has a child of its own."""
    nodes = [(Node([0] * size, past), -1) for size in sizes]
    nodes.insert(-1, (Node([0] * 3, past + sizes[-2]), len(sizes) - 2))
    return Piece(past, tuple(nodes), keep=False)


def at_depths(*depths: int) -> Piece:
    """Branches of three tokens, with a child of two each, that leave one path early or late, the latest first."""
    nodes = [pair for i, at in enumerate(depths) for pair in ((Node([0] * 3, at), -1), (Node([0] * 2, at + 3), 2 * i))]
    return Piece(depths[0], tuple(nodes), keep=False)


def on_one_node(past: int) -> Piece:
    """A question with its answers, one of which goes two ways."""
    sizes = [(7, -1), (5, 0), (11, 0), (2, 2), (3, 2), (4, 0)]
    depths = [past, past + 7, past + 7, past + 18, past + 18, past + 7]
    return Piece(past, tuple((Node([0] * n, at), up) for (n, up), at in zip(sizes, depths, strict=True)), keep=False)


def test_a_branch_sees_the_path_up_to_where_it_leaves_it() -> None:
    mask = ancestor_mask(at_depths(4, 4, 1), torch.float32)[0, 0] == 0
    assert mask[:, :4].tolist() == 10 * [[True] * 4] + 5 * [[True, False, False, False]]
    assert mask[10:, 4:].tolist() == [[False] * 10 + [j <= i for j in range(5)] for i in range(5)]


@pytest.mark.parametrize(
    "work",
    [
        *(piece(past, 7, 2, 11) for past in (0, 1, 40)),
        *(piece(past, 60, 2, 1) for past in (0, 40)),  # one far longer than the others
        *(on_one_node(past) for past in (0, 40)),
        *(at_depths(*depths) for depths in ((40, 40, 25, 13), (9, 0))),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_joined_softmax_is_that_of_one_mask(work: Piece, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    past = work.past
    tokens, heads, group = work.length, 6, 3
    query = torch.randn(1, heads, tokens, 16, dtype=dtype)
    key, value = (torch.randn(1, heads // group, past + tokens, 16, dtype=dtype) for _ in range(2))
    layer, mask = SimpleNamespace(num_key_value_groups=group), ancestor_mask(work, dtype)
    whole, _ = attend(layer, query, key, value, mask)
    with branches(blocks_of(work)):
        parts, _ = attend(layer, query, key, value, mask)
    assert parts.shape == (1, tokens, heads, 16)
    assert torch.allclose(parts.float(), whole.float(), atol=1e-5 if dtype == torch.float32 else 2e-2)


@pytest.mark.parametrize("stems", [{9: [0, 1, 2]}, {0: [0, 1, 2]}, {9: [2, 0], 4: [1]}, {0: [1], 7: [0, 2]}])
def test_replies_attend_alike_by_parts_by_products_and_row_by_row(stems: dict[int, list[int]]) -> None:
    """An accelerator has the products alone: they are held to what a CPU computes, and both to one plain softmax."""
    torch.manual_seed(0)
    rows, shared, count, size = 3, 2, 6, 16
    asked = torch.randn(rows, shared, count, size)
    own = torch.randn(rows, shared, 5, size), torch.randn(rows, shared, 5, size)
    before = [
        (torch.tensor(some), (torch.randn(shared, n, size), torch.randn(shared, n, size)) if n else None)
        for n, some in stems.items()
    ]
    mask = torch.zeros(rows, 1, count, 5).masked_fill(torch.arange(5) > 3, torch.finfo(torch.float32).min)
    plain = torch.empty_like(asked)
    for some, stem in before:
        for row in some.tolist():
            keys, values = (
                torch.cat([stem[i], own[i][row]], dim=1) if stem is not None else own[i][row] for i in range(2)
            )
            hidden = torch.nn.functional.pad(mask[row], (keys.shape[1] - 5, 0))
            plain[row] = (asked[row] @ keys.transpose(-1, -2) * size**-0.5 + hidden).softmax(-1) @ values
    parts = _by_parts(asked, own, before, [(slice(0, rows), 5)], mask, size**-0.5)
    products = _by_products(asked, own, before, mask, size**-0.5)
    assert torch.allclose(parts, plain, atol=1e-5)
    assert torch.allclose(products, plain, atol=1e-5)


def test_blocks_are_the_branches_with_their_descendants() -> None:
    assert blocks_of(piece(5, 7, 2, 11)) == [(0, 7, 5), (7, 12, 5), (12, 23, 5)]
    assert blocks_of(on_one_node(5)) == [(0, 7, 5), (7, 12, 12), (12, 28, 12), (28, 32, 12)], "it prolongs the path"


def test_the_model_s_own_attention_comes_back_whatever_happens() -> None:
    model = tiny(PrefixLM).model

    def fail() -> None:
        with tree_attention(model):
            assert model.config._attn_implementation == "persbench_tree"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert model.config._attn_implementation == "sdpa"
    model.set_attn_implementation("eager")
    with tree_attention(model):
        assert model.config._attn_implementation == "eager", "chosen by the user"
