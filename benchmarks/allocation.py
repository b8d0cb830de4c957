"""Time the prefix model with glibc's allocator as it is, and told to keep what was freed, in processes that take turns.

    python benchmarks/allocation.py --dtype bfloat16 --rounds 5

Prints CPU seconds of the same who-said requests, page faults, peak memory, and the ratio (see
`persbench.models.allocation`).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from scenarios import who_said, world

from persbench.harness import prefix_lm
from persbench.models.fetch import fetch_model


def measure(dtype: str, requests: int, *, keep: bool) -> dict[str, float]:
    """Score the requests twice, and measure the second time."""
    if not keep:
        vars(prefix_lm)["keep_freed_memory"] = lambda: False
    lm = prefix_lm.PrefixLM(pretrained=str(fetch_model()), dtype=dtype, device="cpu", softmax_dtype="float32")
    asked = who_said(lm, world())[0].scored[:requests]
    lm.loglikelihood(asked, disable_tqdm=True)
    before, begun = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    lm.loglikelihood(asked, disable_tqdm=True)
    seconds, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": seconds,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "page_faults": after.ru_minflt - before.ru_minflt,
        "peak_gb": after.ru_maxrss / 2**20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=192)
    parser.add_argument(
        "--once", choices=("keep", "as-is"), help="Measure one of the two in this process, and print JSON."
    )
    given = parser.parse_args()
    if given.once:
        print(json.dumps(measure(given.dtype, given.requests, keep=given.once == "keep")))
        return
    ratios = []
    for number in range(given.rounds):
        found = {}
        for which in ("as-is", "keep") if number % 2 == 0 else ("keep", "as-is"):
            command = [
                sys.executable,
                __file__,
                "--dtype",
                given.dtype,
                "--requests",
                str(given.requests),
                "--once",
                which,
            ]
            printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603 - itself
            found[which] = json.loads(printed.splitlines()[-1])
            print(which, {name: round(value, 2) for name, value in found[which].items()}, flush=True)
        ratios.append(found["as-is"]["cpu_seconds"] / found["keep"]["cpu_seconds"])
    median, least, most = statistics.median(ratios), min(ratios), max(ratios)
    print(f"as it is over kept: median {median:.2f} ({least:.2f} to {most:.2f}) of CPU time")


if __name__ == "__main__":
    main()
