"""How to reproduce a system's numbers: the commands that its signature implies, to be typed as they are."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

from persbench.packs.bundled import DEFAULT_WORLD
from persbench.report.site.safe import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_MODEL: Final = "SmolLM2-135M-Instruct"
LM_EVAL_SEEDS: Final = "0,1234,1234,1234"  # lm-eval's own, which `persbench run` takes unless told otherwise
PREFIX_BACKEND: Final = "persbench-prefix"


def commands(system: str, personas: Sequence[str], signature: Mapping[str, Any], tasks: Sequence[str]) -> list[str]:
    """Write the commands that make such records again.

    Args:
        system: System name.
        personas: Its personas.
        signature: As records carry it, or as it is made from lm-eval's result files.
        tasks: Names of the tasks that it was asked.

    Returns:
        Shell commands, a line each; every name is quoted for the shell.
    """
    facts = {key: name_of(value, 200) for key, value in signature.items()}
    model = facts.get("model", "").partition("@")[0]
    base = [] if model in {"", DEFAULT_MODEL} else ["--model" if not signature.get("recipe") else "--base", model]
    found = []
    spoken = name_of(system, 200)
    if signature.get("recipe"):
        recipe = facts["recipe"]
        out = f"adapters/{_folder(recipe)}"
        found.append(
            ["persbench", "train", "--persona", ",".join(map(name_of, personas)), "--recipe", recipe]
            + _pack(facts)
            + (["--seed", facts["training_seed"]] if "training_seed" in facts else [])
            + base
            + ["--out", out]
        )
        spoken = f"{spoken}={out}"
    found.append(
        ["persbench", "run", "--systems", spoken, "--personas", ",".join(map(name_of, personas))]
        + (["--model", model] if base else [])
        + ["--tasks", ",".join(map(name_of, tasks))]
        + _pack(facts)
        + _settings(facts, signature)
        + ["--out", "runs/reproduced"]
    )
    found.append(["persbench", "report", "table", "runs/reproduced"])
    return [shlex.join(command) for command in found]


def _pack(facts: Mapping[str, str]) -> list[str]:
    """Name the world, which training and evaluation must share, unless it is the one taken by default."""
    world = facts.get("pack", "").partition("@")[0].rpartition("-")[0]
    return ["--pack", world] if world not in {"", DEFAULT_WORLD} else []


def _settings(facts: Mapping[str, str], signature: Mapping[str, Any]) -> list[str]:
    backend = facts.get("backend", PREFIX_BACKEND).partition("@")[0]
    seeds = facts.get("seed", LM_EVAL_SEEDS)
    given = [
        ("--backend", backend, backend != PREFIX_BACKEND),
        ("--dtype", facts.get("dtype", ""), "dtype" in facts),
        ("--device", facts.get("device", ""), "device" in facts),
        ("--batch-size", facts.get("batch", ""), "batch" in facts and facts["batch"] != "16"),
        ("--limit", facts.get("limit", ""), signature.get("limit") is not None),
        ("--seed", seeds.partition(",")[0], seeds != LM_EVAL_SEEDS),
        ("--analysis", facts.get("analysis", ""), facts.get("analysis", "greedy") != "greedy"),
    ]
    found = [word for name, value, wanted in given if wanted for word in (name, value)]
    return found + (["--no-chat-template"] if facts.get("template") == "plain" else [])


def _folder(name: str) -> str:
    return "".join(char if char.isascii() and (char.isalnum() or char in "-+_.") else "-" for char in name).strip(".")
