"""Peak memory of the prefix model over what the loaded model takes, against its budget.

    python benchmarks/memory.py --context 4000 --budget 0.5

Prints one JSON line: bytes of the budget, peak over the loaded model, and seconds. Resident memory is sampled every few
milliseconds, so what loading itself took at its peak does not hide what the work takes.
"""

from __future__ import annotations

import argparse
import json
import os
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from lm_eval.api.instance import Instance
from peak import Peak

from persbench.harness.prefix_lm import PrefixLM
from persbench.models.fetch import fetch_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--context", type=int, default=4000, help="tokens of the shared prompt")
    parser.add_argument("--budget", type=float, default=0.5, help="max_cache_gb")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--replies", type=int, default=8)
    options = parser.parse_args()
    lm = PrefixLM(
        pretrained=str(fetch_model()), dtype=options.dtype, device="cpu", batch_size=1, max_cache_gb=options.budget
    )
    for parameter in lm.model.parameters():
        parameter.sum()  # weights are mapped, and count only once they are read
    words = ["salt", "tide", "rope", "bread", "rain", "debt", "lamp", "oar", "stone", "bell"]
    prompt = " ".join(words[i * i % 10] for i in range(options.context))
    pairs = [(f"{prompt} question {q}", f" answer {c} " + " ".join(words[c:])) for q in range(6) for c in range(4)]
    settings = {"until": [], "max_gen_toks": 16, "do_sample": False}
    begun = time.perf_counter()
    with Peak() as peak:
        lm.loglikelihood(
            [Instance("loglikelihood", {}, pair, i, ("memory", i, 1)) for i, pair in enumerate(pairs)],
            disable_tqdm=True,
        )
        lm.generate_until(
            [
                Instance("generate_until", {}, (f"{prompt} reply {i}", dict(settings)), i, ("memory", i, 1))
                for i in range(options.replies)
            ],
            disable_tqdm=True,
        )
    facts = {
        "context": len(lm.tok_encode(prompt)),
        "budget": lm.budget.total,
        "peak_over_model": peak.most - peak.start,
        "shared": not any(lm._obstacles.values()),  # noqa: SLF001
        "seconds": round(time.perf_counter() - begun, 1),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
