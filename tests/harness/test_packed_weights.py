"""Packed products are torch's own (in bfloat16 to the last bit), and never those of a weight that has changed."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from lm_eval.models.huggingface import HFLM
from tiny_model import tiny
from torch.nn import functional

from persbench.harness import packed_weights
from persbench.harness.packed_weights import PackedLinear, pack_linears
from persbench.harness.prefix_lm import PrefixLM


def layer(bias: bool = True) -> torch.nn.Linear:
    torch.manual_seed(0)
    return torch.nn.Linear(96, 160, bias=bias).to(torch.bfloat16)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, 7, 33, 200])
def test_the_product_is_torch_s_own(rows: int, bias: bool) -> None:
    module = layer(bias)
    packed, given = PackedLinear(module, module.weight.dtype), torch.randn(2, rows, 96, dtype=torch.bfloat16)
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
    packed, given = PackedLinear(module, module.weight.dtype), torch.randn(5, 96, dtype=torch.bfloat16)
    with torch.inference_mode():
        before = packed(given)
    change(module)
    with torch.inference_mode():
        assert torch.equal(packed(given), module(given))
        assert not torch.equal(packed(given), before)


@pytest.mark.parametrize("rows", [1, 7, 200])
def test_in_float32_the_product_is_torch_s_own_up_to_rounding(rows: int) -> None:
    module, given = layer().float(), torch.randn(2, rows, 96)
    packed = PackedLinear(module, module.weight.dtype)
    with torch.inference_mode():
        expected = functional.linear(given.double(), module.weight.double(), module.bias.double())
        assert (packed(given) - expected).abs().max() < 1e-5
        module.weight.mul_(2)
        assert (packed(given) - expected).abs().max() > 0.1, "a changed weight is packed again"


def test_gradients_and_other_types_go_torch_s_way() -> None:
    module = layer()
    module.forward = PackedLinear(module, module.weight.dtype)  # type: ignore[method-assign, assignment]
    module(torch.randn(5, 96, dtype=torch.bfloat16)).sum().backward()
    assert module.weight.grad is not None
    module.float()
    with torch.inference_mode():
        assert module(torch.randn(5, 96)).dtype == torch.float32


def test_a_copy_multiplies_its_own_weight() -> None:
    module, given = layer(), torch.randn(5, 96, dtype=torch.bfloat16)
    module.forward = PackedLinear(module, module.weight.dtype)  # type: ignore[method-assign, assignment]
    with torch.inference_mode():
        before = module(given)
    twin = deepcopy(module)
    in_place(twin)
    with torch.inference_mode():
        assert torch.equal(twin(given), functional.linear(given, twin.weight, twin.bias))
        assert torch.equal(module(given), before)


@pytest.mark.parametrize("rows", [1, 7, 200])
@pytest.mark.parametrize("bias", [True, False])
def test_bfloat16_numbers_multiplied_in_float32_are_rounded_once(rows: int, bias: bool) -> None:
    module, given = layer(bias), torch.randn(2, rows, 96, dtype=torch.bfloat16)
    packed = PackedLinear(module, torch.bfloat16, torch.float32)
    with torch.inference_mode():
        found = packed(given)
        exact = functional.linear(given.double(), module.weight.double(), module.bias.double() if bias else None)
        nearest = exact.bfloat16()
        assert found.dtype == torch.bfloat16
        apart = found != nearest
        assert apart.double().mean() < 0.001, "only where float32's sum lies across the border of two roundings"
        assert torch.allclose(found, nearest, rtol=2**-7, atol=1e-4)


@pytest.mark.parametrize(
    ("dtype", "units", "copies"),
    [
        (torch.bfloat16, ["avx512_bf16"], 1),
        (torch.bfloat16, [], 2),
        (torch.float32, [], 1),
        (torch.float32, ["amx_bf16"], 1),
    ],
)
def test_a_model_is_packed_where_its_weights_fit_once_more(
    dtype: torch.dtype, units: list[str], copies: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_weights, "bfloat16_units", lambda: units)
    model = tiny(HFLM).model.to(dtype)
    names = [*model.state_dict()]
    layers = [module for module in model.modules() if type(module) is torch.nn.Linear]
    size = copies * sum(module.weight.nbytes for module in layers)
    assert pack_linears(model, size - 1) == 0
    assert not any(isinstance(module.forward, PackedLinear) for module in layers)
    assert pack_linears(model, size) == size > 0
    assert all(isinstance(module.forward, PackedLinear) for module in layers)
    assert [*model.state_dict()] == names


def test_other_types_are_not_packed() -> None:
    assert pack_linears(tiny(HFLM).model.to(torch.float16), 10**9) == 0


def test_packed_weights_are_paid_for_by_the_budget() -> None:
    lm = tiny(PrefixLM, max_cache_gb=1.0)
    size = sum(module.weight.nbytes for module in lm.model.modules() if type(module) is torch.nn.Linear)
    assert lm.budget.total == 2**30 - size < 2**30
    assert tiny(PrefixLM, max_cache_gb=size / 2**30).budget.total == size, "too small for both: not packed"
