"""From a recipe and a persona to a trained folder: SFT, DPO, and a folder that is whole or not there."""

from __future__ import annotations

import shutil
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from filelock import FileLock, Timeout

from persbench.errors import PersbenchError
from persbench.models.adapter_card import CardBase, CardSpeaks
from persbench.models.fetch import fetch_model
from persbench.models.finished import install, staging
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack
from persbench.training.base import load_base
from persbench.training.card import (
    LOSSES,
    Card,
    PhaseFacts,
    losses_csv,
    steps_of_history,
    versions,
    write_card,
)
from persbench.training.checkpoints import saving
from persbench.training.identity import TRAINER, claim, decided_by, finished, key_of
from persbench.training.job import Remembering, job_of
from persbench.training.machine import launch_notice, machine_of
from persbench.training.prepared import Prepared
from persbench.training.progress import Silent
from persbench.training.quiet import quiet_libraries
from persbench.training.recipe import load_recipe
from persbench.training.run import Run, history_of, run_phase

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from persbench.scoring.overlap import Embedder
    from persbench.training.base import Base
    from persbench.training.identity import Decided
    from persbench.training.job import Job
    from persbench.training.machine import Machine
    from persbench.training.progress import Report

WORK: Final = ".work"
# What of a checkpoint belongs to the trainer and not to the weights.
OF_TRAINER: Final = (
    "optimizer*",
    "scheduler*",
    "scaler*",
    "rng_state*",
    "trainer_state.json",
    "persbench-manifest.json",
)
LAST: Final = 10


@dataclass(frozen=True)
class TrainSettings:
    """What to train.

    Attributes:
        out: A folder for each persona comes into it.
        personas: Ids; none for all of the pack.
        recipe: Name, or path of a YAML file.
        base: Folder or hub id of the base model; the default model if None.
        pack: Folder or name of a world; the reference world if None.
        seed: The recipe's if None.
        max_steps: At most so many optimiser steps a phase; None for all.
        device: `auto`, `cpu`, `cuda`, `mps`.
        dtype: `auto`, `float32`, `bfloat16`: of matrix products; weights are float32.
        save_every: Optimiser steps between checkpoints.
    """

    out: Path
    personas: tuple[str, ...] = ()
    recipe: str = "persllm"
    base: str | None = None
    pack: str | None = None
    seed: int | None = None
    max_steps: int | None = None
    device: str = "auto"
    dtype: str = "auto"
    save_every: int = 25


def train(
    settings: TrainSettings,
    *,
    report: Report | None = None,
    embedder: Embedder | None = None,
    callbacks: Sequence[Any] = (),
) -> list[Path]:
    """Train personas, one folder each; what is finished is left as it is, and what was interrupted goes on.

    Args:
        settings: What to train.
        report: Takes what there is to say.
        embedder: Finds near-duplicates and nearest prompts; the default one if None.
        callbacks: Further callbacks of transformers, for every phase.

    Returns:
        The personas' folders, in order.

    Raises:
        PersbenchError: Something in the settings, the data, the base model or the folder is not as it must be; all
            data is looked at before the first step.
    """
    machine = machine_of(settings.device, settings.dtype)
    report = report or Silent()
    if notice := launch_notice(machine):
        report.notice(notice)
    recipe = load_recipe(settings.recipe)
    pack = load_pack(resolve_pack(settings.pack))
    memory = Remembering(embedder)
    with quiet_libraries():
        names = settings.personas or tuple(data.persona.id for data in pack.personas)
        jobs = [
            job_of(pack, name, recipe, seed=settings.seed, max_steps=settings.max_steps, embedder=memory)
            for name in names
        ]
        base = load_base(settings.base or fetch_model())
        wanted = [decided_by(job, base, machine) for job in jobs]
        done = [finished(settings.out / job.persona, decided) for job, decided in zip(jobs, wanted, strict=True)]
        machine.wait()
        for job, decided, is_done in zip(jobs, wanted, done, strict=True):
            if is_done:
                report.notice(f"{job.persona} is trained already")
            else:
                _train_one(job, decided, base, machine, settings, report, callbacks)
            report.persona_done()
    return [settings.out / name for name in names]


