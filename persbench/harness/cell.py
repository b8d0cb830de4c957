"""One cell, one system on one persona: what identifies it, whether it is done, how lm-eval runs it, how it is kept."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp
from lm_eval import evaluator
from lm_eval.tasks import TaskManager

from persbench.errors import PersbenchError
from persbench.harness.adapters import use_adapter
from persbench.harness.anchors import anchors_hash
from persbench.harness.backend import describe_backend, serving
from persbench.harness.task_index import TaskFile, tasks_folder
from persbench.models.adapter_card import read_card
from persbench.provenance import machine, source_state, versions
from persbench.records import CellRecord, cell_key, load_record, record_name, save_record
from persbench.samples import FILLER, Row, sample_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from persbench.harness.settings import RunSettings
    from persbench.packs.pack import Pack


@dataclass(frozen=True)
class Cell:
    """One system on one persona, before or after it is run.

    Attributes:
        system: System name.
        persona: Persona id.
        tasks: Tasks that the pack has items for.
        facts: What decides its numbers, as the signature prints it.
        out: Folder of the run.
        adapter: Folder of a trained system's adapter.
    """

    system: str
    persona: str
    tasks: tuple[TaskFile, ...]
    facts: dict[str, Any]
    out: Path
    adapter: Path | None = None

    @property
    def path(self) -> Path:
        """Where its record stands."""
        return self.out / "records" / record_name(self.system, self.persona)

    @property
    def key(self) -> str:
        """Digest of everything that decides its numbers."""
        tasks = {task.name: {"version": task.version, "hash": task.hash} for task in self.tasks}
        return cell_key(self.facts, self.persona, tasks)

    def is_done(self, notice: Callable[[str], None]) -> bool:
        """Whether the record is there for these very settings; a broken one is announced and made again.

        Raises:
            PersbenchError: The folder holds a record of other settings: its numbers must not be mixed with new ones.
        """
        if not self.path.exists():
            return False
        try:
            record = load_record(self.path)
        except PersbenchError as error:
            notice(f"{error} Running this cell again.")
            return False
        if record.key == self.key:
            broken = faulty_items(record)
            if broken:
                notice(f"{sum(map(len, broken.values()))} dialogues of {self.path.name} broke off: playing those again")
            return not broken
        told = {k: v for k, v in record.signature.items() if k != "anchors"}
        changed = [f"{k} {told.get(k)!r} -> {v!r}" for k, v in self.facts.items() if told.get(k) != v]
        raise PersbenchError(
            f"{self.path} was made with other settings ({'; '.join(changed) or 'other tasks'}). "
            "Choose another --out, or delete that record."
        )

    def save(
        self, rows: dict[str, list[Row]], provenance: dict[str, Any], run: dict[str, Any], anchors: str = ""
    ) -> None:
        """Write the record.

        Args:
            rows: Task name -> one row an item.
            provenance: Facts beyond the signature.
            run: Time stamps and durations; source and machine are added.
            anchors: Hash of the anchors used; they are known only after the run.
        """
        by_name = {task.name: task for task in self.tasks}
        tasks = {
            name: {"version": by_name[name].version, "hash": by_name[name].hash, "samples": samples}
            for name, samples in sorted(rows.items())
        }
        record = CellRecord(
            system=self.system,
            persona=self.persona,
            key=self.key,
            signature=self.facts | ({"anchors": anchors} if anchors else {}),
            tasks=tasks,
            provenance={"versions": versions()} | provenance,
            run=run | {"source": source_state(), "machine": machine()},
        )
        save_record(self.path, record)


def pack_facts(pack: Pack) -> dict[str, Any]:
    """Return the first facts of every signature: programs and data."""
    found = versions()
    return {
        "persbench": found["persbench"],
        "lm-eval": found["lm-eval"],
        "pack": f"{pack.world.id}-{pack.world.version}@{pack.hash[:12]}",
    }


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def run_cell(cell: Cell, settings: RunSettings, lm: Any, *, chat_template: bool) -> None:
    """Run one cell through lm-eval, make sure that what was asked for came back, and write its record.

    Raises:
        PersbenchError: A task or an item is missing from lm-eval's results, or the record cannot be written.
    """
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    metadata = {"pack": str(settings.pack), "persona": cell.persona, "system": cell.system}
    if cell.adapter is not None:
        metadata |= {"adapter": str(cell.adapter), "analysis": settings.analysis}
    if settings.anchors is not None:
        metadata["anchors"] = str(settings.anchors)
    if settings.embedder is not None:
        metadata["embedder"] = settings.embedder
    if settings.instrument is not None:
        metadata["instrument"] = str(settings.instrument)
    started, clock = now(), time.monotonic()
    earlier, missing = _earlier(cell)
    python_seed, numpy_seed, torch_seed, fewshot_seed = settings.seeds
    # An adapter that the user loaded the model with stays on, whoever speaks.
    use_adapter(
        lm, cell.adapter or getattr(lm, "loaded_with", None)
    )  # it also forgets: no number depends on what ran before
    with serving(lm), _answering(cell), _outside_git():
        results = evaluator.simple_evaluate(
            model=lm,
            tasks=[task.name for task in cell.tasks if missing is None or task.name in missing],
            limit=settings.limit if missing is None else None,
            samples=missing,
            bootstrap_iters=0,
            apply_chat_template=chat_template,
            task_manager=TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata=metadata),
            random_seed=python_seed,
            numpy_random_seed=numpy_seed,
            torch_random_seed=torch_seed,
            fewshot_random_seed=fewshot_seed,
        )
    samples = _complete(cell, settings, results or {}, missing)
    rows = {task: [sample_row(sample) for sample in found] for task, found in samples.items()}
    documents = [sample["doc"] for found in samples.values() for sample in found]
    first = next(iter(samples.values()))[0]
    cell.save(
        _merged(earlier, rows) if earlier else rows,
        provenance={"model": describe_backend(lm), "example_context": str(first["arguments"][0][0])}
        | ({"adapter": read_card(cell.adapter).model_dump()} if cell.adapter else {}),
        run={"started": started, "seconds": round(time.monotonic() - clock, 1)}
        | ({"played_again": missing, "first_run": earlier.run} if earlier else {}),
        anchors=str(earlier.signature.get("anchors", "")) if earlier else anchors_hash(documents),
    )


@contextmanager
def _answering(cell: Cell) -> Iterator[None]:
    """Turn the error of an endpoint that does not answer into one that says what to do.

    Raises:
        PersbenchError: It gave no answer, or an error, to all tries.
    """
    try:
        yield
    except (OSError, aiohttp.ClientError) as error:  # the errors of lm-eval's clients, with and without concurrency
        raise PersbenchError(
            f"no answer for {cell.system} as {cell.persona}: {type(error).__name__}: {str(error)[:500]}\n"
            "Finished cells are kept: see that the model or its endpoint is up (base_url among the --model-args), and "
            "repeat the command."
        ) from error


@contextmanager
def _outside_git() -> Iterator[None]:
    """Keep lm-eval from asking git about the folder the user stands in, which a record has no use for.

    Outside of a repository git's own complaint would be printed in every cell.
    """
    usual = evaluator.get_git_commit_hash
    evaluator.get_git_commit_hash = lambda: None
    try:
        yield
    finally:
        evaluator.get_git_commit_hash = usual


def faulty_items(record: CellRecord) -> dict[str, list[int]]:
    """Return the places of items whose live dialogue broke off, by task."""
    found = {
        name: [place for place, row in enumerate(content["samples"]) if row.get("faults")]
        for name, content in record.tasks.items()
    }
    return {name: places for name, places in found.items() if places}


def _earlier(cell: Cell) -> tuple[CellRecord | None, dict[str, list[int]] | None]:
    """Return the record of a run in which dialogues broke off, and the items to be played again."""
    if not cell.path.exists():
        return None, None
    try:
        record = load_record(cell.path)
    except PersbenchError:
        return None, None
    broken = faulty_items(record)
    return (record, broken) if record.key == cell.key and broken else (None, None)


def _merged(earlier: CellRecord, rows: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """Put items that were played again in the place of those that broke off."""
    fresh = {(task, row["id"]): row for task, found in rows.items() for row in found}
    return {
        task: [fresh.get((task, row["id"]), row) for row in content["samples"]]
        for task, content in earlier.tasks.items()
    }


def _complete(
    cell: Cell, settings: RunSettings, results: dict[str, Any], missing: dict[str, list[int]] | None
) -> dict[str, list[dict[str, Any]]]:
    """Return the samples of every task asked for: all, or those that were missing.

    Raises:
        PersbenchError: lm-eval lost a task or an item; nothing of the cell is kept then.
    """
    samples: dict[str, list[dict[str, Any]]] = {}
    for task in cell.tasks:
        if missing is not None and task.name not in missing:
            continue
        found = [s for s in results.get("samples", {}).get(task.name, []) if not s["doc"].get(FILLER)]
        wanted = results.get("n-samples", {}).get(task.name, {}).get("original", 1)
        if missing is not None:
            wanted = len(missing[task.name])
        elif settings.limit is not None:
            wanted = min(wanted, settings.limit)
        if len(found) != wanted:
            raise PersbenchError(
                f"lm-eval returned {len(found)} of {wanted} items of {task.name} for {cell.system} as {cell.persona}: "
                "nothing of this cell was kept. Repeat the command; if it happens again, please report it."
            )
        samples[task.name] = found
    return samples
