"""From a recipe's settings to TRL's arguments: what SFT and DPO share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from persbench.errors import PersbenchError
from persbench.training.checkpoints import KEPT

if TYPE_CHECKING:
    from pathlib import Path

    from persbench.training.machine import Machine
    from persbench.training.recipe import Optimiser

LARGE: Final = 1_000_000_000


def steps_of(settings: Optimiser, rows: int, max_steps: int | None) -> int:
    """Return the optimiser steps of a phase with that many rows an epoch."""
    steps = math.ceil(settings.epochs * math.ceil(rows / settings.batch_size))
    return steps if max_steps is None else min(steps, max_steps)


def micro_batch(settings: Optimiser, processes: int) -> int:
    """Return how many rows a process takes in a forward pass.

    Raises:
        PersbenchError: The batch cannot be shared out evenly.
    """
    if settings.batch_size % processes:
        raise PersbenchError(
            f"a batch of {settings.batch_size} cannot be shared out evenly among {processes} processes: "
            "set batch_size in a recipe of your own to a multiple of them, or take another number of processes."
        )
    share = settings.batch_size // processes
    return max(part for part in range(1, min(settings.micro_batch, share) + 1) if share % part == 0)


def trainer_arguments(
    settings: Optimiser,
    machine: Machine,
    folder: Path,
    *,
    steps: int,
    seed: int,
    save_every: int,
    parameters: int,
    sparse: bool = False,
) -> dict[str, Any]:
    """Return arguments for TRL's SFTConfig and DPOConfig.

    Args:
        settings: Of the phase.
        machine: Where it runs.
        folder: For its checkpoints.
        steps: Optimiser steps in all.
        seed: Of dropout.
        save_every: Steps between checkpoints.
        parameters: Of the model: a large one computes its activations twice to save memory.
        sparse: Whether a step may pass by some of them, as with experts.
    """
    micro = micro_batch(settings, machine.processes)
    return {
        "output_dir": str(folder),
        "max_length": settings.max_length,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": settings.batch_size // (micro * machine.processes),
        "max_steps": steps,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "cosine_with_min_lr",
        "lr_scheduler_kwargs": {"min_lr_rate": settings.floor},
        "warmup_steps": settings.warmup_steps,
        "optim": "adamw_torch",
        "weight_decay": settings.weight_decay,
        "adam_beta1": settings.betas[0],
        "adam_beta2": settings.betas[1],
        "adam_epsilon": settings.eps,
        "max_grad_norm": settings.clip,
        # The rows come in the order that the recipe gives them.
        "train_sampling_strategy": "sequential",
        "dataloader_pin_memory": machine.device == "cuda",
        "bf16": machine.bf16,
        "use_cpu": machine.device == "cpu",
        "gradient_checkpointing": parameters > LARGE,
        "ddp_find_unused_parameters": sparse,
        "logging_strategy": "steps",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": save_every,
        "save_total_limit": KEPT,
        "seed": seed,
        "report_to": "none",
        "disable_tqdm": True,
        "log_level": "error",
    }
