"""Where a training runs: device, arithmetic, processes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

import torch
from accelerate import PartialState

from persbench.errors import PersbenchError, UnknownNameError
from persbench.provenance import bfloat16_units

DEVICES: Final = ("auto", "cpu", "cuda", "mps")
DTYPES: Final = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class Machine:
    """Where and how a training computes.

    Attributes:
        device: `cpu`, `cuda` or `mps`.
        bf16: Whether matrix products run in bfloat16 (autocast). Weights and optimiser are float32 either way: in
            bfloat16 small updates would be lost.
        processes: How many take part (`accelerate launch`).
        rank: This one's number; the first one writes.
        sharded: Whether the weights are spread over the processes (FSDP).
    """

    device: str
    bf16: bool
    processes: int = 1
    rank: int = 0
    sharded: bool = False

    @property
    def writes(self) -> bool:
        """Whether this process writes results and speaks to the user."""
        return self.rank == 0

    @property
    def arithmetic(self) -> str:
        """In which arithmetic it computes, as cards say it."""
        return "bfloat16 products, float32 weights" if self.bf16 else "float32"

    def wait(self) -> None:
        """Wait for all processes."""
        if self.processes > 1:
            PartialState(cpu=self.device == "cpu").wait_for_everyone()


def machine_of(device: str = "auto", dtype: str = "auto") -> Machine:
    """Decide where to train.

    Args:
        device: `auto` takes an accelerator if there is one.
        dtype: `auto` takes bfloat16 products where the machine computes them fast.

    Raises:
        PersbenchError: No such device here, or several GPUs for one process.
    """
    if device not in DEVICES:
        raise UnknownNameError("device", device, DEVICES)
    if dtype not in DTYPES:
        raise UnknownNameError("dtype", dtype, DTYPES)
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    chosen = next(name for name in ("cuda", "mps", "cpu") if here[name]) if device == "auto" else device
    if not here[chosen]:
        raise PersbenchError(f"torch sees no {chosen} device on this machine: take --device auto or --device cpu.")
    processes, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if chosen == "cuda" and processes == 1 and torch.cuda.device_count() > 1:
        raise PersbenchError(
            f"one process sees {torch.cuda.device_count()} GPUs: show it one (CUDA_VISIBLE_DEVICES=0), "
            "or use all of them (`accelerate launch -m persbench train ...`, see persbench/training/README.md)."
        )
    bf16 = dtype == "bfloat16" or (dtype == "auto" and fast_bf16(chosen))
    return Machine(chosen, bf16, processes, rank, os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true")


def launch_notice(machine: Machine) -> str | None:
    """Say so where accelerate was asked for several CPU processes and, lacking MPI, started one."""
    asked = os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true" and "MASTER_PORT" in os.environ
    if not asked or machine.processes > 1:
        return None
    return (
        "`accelerate launch --cpu` has started a single process, as it does without mpirun. For several: "
        "`accelerate launch --multi_gpu --num_processes 2 -m persbench train --device cpu ...`."
    )


def fast_bf16(device: str) -> bool:
    """Return whether bfloat16 products are the faster ones: on recent GPUs, and on CPUs with units for them."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device == "cpu" and bool(bfloat16_units())
