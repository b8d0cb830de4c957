"""`persbench run`: plan the cells, leave out what is done, run the rest one by one."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from transformers.utils import logging as transformers_logging

from persbench.errors import PersbenchError
from persbench.harness import fake_lm as _fake_lm  # noqa: F401 - registers its model
from persbench.harness import prefix_lm as _prefix_lm  # noqa: F401 - registers its model
from persbench.harness.adapter_checks import require_adapters
from persbench.harness.adapters import adapter_fingerprint
from persbench.harness.anchors import neutral_prompts
from persbench.harness.backend import (
    adapter_of,
    backend_fingerprint,
    describe_backend,
    load_backend,
    require_loglikelihoods,
)
from persbench.harness.cell import Cell, now, pack_facts, run_cell
from persbench.harness.documents import documents_of
from persbench.harness.jobs import shared_out
from persbench.harness.reply import embedder_named
from persbench.harness.sanity_cells import SURFACE_TASKS, rules_of, sanity_rows
from persbench.harness.task_index import TaskFile, expand, tasks_folder
from persbench.harness.voices import Voice, split_systems, voices_of
from persbench.models.fetch import fetch_model
from persbench.packs.instrument import with_instrument
from persbench.packs.load import load_pack
from persbench.provenance import digest
from persbench.scoring.sanity import PREFIX
from persbench.systems.registry import get_system

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persbench.harness.settings import RunSettings
    from persbench.packs.pack import Pack, PersonaData

    Notice = Callable[[str], None]


def run(settings: RunSettings, notice: Notice) -> list[Path]:
    """Evaluate every missing cell and write its record.

    Args:
        settings: What to run.
        notice: Called with one line of progress or warning at a time.

    Returns:
        Paths of all records asked for, finished now or before.

    Raises:
        PersbenchError: Bad names, a pack with faults, a model that cannot be loaded or cannot run a task, a folder in
            use by another run or holding records of other settings, a result that lm-eval lost.
    """
    pack = with_instrument(load_pack(settings.pack), settings.instrument)
    tasks = expand(settings.tasks, tasks_folder())
    personas = [pack.persona(p) for p in settings.personas] or list(pack.personas)
    systems, sanity = split_systems(settings.systems)
    try:
        settings.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PersbenchError(f"--out {settings.out} is no folder that can be written to: {error.strerror}") from error
    try:
        with FileLock(settings.out / ".lock").acquire(timeout=0):
            done = _sanity_cells(settings.out, sanity, pack, tasks, notice)
            if systems:
                voices = voices_of(systems, pack, personas, settings)  # faults are told before anything is loaded
                names = list(dict.fromkeys(voice.data.persona.id for voice in voices))
                jobs = min(settings.jobs, len(names))
                if jobs < settings.jobs:
                    notice(f"--jobs {settings.jobs}: a persona is evaluated by one process, so {jobs} will run.")
                if jobs > 1:
                    done += shared_out(partial(_share, settings), names, jobs, notice, settings.out / "logs")
                else:
                    done += _model_cells(settings, voices, pack, tasks, notice)
            return done
    except Timeout:
        raise PersbenchError(f"another run writes to {settings.out}: wait for it, or choose another --out.") from None


def _sanity_cells(out: Path, names: list[str], pack: Pack, tasks: list[TaskFile], notice: Notice) -> list[Path]:
    """Score the sanity systems on every choice item of the pack.

    They cost nothing, and what they are held to, chance, shows on the whole data alone: no limit and no choice of
    personas applies.
    """
    choices = tuple(task for task in tasks if task.name in SURFACE_TASKS)
    if not names or not choices:
        return []
    rules = rules_of(pack)
    paths: list[Path] = []
    for name in names:
        for data in pack.personas:
            cell = Cell(name, data.persona.id, choices, pack_facts(pack) | {"system": name, "limit": None}, out)
            if not cell.is_done(notice):
                rows = sanity_rows(rules[name.removeprefix(PREFIX)], choices, pack, data)
                cell.save(rows, provenance={}, run={"started": now()})
            paths.append(cell.path)
    notice(f"sanity systems: {len(names)} rules on every choice item of the pack")
    return paths


def _share(settings: RunSettings, names: Sequence[str], notice: Notice) -> list[Path]:
    """Evaluate the systems that speak through a model as these personas, in a process of their own."""
    pack = with_instrument(load_pack(settings.pack), settings.instrument)
    systems, _ = split_systems(settings.systems)
    voices = voices_of(systems, pack, [pack.persona(name) for name in names], settings, share=True)
    return _model_cells(settings, voices, pack, expand(settings.tasks, tasks_folder()), notice)


def _model_cells(
    settings: RunSettings, voices: list[Voice], pack: Pack, tasks: list[TaskFile], notice: Notice
) -> list[Path]:
    transformers_logging.disable_progress_bar()
    name = settings.model or str(fetch_model())
    notice(f"loading {Path(name).name}")
    lm = load_backend(
        settings.backend,
        name,
        model_args=settings.model_args,
        dtype=settings.dtype,
        device=settings.device,
        batch_size=settings.batch_size,
        trust_remote_code=settings.trust_remote_code,
    )
    require_loglikelihoods(lm, [task.name for task in tasks if task.needs_likelihoods])
    chat_template = _use_template(settings, lm, notice)
    facts = pack_facts(pack) | _model_facts(settings, name, lm, chat_template=chat_template)
    adapters = [voice.adapter for voice in voices if voice.adapter is not None]
    require_adapters(adapters, lm, templated=chat_template)
    able = {voice.data.persona.id: _able(tasks, pack, voice.data, notice) for voice in voices}
    cells = [
        Cell(
            voice.system.name,
            voice.data.persona.id,
            able[voice.data.persona.id],
            facts | voice.facts(settings),
            settings.out,
            voice.adapter,
        )
        for voice in voices
    ]
    cells = [cell for cell in cells if cell.tasks]
    todo = [cell for cell in cells if not cell.is_done(notice)]
    if len(todo) < len(cells):
        notice(f"{len(cells) - len(todo)} of {len(cells)} cells were finished before")
    begun = time.monotonic()
    for number, cell in enumerate(todo, start=1):
        left = (time.monotonic() - begun) / 60 / (number - 1) * (len(todo) - number + 1) if number > 1 else None
        notice(
            f"[{number}/{len(todo)}] {cell.system} as {cell.persona}{f', about {left:.1f} min left' if left else ''}"
        )
        run_cell(cell, settings, lm, chat_template=chat_template)
    return [cell.path for cell in cells]


def _able(tasks: list[TaskFile], pack: Pack, data: PersonaData, notice: Notice) -> tuple[TaskFile, ...]:
    """Return the tasks this pack has items for, whoever speaks; the others are skipped by name."""
    able = tuple(task for task in tasks if documents_of(task.name, pack, data, get_system("vanilla")))
    lacking = [task.name for task in tasks if task not in able]
    if lacking:
        notice(f"skipping {', '.join(lacking)} for {data.persona.id}: the pack has no items for it")
    return able


def _use_template(settings: RunSettings, lm: Any, notice: Notice) -> bool:
    """Whether messages go through the model's chat template; a model without one gets plain text, and a notice."""
    tokenizer: Any = getattr(lm, "tokenizer", None)
    if settings.chat_template and hasattr(tokenizer, "chat_template") and not tokenizer.chat_template:
        notice(
            "the model has no chat template: messages are rendered as plain text, and the signature says so. If it was "
            "trained with one, copy chat_template.jinja into its folder."
        )
        return False
    return settings.chat_template


def _model_facts(settings: RunSettings, name: str, lm: Any, *, chat_template: bool) -> dict[str, Any]:
    described = describe_backend(lm)
    # An endpoint's arguments may hold what no record should: they are told apart by digest.
    arguments = {"args": digest(settings.model_args, 8)} if settings.model_args else {}
    if (adapter := adapter_of(lm)) is not None:  # one that the user loaded the model with
        arguments["adapter"] = adapter_fingerprint(Path(adapter))[:12] if Path(adapter).is_dir() else adapter
    return {
        "model": f"{Path(name).name}@{str(described.get('weights') or described.get('fingerprint'))[:12]}",
        "backend": f"{settings.backend}@{backend_fingerprint(lm)[:8]}",
        "dtype": described.get("dtype", "unknown"),
        "device": described.get("device", "remote"),
        "batch": described["batch_size"],
        "template": "chat" if chat_template else "plain",
        "neutral": digest(neutral_prompts(), 8),
        "limit": settings.limit,
        "seed": ",".join(map(str, settings.seeds)),
        "embedder": Path(embedder.name).name if (embedder := embedder_named(settings.embedder)) else "none",
    } | arguments
