"""What `persbench run` is asked for, and how its text options are read."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from persbench.errors import PersbenchError

if TYPE_CHECKING:
    from pathlib import Path

LM_EVAL_SEEDS: Final = (0, 1234, 1234, 1234)  # lm-eval's own defaults, so that the stock command agrees
SANITY: Final = "sanity"


@dataclass(frozen=True)
class RunSettings:
    """What `persbench run` was asked for.

    Attributes:
        model: Local folder, hub id or endpoint model name; None for the default model, fetched if needed.
        pack: Folder of the world.
        out: Folder for records.
        systems: System names, a trained one as NAME=DIR; `sanity` stands for all sanity systems.
        personas: Persona ids; empty for all of the pack.
        tasks: Task or group names.
        limit: Documents of each task and persona, a balanced prefix; None for all.
        backend: lm-eval model type.
        model_args: Further arguments of that type.
        dtype: `auto`, `float32`, `bfloat16`, ...
        device: Torch device, or None for the first accelerator, else the CPU.
        batch_size: Requests in a batch, or `auto`.
        seed: One seed for Python, NumPy, torch and few-shot sampling; None for lm-eval's defaults.
        chat_template: Render messages by the model's template.
        trust_remote_code: Let the model's own code run.
        anchors: Folder of stored anchors; the user's cache by default.
        embedder: Folder or hub id of the sentence embedder for reply overlap; the default one if None.
        instrument: CSV of a personality scale in the place of the pack's trait statements.
        analysis: How a system that thinks makes its turn, see `persbench.harness.analysis`: `greedy` or `none`.
        jobs: Processes that share the personas, and the cores of the processor.
    """

    model: str | None
    pack: Path
    out: Path
    systems: tuple[str, ...] = ("vanilla", "prompt", SANITY)
    personas: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ("persbench_alignment",)
    limit: int | None = None
    backend: str = "persbench-prefix"
    model_args: dict[str, Any] = field(default_factory=dict)
    dtype: str = "auto"
    device: str | None = None
    batch_size: int | str = 16
    seed: int | None = None
    chat_template: bool = True
    trust_remote_code: bool = False
    anchors: Path | None = None
    embedder: str | None = None
    instrument: Path | None = None
    analysis: str = "greedy"
    jobs: int = 1

    @property
    def seeds(self) -> tuple[int, int, int, int]:
        """The four seeds lm-eval takes."""
        return LM_EVAL_SEEDS if self.seed is None else (self.seed,) * 4


def parse_arguments(text: str) -> dict[str, Any]:
    """Read `key=value,key=value`; values that are Python literals become what they say.

    Raises:
        PersbenchError: A part without an equals sign or a name.
    """
    arguments: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.partition("=")
        if not equals or not key.strip().isidentifier():
            raise PersbenchError(f"--model-args: {part!r} is not key=value")
        try:
            arguments[key.strip()] = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError):
            arguments[key.strip()] = value.strip()
    return arguments


def parse_batch_size(text: str) -> int | str:
    """Read a positive number, or lm-eval's `auto`, `auto:N`.

    Raises:
        PersbenchError: Neither.
    """
    if text.partition(":")[0] == "auto":
        return text
    if text.isdigit() and int(text) > 0:
        return int(text)
    raise PersbenchError(f"--batch-size: {text!r} is neither a positive number nor auto")