def _train_one(
    job: Job,
    decided: Decided,
    base: Base,
    machine: Machine,
    settings: TrainSettings,
    report: Report,
    callbacks: Sequence[Any],
) -> None:
    work = settings.out / WORK / job.persona
    started = time.monotonic()
    with _alone(work, decided, machine):
        key = key_of(decided)
        run = Run(job, base, Prepared(job, base), machine, work, key, settings.save_every, report, callbacks)
        checkpoint, resumed = None, False
        histories: dict[str, list[dict[str, Any]]] = {}
        for phase in run.prepared.phases:
            checkpoint, went_on = run_phase(run, phase, checkpoint)
            histories[phase.name] = history_of(checkpoint)
            resumed = resumed or went_on
        if machine.writes and checkpoint is not None:
            card = _card(run, histories, time.monotonic() - started, resumed)
            _finish(settings.out, run, card, checkpoint, losses_csv(histories))
        machine.wait()


@contextmanager
def _alone(work: Path, decided: Decided, machine: Machine) -> Iterator[None]:
    """Hold a persona's working folder, so that no two trainings write into it.

    Raises:
        PersbenchError: Another process holds it, it belongs to another training, or it cannot be made.
    """
    if not machine.writes:
        machine.wait()
        yield
        return
    lock = FileLock(work.with_name(f"{work.name}.lock"))
    try:
        work.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise PersbenchError(
            f"another process trains {work.name} into {work.parent.parent}: wait for it, or name another --out."
        ) from None
    except OSError as error:
        raise PersbenchError(f"{work.parent} cannot be written ({error.strerror}): name another --out.") from error
    try:
        claim(work, decided)
        machine.wait()
        yield
    finally:
        lock.release()


def _card(run: Run, histories: dict[str, list[dict[str, Any]]], seconds: float, resumed: bool) -> Card:
    job, base, machine = run.job, run.base, run.machine
    facts = {}
    for phase in run.prepared.phases:
        losses = [float(entry["loss"]) for entry in steps_of_history(histories[phase.name])]
        facts[phase.name] = PhaseFacts(
            steps=phase.steps,
            first_loss=losses[0],
            final_loss=sum(losses[-LAST:]) / len(losses[-LAST:]),
            tokens=phase.tokens,
            learnt_tokens=phase.learnt,
        )
    speaks = job.recipe.speaks
    return Card(
        key=run.key,
        persona=job.persona,
        world=job.world,
        recipe=job.recipe.name,
        recipe_digest=job.recipe.digest,
        seed=job.seed,
        max_steps=job.max_steps,
        speaks=CardSpeaks(analysis=speaks.analysis, temporal=speaks.temporal, labels=job.labels),
        base=CardBase(name=base.name, digest=base.digest, vocab_size=base.vocab_size),
        tokenizer_digest=base.tokenizer_digest,
        trainer=TRAINER,
        weights="model" if job.recipe.full else "adapter",
        form=base.form,
        pack_hash=job.pack_hash,
        data_hash=job.data_hash,
        counts=run.prepared.counts,
        phases=facts,
        dropped=list(job.dropped),
        device=machine.device,
        dtype=machine.arithmetic,
        processes=machine.processes,
        seconds=round(seconds, 1),
        resumed=resumed,
        versions=versions(),
        settings=job.recipe.model_dump(mode="json"),
    )


def _finish(out: Path, run: Run, card: Card, checkpoint: Path, losses: str) -> None:
    """Put the persona's folder together beside its place, move it there in one step, and remove the checkpoints."""
    with staging(out, run.job.persona) as temporary:
        folder = temporary / run.job.persona
        with saving(folder):
            shutil.copytree(checkpoint, folder, ignore=shutil.ignore_patterns(*OF_TRAINER))
            run.prepared.tokenizer.save_pretrained(str(folder))
            (folder / LOSSES).write_text(losses, encoding="utf-8")
            write_card(card, folder)
            folder.chmod(0o755)
            install(folder, out / run.job.persona)
    with suppress(OSError):
        shutil.rmtree(run.work)
