"""Packed products are torch's own to the last bit, and never those of a weight that has changed."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from tiny_model import tiny
from torch.nn import functional

from persbench.harness.packed_weights import PackedLinear, pack_linears
from persbench.harness.prefix_lm import PrefixLM


def layer(bias: bool = True) -> torch.nn.Linear:
    torch.manual_seed(0)
    return torch.nn.Linear(96, 160, bias=bias).to(torch.bfloat16)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, 7, 33, 200])
def test_the_product_is_torch_s_own(rows: int, bias: bool) -> None:
    module = layer(bias)
    packed, given = PackedLinear(module), torch.randn(2, rows, 96, dtype=torch.bfloat16)
    with torch.inference_mode():
        assert torch.equal(packed(given), module(given))
        assert torch.equal(packed(given), module(given)), "also when it is packed already"


def in_place(module: torch.nn.Linear) -> None:
    with torch.no_grad():
        module.weight.mul_(2)


def another(module: torch.nn.Linear) -> None:
    module.weight = torch.nn.Parameter(module.weight.detach() * 2)


def other_data(module: torch.nn.Linear) -> None:
    module.weight.data = module.weight.data * 2


@pytest.mark.parametrize("change", [in_place, another, other_data])
def test_a_changed_weight_is_packed_again(change: Callable[[torch.nn.Linear], None]) -> None:
    module = layer()
    packed, given = PackedLinear(module), torch.randn(5, 96, dtype=torch.bfloat16)
    with torch.inference_mode():
        before = packed(given)
    change(module)
    with torch.inference_mode():
        assert torch.equal(packed(given), module(given))
        assert not torch.equal(packed(given), before)


def test_gradients_and_other_types_go_torch_s_way() -> None:
    module = layer()
    module.forward = PackedLinear(module)  # type: ignore[method-assign, assignment]
    module(torch.randn(5, 96, dtype=torch.bfloat16)).sum().backward()
    assert module.weight.grad is not None
    module.float()
    with torch.inference_mode():
        assert module(torch.randn(5, 96)).dtype == torch.float32


def test_a_copy_multiplies_its_own_weight() -> None:
    module, given = layer(), torch.randn(5, 96, dtype=torch.bfloat16)
    module.forward = PackedLinear(module)  # type: ignore[method-assign, assignment]
    with torch.inference_mode():
        before = module(given)
    twin = deepcopy(module)
    in_place(twin)
    with torch.inference_mode():
        assert torch.equal(twin(given), functional.linear(given, twin.weight, twin.bias))
        assert torch.equal(module(given), before)


def test_only_bfloat16_models_are_packed() -> None:
    model = tiny(PrefixLM).model
    assert pack_linears(model) == 0
    names = [name for name, _ in model.to(torch.bfloat16).state_dict().items()]
    assert pack_linears(model) == len([m for m in model.modules() if type(m) is torch.nn.Linear]) > 0
    assert [name for name, _ in model.state_dict().items()] == names
