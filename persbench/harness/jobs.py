"""Several processes for the cells of a run, each with its share of the personas and of the processor's cores.

A small model keeps few cores busy: half of the time goes into what one thread does. Processes with fewer threads each
do more in the same time.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import TYPE_CHECKING, Any

import torch

from persbench.errors import PersbenchError
from persbench.harness.cache_budget import share_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from multiprocessing.queues import SimpleQueue
    from pathlib import Path

    Notice = Callable[[str], None]
    Work = Callable[[Sequence[str], Notice], list[Path]]

_LINES: list[SimpleQueue[str | None]] = []


def shared_out(work: Work, names: Sequence[str], jobs: int, notice: Notice, logs: Path) -> list[Path]:
    """Let each of several processes do its share of the work.

    Args:
        work: Module-level function, or a partial of one: does what is named, and returns what it wrote.
        names: What there is to do, shared out in turn.
        jobs: Processes; no more than there are names.
        notice: Called with one line of progress at a time.
        logs: Folder for what the processes and the libraries in them print, a file each.

    Returns:
        What all of them wrote.

    Raises:
        PersbenchError: One or more of them failed; the others went on to their end.
    """
    context = multiprocessing.get_context("spawn")
    lines: SimpleQueue[str | None] = context.SimpleQueue()
    threads = max(1, torch.get_num_threads() // jobs)
    listener = threading.Thread(target=_pass_on, args=(lines, notice), daemon=True)
    listener.start()
    pools = [
        ProcessPoolExecutor(1, mp_context=context, initializer=_begin, initargs=(lines, threads, jobs))
        for _ in range(jobs)
    ]
    try:
        shares = [(number, names[number - 1 :: jobs]) for number in range(1, jobs + 1)]
        futures = [
            pool.submit(_do, work, share, number, logs) for pool, (number, share) in zip(pools, shares, strict=True)
        ]
        for pool in pools:  # a process ends with its share: the model that it holds is no use to the others
            pool.shutdown(wait=False)
        outcomes = [_outcome(future, jobs, logs) for future in futures]
    finally:
        lines.put(None)
        listener.join()
    faults = dict.fromkeys(outcome for outcome in outcomes if isinstance(outcome, str))
    if faults:
        raise PersbenchError("\n".join(faults))
    return [path for outcome in outcomes if not isinstance(outcome, str) for path in outcome]


def _outcome(future: Future[list[Path] | str], jobs: int, logs: Path) -> list[Path] | str:
    """Return what a process wrote, or what went wrong in it, when it has come to its end."""
    try:
        return future.result()
    except BrokenProcessPool:
        return (
            f"a process of the run was killed (too little memory for {jobs} at once?); see {logs}. Finished cells are "
            "kept, and the same command goes on from there."
        )


def _pass_on(lines: SimpleQueue[str | None], notice: Notice) -> None:
    said: set[str] = set()
    while (line := lines.get()) is not None:
        if line not in said:  # all of them load the same model
            said.add(line)
            notice(line)


def _begin(lines: SimpleQueue[str | None], threads: int, jobs: int) -> None:
    """Prepare a process: it uses its share of cores and memory, and ends with the one that began it."""
    _LINES[:] = [lines]
    share_memory(jobs)
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent: Any = multiprocessing.parent_process()
    connection.wait([parent.sentinel])
    os._exit(1)


def _do(work: Work, share: Sequence[str], number: int, logs: Path) -> list[Path] | str:
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / f"job-{number}.log").open("a", encoding="utf-8") as log:
        os.dup2(log.fileno(), 2)  # bars of several processes would overwrite each other
    try:
        return work(share, _LINES[0].put)
    except PersbenchError as error:
        return str(error)
