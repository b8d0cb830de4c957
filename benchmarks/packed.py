"""Time the products of a model's linear layers with packed weights and torch's own, which take turns.

    python benchmarks/packed.py --dtype float32 --rounds 7

Prints, for some numbers of rows: CPU seconds of all linear layers once through, the ratio, and how far either is from
the same products in float64.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import TYPE_CHECKING

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from transformers import AutoModelForCausalLM

from persbench.harness.packed_weights import PackedLinear, fastest_products
from persbench.models.fetch import fetch_model

if TYPE_CHECKING:
    from collections.abc import Callable

Product = tuple["Callable[[torch.Tensor], torch.Tensor]", torch.Tensor]


def seconds(products: list[Product]) -> float:
    """Return the CPU seconds of all products, one after the other."""
    begun = time.process_time()
    for multiply, rows in products:
        multiply(rows)
    return time.process_time() - begun


def distance(products: list[Product], layers: list[torch.nn.Linear]) -> float:
    """Return the largest difference from the products in float64."""
    return max(
        float((multiply(rows).double() - torch.nn.functional.linear(rows.double(), layer.weight.double())).abs().max())
        for (multiply, rows), layer in zip(products, layers, strict=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", nargs="+", type=int, default=[1, 4, 16, 64, 160, 512])
    given = parser.parse_args()
    dtype = getattr(torch, given.dtype)
    model = AutoModelForCausalLM.from_pretrained(str(fetch_model()), dtype=dtype)
    layers = [module for module in model.modules() if type(module) is torch.nn.Linear]
    products = fastest_products(dtype)
    packed = [PackedLinear(layer, dtype, products) for layer in layers]
    torch.manual_seed(0)
    types = f"{given.dtype} (packed: {str(products).removeprefix('torch.')})"
    print(f"{len(layers)} layers, {types}, {torch.get_num_threads()} threads, {given.rounds} rounds")
    with torch.inference_mode():
        for count in given.rows:
            rows = [torch.randn(count, layer.in_features, dtype=dtype) for layer in layers]
            ways: list[list[Product]] = [list(zip(way, rows, strict=True)) for way in (layers, packed)]
            found: list[list[float]] = [[], []]
            for turn in range(given.rounds + 1):
                for which in (0, 1) if turn % 2 else (1, 0):
                    took = seconds(ways[which])
                    if turn:  # the first one packs
                        found[which].append(took)
            ratios = [plain / fast for plain, fast in zip(*found, strict=True)]
            apart = [distance(way, layers) for way in ways]
            plain, fast = (1e3 * statistics.median(each) for each in found)
            print(
                f"{count:4} rows: torch {plain:7.1f} ms, packed {fast:7.1f} ms, {statistics.median(ratios):.2f} times "
                f"faster ({min(ratios):.2f}-{max(ratios):.2f}); from float64: {apart[0]:.1e}, {apart[1]:.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
