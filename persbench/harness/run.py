"""`persbench run`: one lm-eval evaluation a cell, one record a cell, and only what is missing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager

from persbench.errors import PersbenchError, UnknownNameError
from persbench.harness import fake_lm as _fake_lm  # noqa: F401 - registers the fake model
from persbench.harness.anchors import anchors_hash, neutral_prompts
from persbench.harness.backend import describe_backend, load_backend, require_loglikelihoods
from persbench.harness.documents import documents_of
from persbench.harness.sanity_cells import CHOICE_TASKS, PREFIX, Rule, rules_of, sanity_rows, sanity_systems
from persbench.harness.task_index import TaskFile, expand, tasks_folder
from persbench.harness.settings import SANITY, RunSettings
from persbench.models.fetch import fetch_model
from persbench.packs.load import load_pack
from persbench.packs.pack import Pack, PersonaData
from persbench.provenance import digest, source_state, versions
from persbench.records import CellRecord, load_record, save_record
from persbench.samples import Row, sample_row
from persbench.systems.prompted import SYSTEMS, get_system

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
    pack = load_pack(settings.pack)
    tasks = expand(settings.tasks, tasks_folder())
    personas = [pack.persona(p) for p in settings.personas] or list(pack.personas)
    systems, sanity = _split_systems(settings.systems)
    settings.out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(settings.out / ".lock")
    try:
        with lock.acquire(timeout=0):
            done = _sanity_cells(settings, sanity, pack, tasks, personas, notice)
            return done + (_model_cells(settings, systems, pack, tasks, personas, notice) if systems else [])
    except Timeout:
        raise PersbenchError(f"another run writes to {settings.out}: wait for it, or choose another --out.") from None


def _split_systems(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate systems that need the model from sanity systems; `sanity` is all of the latter."""
    systems: list[str] = []
    sanity: list[str] = []
    for name in names:
        if name == SANITY:
            sanity += [s for s in sanity_systems() if s not in sanity]
        elif name in sanity_systems():
            sanity.append(name)
        elif name in SYSTEMS:
            systems.append(name)
        else:
            raise UnknownNameError("system", name, [*SYSTEMS, SANITY, *sanity_systems()])
    return list(dict.fromkeys(systems)), list(dict.fromkeys(sanity))


def record_path(out: Path, system: str, persona: str) -> Path:
    """Return where a cell's record stands."""
    return out / "records" / f"{system.replace(':', '-')}__{persona}.json"


def _is_done(path: Path, key: str, notice: Notice) -> bool:
    """Whether the record is there for these very settings.

    Raises:
        PersbenchError: The folder holds a record of other settings: its numbers must not be mixed with new ones.
    """
    if not path.exists():
        return False
    try:
        record = load_record(path)
    except PersbenchError as error:
        notice(f"{error} Running this cell again.")
        return False
    if record.key != key:
        raise PersbenchError(
            f"{path} was made with other settings (model, pack, tasks, limit, seed or versions: see its `signature`). "
            "Choose another --out, or delete that record."
        )
    return True


def _facts(settings: RunSettings, system: str, fingerprint: str, pack: Pack, model: dict[str, Any]) -> dict[str, Any]:
    """Facts that decide every number of a cell, as the signature prints them."""
    found = versions()
    return {
        "persbench": found["persbench"],
        "lm-eval": found["lm-eval"],
        "pack": f"{pack.world.id}-{pack.world.version}@{pack.hash[:12]}",
        "system": f"{system}@{fingerprint}",
        **model,
    }


def _key(facts: dict[str, Any], persona: str, tasks: Iterable[TaskFile]) -> str:
    return digest([facts, persona, sorted((t.name, t.version, t.hash) for t in tasks)], 16)


def _record(
    facts: dict[str, Any], key: str, system: str, persona: str, tasks: Sequence[TaskFile], rows: dict[str, list[Row]], **more: Any
) -> CellRecord:
    by_name = {t.name: t for t in tasks}
    return CellRecord(
        system=system,
        persona=persona,
        key=key,
        signature=facts,
        tasks={
            name: {"version": by_name[name].version, "hash": by_name[name].hash, "samples": samples}
            for name, samples in sorted(rows.items())
        },
        provenance={"versions": versions(), "source": source_state(), **more.pop("provenance", {})},
        run=more,
    )


