from __future__ import annotations

import pytest
import torch

from persbench.errors import PersbenchError
from persbench.training.machine import Machine, launch_notice, machine_of


def test_the_cpu_is_taken_where_there_is_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert machine_of("auto", "float32") == Machine("cpu", bf16=False)
    assert machine_of("cpu", "bfloat16").bf16
    with pytest.raises(PersbenchError, match="torch sees no cuda device on this machine"):
        machine_of("cuda")


@pytest.mark.parametrize(
    ("found", "fast"),
    [
        ({"amx_bf16": True}, True),
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"neon": True, "bf16": True}, True),
        ({}, False),
    ],
)
def test_auto_takes_bfloat16_where_a_cpu_has_units_for_it(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, bool], fast: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    assert machine_of("cpu", "auto").bf16 is fast


def test_names_that_nearly_fit_are_told() -> None:
    with pytest.raises(PersbenchError, match=r"unknown device 'cude'\. Did you mean 'cuda'"):
        machine_of("cude")
    with pytest.raises(PersbenchError, match=r"unknown dtype 'bfloat'\. Did you mean 'bfloat16'"):
        machine_of("cpu", "bfloat")


def test_one_process_among_several_gpus_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    with pytest.raises(PersbenchError, match=r"one process sees 4 GPUs: show it one \(CUDA_VISIBLE_DEVICES=0\)"):
        machine_of("cuda", "float32")
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "2")
    found = machine_of("cuda", "float32")
    assert (found.processes, found.rank, found.writes) == (4, 2, False)


def test_accelerates_single_cpu_process_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert launch_notice(Machine("cpu", bf16=False)) is None
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    monkeypatch.setenv("MASTER_PORT", "29500")
    assert "--multi_gpu" in str(launch_notice(Machine("cpu", bf16=False)))
    assert launch_notice(Machine("cpu", bf16=False, processes=2)) is None
