"""Result files of the stock `lm_eval` command: which facts of them make the signature of a number."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from persbench.provenance import digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persbench.samples import Row

RESULTS: Final = "results_"


def sample_file(results_path: Path, task: str) -> Path:
    """Return where lm-eval saves a task's samples beside its results."""
    return results_path.with_name(f"samples_{task}_{results_path.stem.removeprefix(RESULTS)}.jsonl")


def stock_signature(results: Mapping[str, Any], system: str, rows: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
    """Return the facts behind a cell's numbers, from lm-eval's own account of its run.

    Args:
        results: Content of a `results_*.json`.
        system: System name.
        rows: Task name -> rows of the cell, at least one.
    """
    config = results.get("config", {})
    arguments = config.get("model_args") or {}
    model = (
        arguments.get("pretrained") or arguments.get("model") or results.get("model_name", "")
        if isinstance(arguments, dict)
        else arguments
    )
    first = next(iter(rows.values()))[0]
    # Whatever else decides a number and has no place of its own below: an adapter, a path, an embedder, stored anchors.
    given = [results["configs"][task].get("metadata") or {} for task in sorted(rows)]
    more = [{key: one[key] for key in ("anchors", "embedder") if key in one} for one in given]
    # How a system that thinks made its turns, and settings of replies other than the tasks' own.
    facts = {key: one[key] for one in given for key in ("analysis", "analysis_tokens") if key in one}
    if config.get("gen_kwargs"):
        facts["gen_kwargs"] = digest(config["gen_kwargs"], 8)
    return {
        "lm-eval": results.get("lm_eval_version", "unknown"),
        "pack": f"@{str(first.get('pack_hash', ''))[:12]}",
        "system": system,
        "model": Path(str(model)).name,
        "backend": config.get("model", "unknown"),
        "args": digest([arguments, config.get("model_sha"), max(more, key=len, default={})], 8),
        "template": "chat" if results.get("chat_template") else "plain",
        "dtype": str(config.get("model_dtype", "unknown")).removeprefix("torch."),
        "batch": config.get("batch_size"),
        "limit": config.get("limit"),
        "seed": ",".join(str(config.get(f"{kind}_seed")) for kind in ("random", "numpy", "torch", "fewshot")),
        "tasks": ",".join(f"{t.removeprefix('persbench_')}-{results.get('versions', {}).get(t)}" for t in sorted(rows)),
    } | facts
