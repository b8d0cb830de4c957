"""Weights of linear layers in the layout that a CPU's products want, packed once.

In bfloat16 torch brings them into that layout again at every product: with a few dozen rows, a step of generation, that
is a quarter of the product's time, and the numbers are the same to the last bit. In float32 torch takes another
library's products, which know no such layout; these are up to a half faster with few rows (`benchmarks/README.md`), and
agree up to rounding. It costs the weights' memory once more.

Where the processor has no units for bfloat16, oneDNN's products in it take five times as long as in float32. There the
weights are packed in float32 (twice their memory), and rows multiplied in it: products of bfloat16 numbers are exact in
float32, and the sum is rounded to bfloat16 once, as units for it do.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch.nn import functional

from persbench.provenance import bfloat16_units

DTYPES = (torch.bfloat16, torch.float32)
ROWS = 64  # for which the layout is chosen; of a torch that lacks the products nothing is asked
_PACK: Any = getattr(torch.ops.mkldnn, "_reorder_linear_weight", None)
_PRODUCT: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)


class PackedLinear:
    """Computes what a linear layer computes; packs its weight at the first call, and again when it has changed.

    Args:
        module: The layer. It keeps its weight, which its state and its name in the model belong to.
        dtype: What the layer computes in: while that is another type, torch's way is taken.
        products: What the weight is packed and multiplied in; `dtype` by default.
    """

    def __init__(self, module: torch.nn.Linear, dtype: torch.dtype, products: torch.dtype | None = None) -> None:
        self._module = module
        self._dtype = dtype
        self._products = products or dtype
        self._seen: tuple[torch.Tensor, int] | None = None
        self._packed: torch.Tensor | None = None

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """Multiply, as `torch.nn.Linear.forward` does."""
        weight, bias = self._module.weight, self._module.bias
        if not rows.dtype == weight.dtype == self._dtype or torch.is_grad_enabled():
            return functional.linear(rows, weight, bias)
        if not self._is_of(weight):
            # An alias of the old weight is held, so that no new one can come to stand at its address.
            self._seen = (weight.detach(), weight._version)  # noqa: SLF001 - how torch counts changes in place
            self._packed = _PACK(weight.detach().to(self._products), ROWS)
        added = None if bias is None else bias.to(self._products)
        product: torch.Tensor = _PRODUCT(rows.to(self._products), self._packed, added, "none", [], "")
        return product.to(self._dtype)

    @property
    def size(self) -> int:
        """Bytes that the packed weight takes."""
        return self._module.weight.numel() * self._products.itemsize

    def __deepcopy__(self, memo: dict[int, Any]) -> PackedLinear:
        """Go with a copy of the layer; what is packed cannot be copied, and is packed again."""
        return PackedLinear(deepcopy(self._module, memo), self._dtype, self._products)

    def _is_of(self, weight: torch.Tensor) -> bool:
        if self._seen is None:
            return False
        alias, version = self._seen
        same_place = alias.data_ptr() == weight.data_ptr() and alias.shape == weight.shape
        return same_place and weight._version == version  # noqa: SLF001 - see above


def pack_linears(model: Any, most: int) -> int:
    """Let the linear layers of a model on a CPU multiply packed weights.

    Args:
        model: transformers model.
        most: Bytes that may be taken.

    Returns:
        Bytes that the packed weights take at their first use; 0, and nothing is packed, where they take more than may
        be taken, the model stands elsewhere or computes in a type that is not packed, or torch lacks the products.
    """
    if _PACK is None or _PRODUCT is None or model.device.type != "cpu" or model.dtype not in DTYPES:
        return 0
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return 0
    layers = [module for module in model.modules() if type(module) is torch.nn.Linear]
    packed = [PackedLinear(layer, layer.weight.dtype, fastest_products(layer.weight.dtype)) for layer in layers]
    size = sum(each.size for each in packed)
    if size > most:
        return 0
    for layer, multiply in zip(layers, packed, strict=True):
        layer.forward = multiply  # type: ignore[method-assign, assignment]
    return size


def fastest_products(dtype: torch.dtype) -> torch.dtype:
    """Return the type in which this processor multiplies numbers of another type fastest, without loss."""
    return torch.float32 if dtype == torch.bfloat16 and not bfloat16_units() else dtype
