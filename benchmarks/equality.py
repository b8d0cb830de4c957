"""Hold the prefix model's numbers against lm-eval's `hf`, item by item over the reference world.

    python benchmarks/equality.py --documents 2 --systems vanilla prompt --batch-sizes 1 16
    python benchmarks/equality.py --documents 0 --systems vanilla --out equality.jsonl     # the full world
    python benchmarks/equality.py --adapter FOLDER

For every persona the first documents of each choice task are scored by both (documents stand in a fixed shuffled order,
so a prefix is a sample), and free replies to the first questions compared. Printed: the largest difference of a
log-probability, items whose score differs, and replies that part with the lead of the best logit where they do.

Neither is asked the same request twice at one batch size (without a prompt, most requests of one persona are those of
the next).

With --out, what is compared is kept as it comes: a repeated command compares only what is missing, and several
processes can share the tasks, each with a file of its own.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
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
REPLIES = "persbench_reply"
Found = dict[str, Any]  # of one task of one persona under one setting: its `key`, and what was found


class Once:
    """A model that is asked no request twice at one batch size."""

    def __init__(self, lm: Any) -> None:
        self.lm = lm
        self.batch_size = 1
        self._answers: dict[tuple[str, ...], Any] = {}

    def loglikelihood(self, requests: list[Instance], **options: Any) -> list[tuple[float, bool]]:
        return self._all(requests, self.lm.loglikelihood, options)

    def generate_until(self, requests: list[Instance], **options: Any) -> list[str]:
        return self._all(requests, self.lm.generate_until, options)

    def apply_chat_template(self, *words: Any, **options: Any) -> str:
        return str(self.lm.apply_chat_template(*words, **options))

    def _all(self, requests: list[Instance], ask: Any, options: dict[str, Any]) -> list[Any]:
        keys = [tuple(map(str, (self.batch_size, *request.args))) for request in requests]
        self.lm.batch_size_per_gpu = self.batch_size
        new = {key: request for key, request in zip(keys, requests, strict=True) if key not in self._answers}
        if new:
            self._answers |= dict(zip(new, ask(list(new.values()), **options), strict=True))
        return [self._answers[key] for key in keys]


def scored(lm: Any, documents: list[dict[str, Any]]) -> list[list[list[float]]]:
    """Return log-likelihoods: for each document, for each branch, one number a candidate."""
    pairs = []
    for document in documents:
        for branch in branches_of(document):
            rendered = render(branch["messages"], lm.apply_chat_template)
            pairs += [(rendered.context, rendered.delimiter + text) for text in document["candidates"]]
    found = iter([ll for ll, _ in lm.loglikelihood(likelihoods(pairs), disable_tqdm=True)])
    return [[[next(found) for _ in d["candidates"]] for _ in branches_of(d)] for d in documents]


def compare_scores(task: str, documents: list[dict[str, Any]], hf: Once, ours: Once) -> Found:
    """Return the largest difference, the items whose metrics differ, how many numbers were compared, and ours."""
    worst, differing, count, kept = 0.0, [], 0, {}
    for document, theirs, own in zip(documents, scored(hf, documents), scored(ours, documents), strict=True):
        metrics = []
        for found in (theirs, own):
            by_branch = [per_byte(lls, document["candidates"]) for lls in found]
            metrics.append(SURFACE_TASKS[task].score_branches(document, by_branch))
        gap = max(abs(a - b) for x, y in zip(theirs, own, strict=True) for a, b in zip(x, y, strict=True))
        worst, count = max(worst, gap), count + sum(map(len, own))
        kept[document["id"]] = own
        differing += [
            f"{document['id']} {name}: hf {value}, ours {metrics[1][name]}"
            for name, value in metrics[0].items()
            if not name.endswith("_margin") and value != metrics[1][name]
        ]
    return {"numbers": count, "largest": worst, "differing": differing, "ours": kept}


def compare_replies(documents: list[dict[str, Any]], hf: Once, ours: Once) -> tuple[int, list[float]]:
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
            one, other = (hf.lm.tok_encode(context + text) for text in (theirs, own))
            part = next(i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
            with torch.inference_mode():
                best = hf.lm.model(torch.tensor([one[:part]], device=hf.lm.device)).logits[0, -1].topk(2).values
            leads.append(float(best[0] - best[1]))
    return len(documents) - len(leads), leads


def compare(task: str, documents: list[dict[str, Any]], hf: Once, ours: Once) -> Found:
    """Hold scores or replies of one task against each other."""
    if task == REPLIES:
        identical, leads = compare_replies(documents, hf, ours)
        return {"replies": identical, "leads": leads}
    return compare_scores(task, documents, hf, ours)


def recalled(out: Path | None) -> dict[str, Found]:
    """Read what an earlier run kept; a line that was cut off with it is taken away."""
    if not out or not out.exists():
        return {}
    whole = out.read_text("utf-8").rpartition("\n")[0]
    out.write_text(whole + "\n" if whole else "", "utf-8")
    return {json.dumps(line["key"]): line for line in map(json.loads, whole.splitlines())}


def verdict(setting: str, found: list[Found]) -> str:
    """Sum up what was found under one setting."""
    count, worst = sum(each.get("numbers", 0) for each in found), max(each.get("largest", 0.0) for each in found)
    differing = [item for each in found for item in each.get("differing", [])]
    same, leads = (
        sum(each.get("replies", 0) for each in found),
        [lead for each in found for lead in each.get("leads", [])],
    )
    within = worst < TOLERANCE and all(lead < TOLERANCE for lead in leads)
    return (
        f"{setting}: {count} log-probabilities, largest difference {worst:.1e}; {len(differing)} metrics differ "
        f"{differing}; {same} of {same + len(leads)} replies identical, the others part at leads {leads}: "
        f"{'within' if within else 'NOT within'} {TOLERANCE}"
    )


def models(options: argparse.Namespace) -> tuple[Once, Once]:
    """Load both, with the adapter if there is one."""
    settings: dict[str, Any] = {"pretrained": str(fetch_model()), "dtype": "float32", "device": options.device}
    if options.adapter:
        settings["peft"] = options.adapter
        if (Path(options.adapter) / "tokenizer_config.json").exists():  # it may know more tokens than the base
            settings["tokenizer"] = options.adapter
    return Once(HFLM(**settings, batch_size=1, softmax_dtype=options.softmax_dtype)), Once(
        PrefixLM(**settings, batch_size=1)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=2, help="of each task and persona; 0 for all")
    parser.add_argument("--replies", type=int, default=2, help="of each persona; 0 for all")
    parser.add_argument("--systems", nargs="+", default=["vanilla", "prompt"])
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[1, 16])
    parser.add_argument("--personas", nargs="+", help="all by default")
    parser.add_argument("--tasks", nargs="+", default=[*SURFACE_TASKS, REPLIES])
    parser.add_argument("--adapter", help="PEFT folder; both models are loaded with it")
    parser.add_argument(
        "--softmax-dtype", help="of hf's log-softmax, by its own option; float64 takes its rounding away"
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, help="JSON lines that keep what was compared")
    options = parser.parse_args()
    hf, ours = models(options)
    pack = world()
    kept = recalled(options.out)
    personas = [data for data in pack.personas if not options.personas or data.persona.id in options.personas]
    by_setting: dict[str, list[Found]] = defaultdict(list)
    work = [
        (size, get_system(name), data, task)
        for size in options.batch_sizes for name in options.systems for data in personas
        for task in options.tasks
    ]  # fmt: skip
    for size, system, data, task in track(work, "comparing", transient=True):
        most = (options.replies if task == REPLIES else options.documents) or None
        key = [size, system.name, options.adapter, options.device, data.persona.id, task, most]
        key += [options.softmax_dtype] if options.softmax_dtype else []
        if json.dumps(key) not in kept:
            hf.batch_size = ours.batch_size = size
            ours.lm.forget()
            found = compare(task, documents_of(task, pack, data, system)[:most], hf, ours)
            kept[json.dumps(key)] = {"key": key} | found
            if options.out:
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"key": key} | found) + "\n")
        by_setting[f"batch {size}, {system.name}"].append(kept[json.dumps(key)])
    for setting, found_there in by_setting.items():
        print(verdict(setting, found_there), flush=True)


if __name__ == "__main__":
    main()
