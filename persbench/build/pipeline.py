"""`persbench build`: read, compose, write, check, report; and the same without asking."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from persbench.build.asking import Asker
from persbench.build.common_world import files_about_no_setting, merged_stages, world_files
from persbench.build.composing import Recall, composed
from persbench.build.leaks import without_leaks
from persbench.build.pack_files import put_in_place, require_place, unfinished, world_of, write_pack
from persbench.build.plan import Planner, PlanningEmbedder
from persbench.build.report import report_of, write_report
from persbench.build.stage_plan import PlannedStage, read_stage_plan
from persbench.build.units import read_units
from persbench.errors import Fault, FaultsError, PersbenchError
from persbench.packs.bundled import bundled_pack
from persbench.packs.load import load_pack
from persbench.records import write_atomic
from persbench.retrieval import TextMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from persbench.annotators.base import Annotator
    from persbench.annotators.dry_run import DryRun, Planned
    from persbench.annotators.progress import Bars
    from persbench.build.composing import Composed
    from persbench.build.settings import BuildSettings
    from persbench.build.units import Unit
    from persbench.packs.pack import Pack
    from persbench.packs.schema import Stage
    from persbench.retrieval import Embedder


@dataclass(frozen=True)
class Inputs:
    """All that a build is made of, read and checked before anything is asked.

    Attributes:
        units: Material of both sides, in the order of the files.
        sources: For each file: name, side, bytes and units.
        dropped: (place, reason) of what was left out in reading.
        planned: The stages of the life.
        stages: All stages of the pack.
        world: The world that it is built into, if any.
        lender: Where trait statements and ordinary dialogues come from.
    """

    units: tuple[Unit, ...]
    sources: tuple[dict[str, Any], ...]
    dropped: tuple[tuple[str, str], ...]
    planned: tuple[PlannedStage, ...]
    stages: tuple[Stage, ...]
    world: Pack | None
    lender: Pack


def read_inputs(
    settings: BuildSettings,
    objective: Sequence[Path],
    subjective: Sequence[Path],
    stages: Path,
    world: Path | None,
) -> Inputs:
    """Read and check everything that a build needs, and say all that is wrong at once.

    Args:
        settings: What is wanted.
        objective: Files that tell about the persona.
        subjective: Files that the persona said or wrote.
        stages: stages.yaml.
        world: Folder of the world to build into, or None.

    Raises:
        FaultsError: Faults of the files.
        PersbenchError: A world that does not fit.
    """
    faults: list[Fault] = []
    found = []
    for paths, is_objective in ((objective, True), (subjective, False)):
        try:
            found.append((is_objective, read_units(paths, objective=is_objective)))
        except FaultsError as error:
            faults += error.faults
    try:
        planned = read_stage_plan(stages)
    except FaultsError as error:
        faults += error.faults
    if faults:
        raise FaultsError("the build cannot begin", faults)
    host = load_pack(world) if world else None
    if host and settings.persona in [data.persona.id for data in host.personas]:
        raise PersbenchError(f"{host.world.id} has a persona {settings.persona!r} already. Give another: --id ID.")
    units = [unit for _, read in found for unit in read.units]
    if not units:
        raise PersbenchError("the files hold no material: give text with --objective and --subjective.")
    return Inputs(
        units=tuple(units),
        sources=tuple(source for is_objective, read in found for source in _sources(read, is_objective)),
        dropped=tuple(drop for _, read in found for drop in read.dropped),
        planned=planned,
        stages=tuple(merged_stages(host, planned)) if host else tuple(stage.stage for stage in planned),
        world=host,
        lender=host or load_pack(bundled_pack()),
    )


def _sources(read: Any, objective: bool) -> list[dict[str, Any]]:
    names = list(dict.fromkeys(unit.source for unit in read.units))
    side = "objective" if objective else "subjective"
    return [{"file": name, "side": side, "units": sum(unit.source == name for unit in read.units)} for name in names]


def build(
    settings: BuildSettings,
    inputs: Inputs,
    annotator: Annotator,
    embedder: Embedder,
    out: Path,
    bars: Bars,
    notice: Callable[[str], object],
) -> dict[str, Any]:
    """Build a persona and write its pack, whole or not at all.

    Every answer is remembered by the annotator, so that a repeated build asks for nothing twice and ends with the same
    pack.

    Args:
        settings: What is wanted.
        inputs: What `read_inputs` gave.
        annotator: Answers.
        embedder: Finds what is near in meaning.
        out: Folder of the pack: new, empty, or holding this very pack.
        bars: Shows progress.
        notice: Told one line at a time.

    Returns:
        The report, as in build.json.

    Raises:
        PersbenchError: The annotator fails, the budget is spent, the material does not suffice, the folder is taken,
            or another build writes to it.
    """
    require_place(out)
    asker = Asker(annotator, bars)
    for where, reason in inputs.dropped:
        asker.drops.add("reading", where, "not read", reason)
    texts = TextMemory(embedder)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(out.with_name(f".{out.name}.lock")).acquire(timeout=0), unfinished(out) as folder:
            rows = composed(inputs.units, settings, inputs.planned, inputs.world, inputs.lender.general, texts, asker)
            notice("looking for leaks between training and test")
            made = f"{settings.name} was written by {annotator.id} from raw text; BUILD.md tells how."
            world = world_of(settings, inputs.stages, inputs.world, inputs.lender, made)
            lent = world_files(inputs.world) if inputs.world else files_about_no_setting(inputs.lender)

            def write(persona: Composed) -> Pack:
                write_pack(folder, world, persona, lent)
                return load_pack(folder)

            rows, pack = without_leaks(rows, write, Recall(texts), asker.drops)
            report = report_of(settings, inputs.sources, rows, pack, inputs.world, asker, embedder.fingerprint)
            write_report(folder, report, asker)
            put_in_place(folder, out)
    except Timeout:
        raise PersbenchError(f"another build writes to {out}: wait for it, or choose another --out.") from None
    except OSError as error:
        raise PersbenchError(
            f"cannot write {out}: {error.strerror or error}. Name another folder: --out DIR."
        ) from error
    return report


def plan(
    settings: BuildSettings, inputs: Inputs, annotator: DryRun, embedder: Embedder, bars: Bars
) -> Mapping[str, Planned]:
    """Count what a build would ask, step by step, without asking.

    The first two steps are exact. What follows from their answers is counted as if every unit were kept, the stages
    told of in equal shares, and no user turn repeated another: a build asks about as much or less, save for repairs of
    malformed answers.

    Returns:
        Task to calls and tokens.
    """
    planner = Planner(annotator, bars)
    texts = TextMemory(PlanningEmbedder(embedder))
    composed(inputs.units, settings, inputs.planned, inputs.world, inputs.lender.general, texts, planner)
    return annotator.plan


def save_traffic(annotator: Annotator, folder: Path) -> None:
    """Write what this run did, beside the stored answers: calls asked and stored, faults by kind, retries.

    It differs from run to run, and so it does not belong into the pack.
    """
    traffic = json.dumps(annotator.tally.traffic(), ensure_ascii=False, indent=1)
    write_atomic(folder / "traffic.json", f"{traffic}\n".encode())
