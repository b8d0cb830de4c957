from __future__ import annotations

import pytest
from torch.utils import collect_env

from persbench.harness.environment import described_once


def described() -> str:
    return str(collect_env.get_pretty_env_info())  # type: ignore[no-untyped-call]


def test_the_machine_is_described_once_and_lm_eval_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = collect_env.get_pretty_env_info
    with described_once():
        first = described()
        monkeypatch.setattr(collect_env, "run_lambda", None)  # asking anew would fail
        monkeypatch.setattr(collect_env, "run", None)
        assert described() is first
    with pytest.raises(RuntimeError), described_once():
        raise RuntimeError
    assert collect_env.get_pretty_env_info is usual
    assert "PyTorch version" in first