def _sanity_cells(
    settings: RunSettings, names: list[str], pack: Pack, tasks: list[TaskFile], personas: list[PersonaData], notice: Notice
) -> list[Path]:
    """Score the sanity systems on every choice item of the personas: they cost nothing, so no limit applies."""
    tasks = [task for task in tasks if task.name in CHOICE_TASKS]
    paths: list[Path] = []
    rules: dict[str, Rule] = rules_of(pack) if names and tasks else {}
    for name in names if tasks else []:
        for data in personas:
            facts = _facts(settings, name, "1", pack, {"limit": None})
            key, path = _key(facts, data.persona.id, tasks), record_path(settings.out, name, data.persona.id)
            if not _is_done(path, key, notice):
                rows = sanity_rows(rules[name.removeprefix(PREFIX)], tasks, pack, data)
                save_record(path, _record(facts, key, name, data.persona.id, tasks, rows, started=_now()))
            paths.append(path)
    if paths:
        notice(f"sanity systems: {len(names)} rules on {len(personas)} personas, every choice item")
    return paths


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _model_cells(
    settings: RunSettings, systems: list[str], pack: Pack, tasks: list[TaskFile], personas: list[PersonaData], notice: Notice
) -> list[Path]:
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
    require_loglikelihoods(lm, [task.name for task in tasks if task.name in CHOICE_TASKS])
    model = _model_facts(settings, name, lm, notice)
    cells = [(system, data) for data in personas for system in systems]
    paths: list[Path] = []
    todo: list[tuple[Path, str, dict[str, Any], str, PersonaData, list[TaskFile]]] = []
    for system, data in cells:
        able = _able(tasks, pack, data, system, notice)
        facts = _facts(settings, system, get_system(system).fingerprint, pack, model)
        key, path = _key(facts, data.persona.id, able), record_path(settings.out, system, data.persona.id)
        paths.append(path)
        if able and not _is_done(path, key, notice):
            todo.append((path, key, facts, system, data, able))
    if len(todo) < len(cells):
        notice(f"{len(cells) - len(todo)} of {len(cells)} cells were finished before")
    begun = time.monotonic()
    for number, (path, key, facts, system, data, able) in enumerate(todo, start=1):
        left = (time.monotonic() - begun) / (number - 1) * (len(todo) - number + 1) if number > 1 else None
        notice(f"[{number}/{len(todo)}] {system} as {data.persona.name}" + (f", about {left / 60:.1f} min left" if left else ""))
        started, clock = _now(), time.monotonic()
        rows, extra = _evaluate(settings, lm, system, data, able)
        facts = facts | {"anchors": extra.pop("anchors")}
        record = _record(
            facts, key, system, data.persona.id, able, rows,
            started=started, seconds=round(time.monotonic() - clock, 1), provenance={"model": describe_backend(lm), **extra},
        )
        save_record(path, record)
    return paths


def _model_facts(settings: RunSettings, name: str, lm: Any, notice: Notice) -> dict[str, Any]:
    described = describe_backend(lm)
    return {
        "model": f"{Path(name).name}@{str(described.get('weights') or described.get('fingerprint'))[:12]}",
        "backend": settings.backend,
        "dtype": described.get("dtype", "unknown"),
        "device": described.get("device", "remote"),
        "batch": described["batch_size"],
        "template": "chat" if _has_template(settings, lm, notice) else "plain",
        "neutral": digest(neutral_prompts(), 8),
        "limit": settings.limit,
        "seed": ",".join(map(str, settings.seeds)),
    }


def _has_template(settings: RunSettings, lm: Any, notice: Notice) -> bool:
    tokenizer = getattr(lm, "tokenizer", None)
    if settings.chat_template and tokenizer is not None and hasattr(tokenizer, "chat_template") and not tokenizer.chat_template:
        notice("the model has no chat template: messages are rendered as plain text, and the signature says so")
        return False
    return settings.chat_template


def _able(tasks: list[TaskFile], pack: Pack, data: PersonaData, system: str, notice: Notice) -> list[TaskFile]:
    """Return the tasks this pack has items for; the others are skipped by name."""
    able = [task for task in tasks if documents_of(task.name, pack, data, get_system(system))]
    lacking = [task.name for task in tasks if task not in able]
    if lacking:
        notice(f"skipping {', '.join(lacking)} for {data.persona.id}: the pack has no items for it")
    return able


def _evaluate(
    settings: RunSettings, lm: Any, system: str, data: PersonaData, tasks: list[TaskFile]
) -> tuple[dict[str, list[Row]], dict[str, Any]]:
    """Run one cell through lm-eval and make sure that what was asked for came back.

    Raises:
        PersbenchError: A task or an item is missing from lm-eval's results.
    """
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    metadata = {"pack": str(settings.pack), "persona": data.persona.id, "system": system}
    if settings.anchors is not None:
        metadata["anchors"] = str(settings.anchors)
    python_seed, numpy_seed, torch_seed, fewshot_seed = settings.seeds
    results = simple_evaluate(
        model=lm,
        tasks=[task.name for task in tasks],
        limit=settings.limit,
        bootstrap_iters=0,
        apply_chat_template=_has_template(settings, lm, lambda _: None),
        task_manager=TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata=metadata),
        random_seed=python_seed,
        numpy_random_seed=numpy_seed,
        torch_random_seed=torch_seed,
        fewshot_random_seed=fewshot_seed,
    )
    samples = (results or {}).get("samples", {})
    rows: dict[str, list[Row]] = {}
    for task in tasks:
        found = samples.get(task.name, [])
        wanted = results["n-samples"][task.name]["original"] if results and task.name in results["n-samples"] else 0
        wanted = min(wanted, settings.limit) if settings.limit is not None else wanted
        if not found or len(found) != wanted:
            raise PersbenchError(
                f"lm-eval returned {len(found)} of {wanted} items of {task.name} for {system} as {data.persona.id}: "
                "nothing of this cell was kept. Repeat the command; if it happens again, please report it."
            )
        rows[task.name] = [sample_row(sample) for sample in found]
    documents = [sample["doc"] for task in tasks for sample in samples[task.name] if task.name in CHOICE_TASKS]
    first = samples[tasks[0].name][0]
    return rows, {"anchors": anchors_hash(documents), "example_context": str(first["arguments"][0][0])}
