"""One phase of a training: dress the base model, run TRL's trainer from the last good checkpoint, and read its log."""

from __future__ import annotations

import json
import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM, PrinterCallback, TrainerCallback, set_seed

from persbench.errors import PersbenchError
from persbench.training.arguments import trainer_arguments
from persbench.training.checkpoints import last_good
from persbench.training.cpu_head import use_cpu_head
from persbench.training.dpo import dpo_trainer
from persbench.training.lora import require_targets, with_lora, with_saved_lora
from persbench.training.sft import by_length, sft_trainer
from persbench.training.vocabulary import fit_embeddings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from persbench.training.base import Base
    from persbench.training.checkpoints import Identity
    from persbench.training.job import Job
    from persbench.training.machine import Machine
    from persbench.training.prepared import Phase, Prepared
    from persbench.training.progress import Report


@dataclass(frozen=True)
class Run:
    """What all phases of a training share.

    Attributes:
        job: What is trained.
        base: On what.
        prepared: In tokens.
        machine: Where.
        work: Folder for checkpoints.
        key: Of the job.
        save_every: Steps between checkpoints.
        report: Takes what there is to say.
        callbacks: Further callbacks of transformers.
    """

    job: Job
    base: Base
    prepared: Prepared
    machine: Machine
    work: Path
    key: str
    save_every: int
    report: Report
    callbacks: Sequence[Any] = ()

    def identity(self, phase: Phase) -> Identity:
        """Return what a checkpoint of a phase must belong to."""
        return {"key": self.key, "phase": phase.name, "processes": self.machine.processes}


def run_phase(run: Run, phase: Phase, before: Path | None) -> tuple[Path, bool]:
    """Train a phase to its end.

    Args:
        run: What is trained, and where.
        phase: SFT or DPO.
        before: Last checkpoint of the phase before; None for the first.

    Returns:
        The phase's last checkpoint, and whether it went on from an earlier one.

    Raises:
        PersbenchError: The loss is no number any more, memory ran out, or the disk is full.
    """
    folder = run.work / phase.name
    found = last_good(folder, run.identity(phase), run.report.notice)
    done = 0 if found is None else found[1]
    run.report.phase(run.job.persona, phase.name, done, phase.steps)
    if found is not None and done >= phase.steps:
        return found[0], True
    with dressed(run, before) as model:
        trainer = _trainer(run, phase, model, folder)
        _train(trainer, None if found is None else str(found[0]))
    run.machine.wait()
    last = last_good(folder, run.identity(phase), run.report.notice)
    if last is None or last[1] < phase.steps:
        raise PersbenchError(
            f"{run.job.persona}: {phase.name} stopped at step {last[1] if last else 0} of {phase.steps}: "
            "run the same command again; it goes on from there."
        )
    return last[0], found is not None


@contextmanager
def dressed(run: Run, weights: Path | None) -> Iterator[Any]:
    """Lend the base model with new tokens and, where the recipe has one, an adapter.

    Args:
        run: Says which.
        weights: A checkpoint to begin from; None for a fresh adapter, or the base's own weights.
    """
    lora = run.job.recipe.lora
    if lora is None and weights is not None:
        yield AutoModelForCausalLM.from_pretrained(str(weights), dtype=torch.float32, use_safetensors=True)
        return
    with run.base.lent(keep=lora is not None and not run.machine.sharded) as model:
        set_seed(run.job.seed)
        if lora is not None:
            require_targets(model, lora, run.base.name)
        if run.prepared.token_ids:
            fit_embeddings(model, len(run.prepared.tokenizer))
        if lora is None:
            yield model
        elif weights is None:
            yield with_lora(model, lora, run.prepared.token_ids, run.base.name)
        else:
            yield with_saved_lora(model, weights)


def _trainer(run: Run, phase: Phase, model: Any, folder: Path) -> Any:
    arguments = trainer_arguments(
        phase.settings,
        run.machine,
        folder,
        steps=phase.steps,
        seed=run.job.seed,
        save_every=run.save_every,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        sparse=any(getattr(model.config, name, None) for name in ("num_experts", "num_local_experts")),
    )
    watch = [Watch(run.report, run.job.persona, phase.name), *run.callbacks]
    if phase.name == "dpo" and run.job.recipe.dpo is not None:
        trainer = dpo_trainer(model, run.prepared.tokenizer, phase.rows, arguments, run.job.recipe.dpo.beta, watch)
    else:
        micro = arguments["per_device_train_batch_size"]
        rows = by_length(phase.rows, phase.settings.batch_size, micro, run.job.seed)
        trainer = sft_trainer(model, run.prepared.tokenizer, rows, arguments, watch)
    trainer.identity = run.identity(phase)
    trainer.remove_callback(PrinterCallback)
    if run.machine.device == "cpu":
        use_cpu_head(model.get_base_model() if hasattr(model, "peft_config") else model)
    return trainer


def _train(trainer: Any, checkpoint: str | None) -> None:
    try:
        trainer.train(resume_from_checkpoint=checkpoint)
    except torch.OutOfMemoryError as error:
        raise PersbenchError(
            "memory ran out: set a smaller micro_batch (the batch stays as it is) or max_length in a recipe of yours."
        ) from error
    finally:
        trainer.accelerator.free_memory()


class Watch(TrainerCallback):  # type: ignore[misc]
    """Reports each step, and stops a training whose loss is no number."""

    def __init__(self, report: Report, persona: str, phase: str) -> None:
        self._report, self._persona, self._phase = report, persona, phase

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:  # noqa: ARG002
        """See `TrainerCallback`."""
        state.save_steps = args.save_steps  # a resumed state brings along what an earlier command said

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **more: Any) -> None:  # noqa: ARG002
        """See `TrainerCallback`."""
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            raise PersbenchError(
                f"{self._persona}: the loss of {self._phase} is {loss} at step {state.global_step}: set a lower "
                "learning_rate or a smaller clip in a recipe of your own."
            )
        self._report.step(state.global_step, loss)


def history_of(checkpoint: Path) -> list[dict[str, Any]]:
    """Return what a trainer logged up to a checkpoint."""
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    return list(state["log_history"])
