"""Where a number comes from: versions, source state, and the digests that go into its signature."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from persbench import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKAGES: Final = (
    "lm-eval",
    "torch",
    "transformers",
    "tokenizers",
    "sacrebleu",
    "rouge-score",
    "scikit-learn",
    "numpy",
)


@cache
def versions() -> dict[str, str]:
    """Return the versions of persbench, Python and every package that takes part in a number."""
    found = {"persbench": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def source_state() -> dict[str, Any]:
    """Return the commit of the source checkout and whether it was changed; empty for an installed package."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return {}
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git(root, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return {}


def bfloat16_units() -> list[str]:
    """Return the units of this processor that multiply bfloat16 matrices, by their names in torch, the faster first."""
    import torch  # noqa: PLC0415 - takes seconds, which not every command should wait for

    found = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    # The last two are ARM's.
    return [unit for unit in ("amx_bf16", "avx512_bf16", "sve_bf16", "bf16") if found.get(unit, False)]


def machine() -> dict[str, Any]:
    """Return what decides the last digits of its sums, and with them the words of a greedy reply in bfloat16."""
    import torch  # noqa: PLC0415 - as above

    facts: dict[str, Any] = {
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "bfloat16": bfloat16_units(),
        "threads": torch.get_num_threads(),
    }
    return facts | ({"accelerator": torch.cuda.get_device_name()} if torch.cuda.is_available() else {})


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603 - a fixed program
    return done.stdout.strip()


def digest(value: object, length: int = 12) -> str:
    """Return the first hex digits of the SHA-256 over a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def signature(facts: Mapping[str, object]) -> str:
    """Write facts in sacreBLEU's manner: `key:value|key:value`, in the order given."""
    return "|".join(f"{key}:{value}" for key, value in facts.items())
