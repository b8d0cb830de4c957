"""Time the prefix model's replies against transformers' own continuous batching, on the same requests in one run.

    python benchmarks/continuous.py            # 40 replies of 64 tokens under one prompt, three rounds

Both generate greedily, the one and the other first in turn; printed are the ratio of each round, and how many replies
are the same text.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from scenarios import REPLY, reply, world
from transformers import AutoModelForCausalLM, GenerationConfig

from persbench.harness.prefix_lm import PrefixLM
from persbench.models.fetch import fetch_model


def by_transformers(model: Any, prompts: list[list[int]], length: int, lm: Any) -> list[str]:
    """Return replies of `generate_batch`."""
    greedy = GenerationConfig(
        max_new_tokens=length,
        do_sample=False,
        eos_token_id=model.generation_config.eos_token_id,
        pad_token_id=lm.tokenizer.pad_token_id,
    )
    found = model.generate_batch(prompts, generation_config=greedy, progress_bar=False)
    ordered = sorted(found, key=lambda request: int(request.rpartition("_")[2]))  # req_0, req_1, ...
    return [lm.tok_decode(found[request].generated_tokens, skip_special_tokens=True) for request in ordered]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replies", type=int, default=40)
    parser.add_argument("--tokens", type=int, default=REPLY["max_gen_toks"], help="of each reply, at most")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    folder = str(fetch_model())
    lm = PrefixLM(pretrained=folder, dtype=options.dtype, device=options.device, batch_size=1)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, options.dtype)).to(options.device)
    asked = reply(lm, world())[0].generated[: options.replies]
    for request in asked:
        request.arguments = (request.args[0], REPLY | {"max_gen_toks": options.tokens})
    prompts = [lm.tok_encode(request.args[0]) for request in asked]
    for number in range(options.rounds):
        seconds, texts = {}, {}
        for name in sorted(("ours", "transformers"), reverse=number % 2 == 1):
            lm.forget()
            begun = time.perf_counter()
            texts[name] = (
                list(lm.generate_until(asked, disable_tqdm=True))
                if name == "ours"
                else by_transformers(model, prompts, options.tokens, lm)
            )
            seconds[name] = time.perf_counter() - begun
        same = sum(one.strip() == other.strip() for one, other in zip(*texts.values(), strict=True))
        print(
            f"ours {seconds['ours']:.1f} s, transformers {seconds['transformers']:.1f} s, "
            f"{seconds['transformers'] / seconds['ours']:.1f} times; {same} of {len(asked)} replies the same",
            flush=True,
        )


if __name__ == "__main__":
    main()
