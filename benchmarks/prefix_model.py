"""Time persbench's prefix model against lm-eval's `hf` on the same requests, in one run.

    python benchmarks/prefix_model.py            # all scenarios, float32, five rounds: an hour on two cores
    python benchmarks/prefix_model.py --scenario choices --rounds 1

In every round both models do the same work, `hf` first and second in turn; what is printed are ratios, their median
and range. `hf` runs at the batch size that is fastest for it in each scenario. On the full who-said task `hf` would
take hours, so it is timed on a random sample of the requests and its time scaled by the tokens it computes; the
prefix model does all of it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from scenarios import PROBED, REPLY, SCENARIOS, Work, likelihoods, world

from persbench.harness.prefix_lm import PrefixLM
from persbench.harness.token_tree import distinct_tokens
from persbench.models.fetch import fetch_model
from persbench.provenance import source_state, versions

BATCH_SIZES = (1, 4, 16, 32)


class Meter:
    """Counts the tokens that a model computes, padding included, and the time it spends computing."""

    def __init__(self, lm: Any) -> None:
        self.tokens, self.seconds, self._begun = 0, 0.0, 0.0
        self._device = lm.device
        lm.model.register_forward_pre_hook(self._before, with_kwargs=True)
        lm.model.register_forward_hook(self._after)

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def _before(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.tokens += (args[0] if args else kwargs["input_ids"]).numel()
        self._begun = self._now()

    def _after(self, *_: Any) -> None:
        self.seconds += self._now() - self._begun

    def reset(self) -> None:
        self.tokens, self.seconds = 0, 0.0


def perform(lm: Any, work: Work, *, sampled: bool = False) -> tuple[float, list[float], list[str]]:
    """Do the work; return seconds, log-likelihoods and replies."""
    if hasattr(lm, "forget"):
        lm.forget()
    begun = time.perf_counter()
    scores = [a for a, _ in lm.loglikelihood((sampled and work.sample) or work.scored, disable_tqdm=True)]
    replies = list(lm.generate_until(work.generated, disable_tqdm=True)) if work.generated else []
    if work.dialogues:
        more_scores, more_replies = play(lm, work)
        scores, replies = scores + more_scores, replies + more_replies
    return time.perf_counter() - begun, scores, replies


def play(lm: Any, work: Work) -> tuple[list[float], list[str]]:
    """Play all dialogues turn by turn, and probe after some of the turns on a branch of the history."""
    histories = [list(begun) for begun, *_ in work.dialogues]
    scores: list[float] = []
    replies: list[str] = []
    for turn in range(1, 1 + max(len(turns) for _, turns, *_ in work.dialogues)):
        for history, (_, turns, *_rest) in zip(histories, work.dialogues, strict=True):
            history.append({"role": "user", "content": turns[turn - 1]})
        asked = [
            Instance("generate_until", {}, (lm.apply_chat_template(h), dict(REPLY)), i, ("benchmark", i, 1))
            for i, h in enumerate(histories)
        ]
        said = lm.generate_until(asked, disable_tqdm=True)
        replies += said
        for history, text in zip(histories, said, strict=True):
            history.append({"role": "assistant", "content": text.strip()})
        if turn in PROBED:
            pairs = [
                (lm.apply_chat_template([*h, {"role": "user", "content": question}]), stance)
                for h, (_, _, question, stances) in zip(histories, work.dialogues, strict=True)
                for stance in stances
            ]
            scores += [a for a, _ in lm.loglikelihood(likelihoods(pairs), disable_tqdm=True)]
    return scores, replies


def best_batch(hf: Any, work: Work) -> int:
    """Find the batch size at which `hf` is fastest, on a part of the work."""
    if work.dialogues:
        return len(work.dialogues)  # a turn of all of them is one batch
    brief = [Instance("generate_until", {}, (r.args[0], r.args[1] | {"max_gen_toks": 16}), i, ("benchmark", i, 1))
             for i, r in enumerate(work.generated[: max(BATCH_SIZES)])]  # fmt: skip
    part = Work(work.name, (work.sample or work.scored)[:16], generated=brief)
    seconds = {}
    for size in BATCH_SIZES:
        hf.batch_size_per_gpu = size
        seconds[size] = perform(hf, part)[0]
    return min(seconds, key=seconds.__getitem__)


def plain_speed(lm: Any) -> float:
    """Tokens a second of forward passes over whole sequences, the fastest of three."""
    ids = torch.randint(5, lm.vocab_size - 5, (1, 768), device=lm.device)
    seconds = []
    with torch.inference_mode():
        for _ in range(4):
            begun = time.perf_counter()
            float(lm.model(input_ids=ids).logits[0, -1, 0])
            seconds.append(time.perf_counter() - begun)
    return ids.numel() / min(seconds[1:])


def compare(hf: Any, ours: Any, meters: dict[str, Meter], work: Work, *, ours_first: bool) -> dict[str, Any]:
    """Do one round of one unit of work with both models."""
    results: dict[str, Any] = {}
    for name, lm in sorted({"hf": hf, "ours": ours}.items(), reverse=ours_first):
        meters[name].reset()
        results[name] = perform(lm, work, sampled=name == "hf")
        results[name + "_tokens"] = meters[name].tokens
        results[name + "_forward"] = meters[name].seconds
    inputs: list[list[int]] = [sum(hf._encode_pair(*request.args), [])[:-1] for request in work.scored]  # noqa: SLF001, RUF017
    drawn = [work.scored.index(request) for request in work.sample] or range(len(work.scored))
    scale = sum(map(len, inputs)) / sum(len(inputs[i]) for i in drawn) if inputs else 1.0
    (seconds, scores, replies), (fast, our_scores, our_replies) = results["hf"], results["ours"]
    compared = [our_scores[i] for i in drawn] if work.sample else our_scores
    bound = sum(map(len, inputs)) / distinct_tokens(inputs) if inputs else None
    return {
        "unit": work.name,
        "speed_up": seconds * scale / fast,
        "hf_seconds": seconds * scale,
        "seconds": fast,
        "hf_tokens": int(results["hf_tokens"] * scale),
        "tokens": results["ours_tokens"],
        "distinct": distinct_tokens(inputs) if inputs else None,
        "bound": bound,
        "of_bound": seconds * scale / fast / bound if bound else None,
        "of_plain": results["ours_tokens"] / fast / plain_speed(ours),
        "outside_forward": 1 - results["ours_forward"] / fast,
        "largest_difference": max((abs(a - b) for a, b in zip(scores, compared, strict=True)), default=0.0),
        "equal_replies": f"{sum(a == b for a, b in zip(replies, our_replies, strict=True))}/{len(replies)}",
    }


def machine(device: str) -> str:
    """Name the processor."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name()
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {torch.get_num_threads()} threads"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", help="folder or hub id; the default model if left out")
    parser.add_argument("--out", type=Path, help="JSON file for the figures of every round")
    options = parser.parse_args()
    settings = {
        "pretrained": options.model or str(fetch_model()),
        "dtype": options.dtype,
        "device": options.device,
        "softmax_dtype": "float32",
    }
    hf, ours = HFLM(**settings, batch_size=1), PrefixLM(**settings, batch_size=1)
    meters, pack, found = {"hf": Meter(hf), "ours": Meter(ours)}, world(), {}
    for name in options.scenario:
        works = SCENARIOS[name](hf, pack)
        hf.batch_size_per_gpu = best_batch(hf, works[0])
        rounds = []
        for number in range(max(options.rounds, len(works) if options.rounds > 1 else 1)):
            work = works[number % len(works)]
            rounds.append(compare(hf, ours, meters, work, ours_first=number % 2 == 1))
            print(json.dumps(rounds[-1]), flush=True)
        found[name] = {"hf_batch": hf.batch_size_per_gpu, "rounds": rounds}
        if options.out:
            facts = {"machine": machine(options.device), "dtype": options.dtype, "source": source_state()}
            options.out.write_text(json.dumps(facts | {"versions": versions(), "scenarios": found}, indent=1) + "\n")
        print(row(name, found[name]), flush=True)


def row(name: str, result: dict[str, Any]) -> str:
    """Write one row of the Markdown table."""

    def median(key: str, form: str = "{:.1f}") -> str:
        values = [r[key] for r in result["rounds"] if r[key] is not None]
        return form.format(statistics.median(values)) if values else "-"

    ups = [r["speed_up"] for r in result["rounds"]]
    cells = [
        name.replace("_", " "),
        str(result["hf_batch"]),
        f"**{median('speed_up')}** ({min(ups):.1f}-{max(ups):.1f})",
        median("bound"),
        median("of_bound", "{:.0%}"),
        f"{median('hf_tokens', '{:.0f}')} / {median('tokens', '{:.0f}')} / {median('distinct', '{:.0f}')}",
        median("of_plain", "{:.0%}"),
        median("outside_forward", "{:.0%}"),
        f"{max(r['largest_difference'] for r in result['rounds']):.1e}",
        result["rounds"][-1]["equal_replies"],
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
