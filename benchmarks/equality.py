"""Hold the prefix model's numbers against lm-eval's `hf`, item by item over the reference world.

    python benchmarks/equality.py --documents 2 --systems vanilla prompt --batch-sizes 1 16
    python benchmarks/equality.py --documents 0 --batch-sizes 16 --device cuda     # the full world
    python benchmarks/equality.py --adapter FOLDER

For every persona the first documents of each choice task are scored by both (documents stand in a fixed shuffled order,
so a prefix is a sample), and free replies to the first questions compared. Printed: the largest difference of a
log-probability, items whose score differs, and replies that part with the lead of the best logit where they do.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from rich.progress import track
from scenarios import REPLY, likelihoods, world

from persbench.harness.documents import documents_of
from persbench.harness.documents.base import branches_of
from persbench.harness.prefix_lm import PrefixLM
from persbench.harness.rendering import render
from persbench.harness.sanity_cells import SURFACE_TASKS
from persbench.models.fetch import fetch_model
from persbench.scoring.choice import per_byte
from persbench.systems.registry import get_system

TOLERANCE = 1e-3


def scored(lm: Any, documents: list[dict[str, Any]]) -> list[list[list[float]]]:
    """Return log-likelihoods: for each document, for each branch, one number a candidate."""
    pairs = []
    for document in documents:
        for branch in branches_of(document):
            rendered = render(branch["messages"], lm.apply_chat_template)
            pairs += [(rendered.context, rendered.delimiter + text) for text in document["candidates"]]
    found = iter([ll for ll, _ in lm.loglikelihood(likelihoods(pairs), disable_tqdm=True)])
    return [[[next(found) for _ in d["candidates"]] for _ in branches_of(d)] for d in documents]


def compare_scores(task: str, documents: list[dict[str, Any]], hf: Any, ours: Any) -> tuple[float, list[str], int]:
    """Return the largest difference, the items whose metrics differ, and how many numbers were compared."""
    worst, differing, count = 0.0, [], 0
    for document, theirs, own in zip(documents, scored(hf, documents), scored(ours, documents), strict=True):
        metrics = []
        for found in (theirs, own):
            by_branch = [per_byte(lls, document["candidates"]) for lls in found]
            metrics.append(SURFACE_TASKS[task].score_branches(document, by_branch))
        gap = max(abs(a - b) for x, y in zip(theirs, own, strict=True) for a, b in zip(x, y, strict=True))
        worst, count = max(worst, gap), count + sum(map(len, own))
        differing += [
            f"{document['id']} {name}: hf {value}, ours {metrics[1][name]}"
            for name, value in metrics[0].items()
            if not name.endswith("_margin") and value != metrics[1][name]
        ]
    return worst, differing, count


def compare_replies(documents: list[dict[str, Any]], hf: Any, ours: Any) -> tuple[int, list[float]]:
    """Return how many greedy replies are identical, and the lead of the best logit where the others part."""
    contexts = [render(d["messages"], hf.apply_chat_template).context for d in documents]
    asked = [
        [Instance("generate_until", {}, (text, dict(REPLY)), i, ("equality", i, 1)) for i, text in enumerate(contexts)]
        for _ in range(2)
    ]
    pairs = zip(
        hf.generate_until(asked[0], disable_tqdm=True), ours.generate_until(asked[1], disable_tqdm=True), strict=True
    )
    leads = []
    for context, (theirs, own) in zip(contexts, pairs, strict=True):
        if theirs != own:
            one, other = (hf.tok_encode(context + text) for text in (theirs, own))
            part = next(i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
            with torch.inference_mode():
                best = hf.model(torch.tensor([one[:part]], device=hf.device)).logits[0, -1].topk(2).values
            leads.append(float(best[0] - best[1]))
    return len(documents) - len(leads), leads


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=2, help="of each task and persona; 0 for all")
    parser.add_argument("--replies", type=int, default=2, help="of each persona")
    parser.add_argument("--systems", nargs="+", default=["vanilla", "prompt"])
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[1, 16])
    parser.add_argument("--adapter", help="PEFT folder; both models are loaded with it")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    settings: dict[str, Any] = {"pretrained": str(fetch_model()), "dtype": "float32", "device": options.device}
    if options.adapter:
        settings["peft"] = options.adapter
        if (Path(options.adapter) / "tokenizer_config.json").exists():  # it may know more tokens than the base
            settings["tokenizer"] = options.adapter
    hf, pack = HFLM(**settings, batch_size=1), world()
    ours = PrefixLM(**settings, batch_size=1)
    for size in options.batch_sizes:
        hf.batch_size_per_gpu = size
        for system in map(get_system, options.systems):
            worst, differing, count, same, leads = 0.0, list[str](), 0, 0, list[float]()
            for data in track(pack.personas, f"batch {size}, {system.name}", transient=True):
                ours.forget()
                for task in SURFACE_TASKS:
                    documents = documents_of(task, pack, data, system)[: options.documents or None]
                    gap, items, number = compare_scores(task, documents, hf, ours)
                    worst, differing, count = max(worst, gap), differing + items, count + number
                documents = documents_of("persbench_reply", pack, data, system)[: options.replies]
                equal, parted = compare_replies(documents, hf, ours)
                same, leads = same + equal, leads + parted
            verdict = "within" if worst < TOLERANCE and all(lead < TOLERANCE for lead in leads) else "NOT within"
            print(
                f"batch {size}, {system.name}: {count} log-probabilities, largest difference {worst:.1e}; "
                f"{len(differing)} metrics differ {differing}; "
                f"{same} of {same + len(leads)} replies identical, the others part at leads {leads}: "
                f"{verdict} {TOLERANCE}",
                flush=True,
            )


if __name__ == "__main__":
    main()
