"""Several processes at once: what a task asks of the model by itself must be asked equally often on every rank.

lm-eval pads the requests that it makes itself. Anchors and live dialogues are a task's own, and some models compute in
lockstep, so that one call too few on one rank would hang the others.
"""

from __future__ import annotations

from typing import Any

import torch


def world_size(lm: Any) -> int:
    """Return the number of processes that share the work."""
    return int(getattr(lm, "world_size", 1))


def most(lm: Any, number: int) -> int:
    """Return the largest such number over all ranks; every rank must ask."""
    if world_size(lm) == 1:
        return number
    gathered = lm.all_gather(torch.tensor([number], device=getattr(lm, "device", "cpu")))
    return int(gathered.max())
