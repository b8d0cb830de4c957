"""How much of the free memory the caches of one process take, alone and beside others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from tiny_model import tiny

from persbench.harness.cache_budget import CacheBudget, share_memory
from persbench.harness.prefix_lm import PrefixLM


@pytest.mark.parametrize(("processes", "part"), [(1, 4), (2, 4), (4, 8), (12, 24)])
def test_processes_side_by_side_take_half_of_what_is_free_at_most(
    processes: int, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    free: dict[str, Any] = {"available": 24_000_000_000}
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(**free))
    model = tiny(PrefixLM).model
    try:
        share_memory(processes)
        assert CacheBudget.of(model, None).total == free["available"] // part
        assert CacheBudget.of(model, 1.5).total == int(1.5 * 2**30), "what is asked for is taken"
    finally:
        share_memory(1)
