from __future__ import annotations

import copy
import hashlib
import struct
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from persbench.errors import PersbenchError
from persbench.models.fingerprint import CHUNK_WORDS, model_fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable


class Tied(nn.Module):
    def __init__(self, *, tie: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(7, 3)
        self.head = nn.Linear(3, 7, bias=False)
        if tie:
            self.head.weight = self.embedding.weight
        else:
            self.head.weight.data.copy_(self.embedding.weight.data)
        self.register_buffer("kept", torch.tensor([True, False, True]))
        self.register_buffer("computed", torch.rand(3), persistent=False)


def one(tensor: torch.Tensor) -> nn.Module:
    module = nn.Module()
    module.register_buffer("only", tensor)
    return module


def flip_bit(tensor: torch.Tensor, position: int, bit: int) -> None:
    raw = tensor.detach().view(-1).view(torch.uint8)
    raw[position] ^= 1 << bit


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int8])
@pytest.mark.parametrize("where", ["first", "last", "middle"])
def test_one_flipped_bit_changes_it(dtype: torch.dtype, where: str) -> None:
    # Odd, and more than one chunk: the last word is a padded one.
    tensor = torch.zeros(CHUNK_WORDS * 8 // dtype.itemsize + 3, dtype=dtype)
    size = tensor.numel() * dtype.itemsize
    before = model_fingerprint(one(tensor))
    position = {"first": 0, "last": size - 1, "middle": size // 2}[where]
    for bit in (0, 7):
        flip_bit(tensor, position, bit)
        assert model_fingerprint(one(tensor)) != before
        flip_bit(tensor, position, bit)
    assert model_fingerprint(one(tensor)) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.flip(0),
        lambda t: t.reshape(2, 8),
        lambda t: t.to(torch.float64),
        lambda t: t.view(torch.int32),
        lambda t: torch.cat([t, torch.zeros(1)]),
        lambda t: -t,
        lambda t: t.roll(2),
    ],
    ids=["order", "shape", "dtype", "dtype with equal bits", "trailing zero", "sign", "roll"],
)
def test_order_shape_and_dtype_count(change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    tensor = torch.arange(1.0, 17.0)
    assert model_fingerprint(one(change(tensor))) != model_fingerprint(one(tensor))


def test_chunks_cannot_trade_places() -> None:
    tensor = torch.zeros(2 * CHUNK_WORDS, dtype=torch.int64)
    tensor[5] = 1
    assert model_fingerprint(one(tensor)) != model_fingerprint(one(tensor.roll(CHUNK_WORDS)))


def test_names_count_and_non_persistent_buffers_do_not() -> None:
    first, second = Tied(tie=True), Tied(tie=True)
    second.computed = torch.rand(3) + 5
    assert model_fingerprint(first) == model_fingerprint(second)
    renamed = nn.Module()
    renamed.register_buffer("other", torch.ones(2))
    assert model_fingerprint(renamed) != model_fingerprint(one(torch.ones(2)))


def test_a_tied_layer_equals_its_copy_until_one_of_them_moves() -> None:
    tied, copied = Tied(tie=True), Tied(tie=False)
    assert model_fingerprint(tied) == model_fingerprint(copied)
    flip_bit(copied.head.weight, 0, 0)
    assert model_fingerprint(tied) != model_fingerprint(copied)


def test_threads_layout_and_packing_do_not_matter() -> None:
    torch.manual_seed(1)
    tensor = torch.randn(700, 900)
    expected = model_fingerprint(one(tensor))
    assert model_fingerprint(one(tensor.t().contiguous().t())) == expected
    packed = torch.cat([torch.zeros(1), tensor.flatten()])[1:].view(700, 900)  # begins within a 64-bit word
    assert packed.storage_offset() == 1
    assert model_fingerprint(one(packed)) == expected
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert model_fingerprint(one(tensor)) == expected
    finally:
        torch.set_num_threads(threads)
    assert model_fingerprint(copy.deepcopy(one(tensor))) == expected


def test_scalars_and_empty_tensors_are_taken() -> None:
    assert model_fingerprint(one(torch.tensor(1.0))) != model_fingerprint(one(torch.tensor(2.0)))
    assert model_fingerprint(one(torch.zeros(0, 3))) != model_fingerprint(one(torch.zeros(0, 4)))
    assert len(model_fingerprint(nn.Identity())) == 64


def test_it_is_what_the_definition_says() -> None:
    # Written out in whole numbers. A changed value would make every stored anchor and record look like another model's.
    values = [float(n) for n in range(11)]
    raw = struct.pack("<11f", *values) + bytes(4)
    plain = weighted = 0
    for position, word in enumerate(struct.unpack("<6q", raw), start=1):
        spread = position * 0x9E3779B97F4A7C15 % 2**64
        signed = spread - 2**64 if spread >= 2**63 else spread
        plain += word
        weighted += word * ((signed ^ (signed >> 29)) | 1)
    digest = hashlib.sha256(b"persbench-fingerprint-1" + b"only\0(11,)\0torch.float32\0")
    digest.update(struct.pack("<2Q", plain % 2**64, weighted % 2**64))
    assert model_fingerprint(one(torch.tensor(values))) == digest.hexdigest()


def test_weights_that_are_not_loaded_are_refused() -> None:
    with pytest.raises(PersbenchError, match="weights of 'weight' are not loaded"):
        model_fingerprint(nn.Linear(2, 2, bias=False, device="meta"))
