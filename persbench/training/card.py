"""The card of a trained folder (`card.json`): what was trained, on what, with what, and how it went.

`persbench.models.adapter_card` reads the part of it that evaluation needs.
"""

from __future__ import annotations

import csv
import io
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from persbench import __version__
from persbench.models.adapter_card import CARD, FORMAT, VERSION, CardBase, CardSpeaks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

PACKAGES: Final = ("torch", "transformers", "trl", "peft", "accelerate", "tokenizers")
LOSSES: Final = "losses.csv"
# What TRL logs at each step -> the column it goes to.
COLUMNS: Final = {
    "loss": "loss",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "mean_token_accuracy": "token_accuracy",
    "rewards/accuracies": "preference_accuracy",
    "rewards/margins": "margin",
    "rewards/chosen": "reward_chosen",
    "rewards/rejected": "reward_rejected",
    "logps/chosen": "logp_chosen",
    "logps/rejected": "logp_rejected",
}


class PhaseFacts(BaseModel):
    """How one phase went.

    Attributes:
        steps: Optimiser steps.
        first_loss: At the first step.
        final_loss: Mean over the last ten steps (all, if fewer).
        tokens: Read in an epoch, padding left out.
        learnt_tokens: Of these, those with a loss.
    """

    steps: int
    first_loss: float
    final_loss: float
    tokens: int
    learnt_tokens: int


class Counts(BaseModel):
    """What was learnt.

    Attributes:
        rows: Different rows of the persona.
        examples: Sequences of an epoch of SFT, repeated ones as often as they are learnt.
        general: Of these, ordinary dialogue.
        cut: Of these, those cut off at max_length.
        pairs: Preference pairs by kind.
    """

    rows: int
    examples: int
    general: int
    cut: int
    pairs: dict[str, int]


class Card(BaseModel):
    """Everything about one training; `key` decides whether another one would be the same.

    Attributes:
        tokenizer_digest: Of the base's tokenizer and chat template.
        trainer: Version of the trainer's code.
        weights: `adapter`, or `model` where all weights were tuned and saved.
        settings: The recipe, with all that it inherits and all that was computed.
        form: `folded` where the base's chat template takes no system message.
        dropped: Rows left out as near-duplicates, with the rows that they repeat.
        seconds: Of the process that ended the training.
    """

    model_config = ConfigDict(extra="forbid")

    format: Literal["persbench-adapter"] = FORMAT
    version: int = VERSION
    persbench: str = __version__
    key: str
    persona: str
    world: str
    recipe: str
    recipe_digest: str
    seed: int
    max_steps: int | None
    speaks: CardSpeaks
    base: CardBase
    tokenizer_digest: str
    trainer: int
    weights: Literal["adapter", "model"]
    form: Literal["chat", "folded"]
    pack_hash: str
    data_hash: str
    counts: Counts
    phases: dict[str, PhaseFacts]
    dropped: list[str]
    device: str
    dtype: str
    processes: int
    seconds: float
    resumed: bool
    versions: dict[str, str]
    settings: dict[str, Any]


def versions() -> dict[str, str]:
    """Return the versions of everything that takes part in a training."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def write_card(card: Card, folder: Path) -> None:
    """Write card.json."""
    (folder / CARD).write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")


def losses_csv(histories: Mapping[str, Iterable[Mapping[str, Any]]]) -> str:
    """Write what was logged as CSV: a line a step, SFT before DPO; what a phase does not log stays empty.

    Args:
        histories: Phase to what its trainer logged.
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, ["step", "phase", *COLUMNS.values()], restval="", lineterminator="\n")
    writer.writeheader()
    for phase, history in histories.items():
        for entry in steps_of_history(history):
            found = {column: entry[name] for name, column in COLUMNS.items() if entry.get(name) is not None}
            writer.writerow({"step": entry["step"], "phase": phase} | found)
    return stream.getvalue()


def steps_of_history(history: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the entries of a trainer's log that are of one step, without its summary."""
    return [entry for entry in history if "loss" in entry]
