"""How much of the work fits into the memory that the caches may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psutil
import torch

LARGEST_PIECE = 512  # beyond this a forward pass gains nothing, and the mask grows as its square
SMALLEST_PIECE = 16
MOST_ROWS = 64  # beyond this a step gains little on a CPU, and the rows' memory is better kept for dialogues
LONGEST_PREFILL = 1024  # tokens of prompts computed in one pass
# An accelerator waits for its next command unless each is large: there all three are so many times as much.
ACCELERATED = 8
_BESIDE = {"processes": 1}


def share_memory(processes: int) -> None:
    """Say how many processes like this one run side by side: together they take no more than half of what is free."""
    _BESIDE["processes"] = processes


def part_of_free() -> int:
    """Return which part of the free memory this process may take: a quarter, or less beside more than one other."""
    return max(4, 2 * _BESIDE["processes"])


def free_memory(device: torch.device) -> int:
    """Return the bytes that are free where a model stands."""
    return int(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else psutil.virtual_memory().available


@dataclass(frozen=True)
class CacheBudget:
    """Sizes of what a model computes, and how many tokens or rows fit.

    Attributes:
        total: Bytes for caches, masks, logits and activations together.
        cached: Bytes of a token in a key/value cache.
        computed: Bytes beside it while it is computed: its logits, activations.
        heads: Attention heads.
        width: Bytes of a number.
        scale: How many times as much as on a CPU goes into one pass.
    """

    total: int
    cached: int
    computed: int
    heads: int
    width: int
    scale: int = 1

    @classmethod
    def of(cls, model: Any, gigabytes: float | None) -> CacheBudget:
        """Read the sizes off a model's configuration; without a limit a part of the free memory is taken."""
        total = free_memory(model.device) // part_of_free() if gigabytes is None else int(gigabytes * 2**30)
        config = model.config.get_text_config()
        width = torch.finfo(model.dtype).bits // 8
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return cls(
            total=total,
            cached=2 * config.num_hidden_layers * heads * size * width,
            computed=(config.vocab_size + 32 * config.hidden_size) * width,
            heads=config.num_attention_heads,
            width=width,
            scale=1 if model.device.type == "cpu" else ACCELERATED,
        )

    @property
    def kept(self) -> int:
        """Bytes that the caches of finished replies may take until their next turn."""
        return self.total // 2

    def piece(self, longest: int, *, taken: int = 0) -> int:
        """Return the largest piece that fits beside the longest path, or 0 where not even a small one does.

        Args:
            longest: Tokens of the longest request.
            taken: Bytes that are in use already.
        """
        # A token of the piece has a row of the mask; the path is held twice while a longer one is put in its place.
        beside = self.cached + self.computed + longest * self.width
        most = (self.total - taken - 2 * longest * self.cached) // beside
        return 0 if most < SMALLEST_PIECE else min(most, LARGEST_PIECE * self.scale)

    def prefill(self, longest: int) -> int:
        """Return how many tokens of prompts one pass computes: their scores take at most an eighth of the budget."""
        attention = 2 * self.heads * longest * 4  # one layer's scores and weights of a token, in float32
        most = LONGEST_PREFILL * self.scale
        return max(SMALLEST_PIECE, min(most, self.total // 8 // (attention + self.computed // 4)))

    def rows(self, longest: int, *, shared: int = 0) -> int:
        """Return how many rows of replies fit, or 0; they take at most half of what is free, unless one takes more.

        Args:
            longest: Tokens of the longest request and its reply.
            shared: Tokens of it that all rows share, held twice while they are computed.
        """
        left = self.total - self.total // 8 - 2 * shared * self.cached
        row = self._row(longest, shared)
        return max(0, min(MOST_ROWS * self.scale, max(left // 2 // row, int(left >= row))))

    def keep(self, longest: int, *, shared: int, rows: int) -> int:
        """Return the bytes that are left for what is kept, the stem included, while so many rows are in work."""
        left = self.total - self.total // 8 - shared * self.cached - rows * self._row(longest, shared)
        return max(0, min(self.kept, left))

    def _row(self, longest: int, shared: int) -> int:
        return (longest - shared + 1) * self.cached + self.computed
