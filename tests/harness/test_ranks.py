"""Two processes over gloo: the samples of one process, in step, with odd counts and with a rank that has nothing."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager
from torch.multiprocessing.spawn import spawn

from persbench.harness.fake_lm import FakeLM
from persbench.harness.task_index import tasks_folder
from persbench.packs.bundled import fake_pack
from persbench.samples import FILLER, sample_row

TASKS = ["persbench_attitude", "persbench_induction", "persbench_pressure", "persbench_consistency", "persbench_reply"]


class Ranked(FakeLM):
    """A fake of which every rank must make the same calls, as a model that computes in lockstep would need."""

    device = torch.device("cpu")

    def __init__(self, rank: int, size: int) -> None:
        super().__init__()
        self._rank, self._world_size = rank, size

    def all_gather(self, tensor: torch.Tensor) -> torch.Tensor:
        parts = [torch.zeros_like(tensor.reshape(-1)) for _ in range(self._world_size)]
        dist.all_gather(parts, tensor.reshape(-1))
        return torch.cat(parts)

    def gather_object(self, obj: Any, dst: int = 0) -> Any:
        found: list[Any] | None = [None] * self._world_size if self._rank == dst else None
        dist.gather_object(obj, found, dst)
        return found

    def barrier(self) -> None:
        dist.barrier()

    def generate_until(self, requests: Any, disable_tqdm: bool = True) -> list[str]:
        counts = self.all_gather(torch.tensor([len(requests)])).tolist()
        assert len(set(counts)) == 1, f"generate_until with {counts} requests"
        return super().generate_until(requests)

    def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        self.all_gather(torch.tensor([1]))  # hangs, and so fails by time-out, where a rank makes fewer calls
        return super().loglikelihood(requests)


def evaluate(lm: FakeLM, limit: int, anchors: str) -> Any:
    metadata = {"pack": str(fake_pack()), "persona": "ada", "system": "prompt", "anchors": anchors}
    return simple_evaluate(
        model=lm, tasks=list(TASKS), limit=limit, bootstrap_iters=0, apply_chat_template=True,
        task_manager=TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata=metadata),
    )  # fmt: skip


def rows(results: Any) -> dict[str, Any]:
    return {
        f"{task}:{sample['doc']['id']}": json.loads(json.dumps(sample_row(sample)))
        for task, found in results["samples"].items()
        for sample in found
        if not sample["doc"].get(FILLER)
    }


def work(rank: int, size: int, port: int, limits: tuple[int, ...], folder: str) -> None:
    from datetime import timedelta

    address = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=size, timeout=timedelta(seconds=60))
    for limit in limits:
        results = evaluate(Ranked(rank, size), limit, f"{folder}/anchors{rank}/{limit}")
        if rank == 0:
            Path(folder, f"rows{limit}.json").write_text(json.dumps(rows(results)))
    # Taken down in the usual way, torch's own threads now and then abort a process that has done all of its work
    # ("terminate called without an active exception").
    os._exit(0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_two_ranks_give_the_samples_of_one(tmp_path: Path) -> None:
    """With one document the second rank has none; with three the counts are odd."""
    limits = (1, 3)  # one after the other in the same two processes, which take long to begin
    spawn(work, args=(2, free_port(), limits, str(tmp_path)), nprocs=2)  # type: ignore[no-untyped-call]
    for limit in limits:
        found = json.loads((tmp_path / f"rows{limit}.json").read_text())
        expected = rows(evaluate(FakeLM(), limit, str(tmp_path / f"alone{limit}")))
        assert found == expected
        assert len(expected) > 2 * limit
