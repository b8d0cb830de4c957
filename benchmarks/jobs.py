"""Time `persbench run --jobs N` against one process, on the same cells in one run.

    python benchmarks/jobs.py                       # two processes, two personas, three rounds: half an hour
    python benchmarks/jobs.py --jobs 4 --limit 32

Everything is counted that a user waits for, the start of the processes and the loading of models too. Anchors are
computed before, so that neither finds what the other left. What is printed are ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from persbench.harness.run import run
from persbench.harness.settings import RunSettings
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack

TASKS = ("persbench_attitude", "persbench_who_said", "persbench_pressure", "persbench_reply")


def seconds(settings: RunSettings) -> float:
    begun = time.perf_counter()
    run(settings, lambda _: None)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--limit", type=int, default=8, help="items of each task and persona")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="bfloat16")
    options = parser.parse_args()
    pack = load_pack(resolve_pack(None))
    personas = tuple(data.persona.id for data in pack.personas)[: options.jobs]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def settings(out: str, jobs: int) -> RunSettings:
            return RunSettings(
                model=None, pack=resolve_pack(None), out=folder / out, systems=("prompt",), personas=personas,
                tasks=TASKS, limit=options.limit, dtype=options.dtype, anchors=folder / "anchors", jobs=jobs,
            )  # fmt: skip

        seconds(settings("first", 1))
        ratios = []
        for number in range(options.rounds):
            order = (1, options.jobs) if number % 2 else (options.jobs, 1)
            took = {jobs: seconds(settings(f"{number}-{jobs}", jobs)) for jobs in order}
            ratios.append(took[1] / took[options.jobs])
            print(
                f"round {number + 1}: one process {took[1]:.0f} s, {options.jobs} {took[options.jobs]:.0f} s",
                flush=True,
            )
        spread = f"{min(ratios):.2f}-{max(ratios):.2f}"
        print(f"{options.jobs} processes: {statistics.median(ratios):.2f} times as fast ({spread})")


if __name__ == "__main__":
    main()
