"""A toy world, a tiny base model and a short recipe: a whole training in a second; and what interrupts it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tiny_chat_model import chat_model
from toy_world import WordBags, toy_world
from transformers import TrainerCallback

from persbench.training.pipeline import TrainSettings, train
from persbench.training.progress import Report

RECIPE = """
extends: persllm
data: {repeat: 1, general: 0.25}
sft: {batch_size: 8, micro_batch: 4, warmup_steps: 1, learning_rate: 5.0e-3}
dpo: {batch_size: 8, micro_batch: 4, warmup_steps: 1, learning_rate: 1.0e-3, pairs: 24}
lora: {r: 4, alpha: 8}
"""  # five steps of SFT, three of DPO


class Stopped(Exception):  # noqa: N818 - what a killed process is to the next one
    """Raised in the middle of a training."""


class StopAt(TrainerCallback):  # type: ignore[misc]
    """Stops a phase after a step, before it would be saved."""

    def __init__(self, phase: str, step: int) -> None:
        self.phase, self.step = phase, step

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if Path(args.output_dir).name == self.phase and state.global_step == self.step:
            raise Stopped


def make_home(folder: Path) -> Path:
    """Write a world, a base model and a recipe into a folder."""
    torch.set_num_threads(1)  # more of them wait for each other longer than they work on so small a model
    toy_world(folder / "world")
    chat_model(folder / "base")
    (folder / "short.yaml").write_text(RECIPE)
    return folder


@dataclass(frozen=True)
class ShortTraining:
    """Trains ada of the toy world, by the short recipe unless told otherwise."""

    home: Path
    out: Path

    def __call__(self, *callbacks: Any, report: Report | None = None, **changed: Any) -> Path:
        settings: dict[str, Any] = {
            "out": self.out, "personas": ("ada",), "recipe": str(self.home / "short.yaml"),
            "base": str(self.home / "base"), "pack": str(self.home / "world"), "device": "cpu", "dtype": "float32",
            "save_every": 2,
        }  # fmt: skip
        return train(TrainSettings(**settings | changed), report=report, embedder=WordBags(), callbacks=callbacks)[0]
