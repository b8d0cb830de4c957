"""What every importer is given and gives back, and the parts of a pack that they make alike: stages and sheets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from persbench.errors import Fault, FaultsError
from persbench.packs.complaints import validated
from persbench.packs.schema import Stage
from persbench.packs.yaml_file import read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from persbench.importers.source import Source
    from persbench.importers.writer import PackWriter

NO_DATES: Final = (
    "The source gives no dates: `year` in world.yaml only puts the stages in order, and `date` says no more than that. "
    "A file of your own says it better: --stages."
)


@dataclass(frozen=True)
class Options:
    """What a user may say about an import.

    Attributes:
        accept_licence: The licence that the user accepts for a source without one.
        language: For world.yaml; the format's usual one if None.
        name: Of the persona, where the source's files do not lie in a folder for each.
        profiles: JSON object from a persona's name to a description, where the source has none.
        stages: The world's stages, in the form of world.yaml.
    """

    accept_licence: str | None = None
    language: str | None = None
    name: str | None = None
    profiles: Path | None = None
    stages: tuple[Stage, ...] = ()


class Importer(Protocol):
    """Reads a source of one format into a pack."""

    def __call__(self, source: Source, writer: PackWriter, options: Options) -> World:
        """Write all personas and rows; what does not fit goes to the findings, what cannot be read to the faults."""
        ...


@dataclass(frozen=True)
class World:
    """What an importer says of the world.

    Attributes:
        setting: One or two sentences on what the pack holds.
        stages: In order.
        language: As in world.yaml.
    """

    setting: str
    stages: tuple[Stage, ...]
    language: str


@dataclass(frozen=True)
class Format:
    """A format that can be imported.

    Attributes:
        title: Its name in sentences.
        published: What its project says of the licence of its data.
        load: Reads it.
        options: Which options it takes beside licence, language and stages.
    """

    title: str
    published: str
    load: Importer
    options: tuple[str, ...] = ()


def one_stage(options: Options, stage_id: str, date: str) -> Stage:
    """Return the only stage of a source without stages.

    Raises:
        FaultsError: The user names several: nothing in the source says which row belongs to which.
    """
    if len(options.stages) > 1:
        fault = Fault("--stages", None, f"{len(options.stages)} stages", "one: this format knows no periods of a life")
        raise FaultsError("these stages do not fit the format", [fault])
    return options.stages[0] if options.stages else Stage(id=stage_id, temporal_label="<TIME-I>", year=1, date=date)


def read_stages(path: Path) -> tuple[Stage, ...]:
    """Read a YAML file with the stages of a world, in order.

    Args:
        path: Holds `stages:` as in world.yaml, or the list alone; a `description` of a stage is passed over.

    Raises:
        FaultsError: Every fault of it.
    """
    faults: list[Fault] = []
    document = read_yaml(path, path.name, faults)
    data: Any = document.data if document else None
    inside = isinstance(data, dict) and isinstance(data.get("stages"), list)
    listed = data["stages"] if inside else data
    stages: list[Stage] = []
    if document is not None and not (isinstance(listed, list) and listed):
        faults.append(Fault(path.name, 1, "no stages", "stages: [{id, temporal_label, year, date}, ...]"))
    elif document is not None:
        for i, entry in enumerate(listed):
            head = ("stages", i) if inside else (i,)
            row = {k: v for k, v in entry.items() if k != "description"} if isinstance(entry, dict) else entry
            stage = validated(Stage, row, path.name, faults, lambda loc, head=head: document.line((*head, *loc)))  # type: ignore[misc]
            stages += [stage] if stage is not None else []
    if faults:
        raise FaultsError(f"{path} holds no stages of a world", faults)
    return tuple(stages)


def sheet(persona_id: str, name: str, profiles: Mapping[str, str | None]) -> dict[str, Any]:
    """Make a persona.yaml of what a source knows; age and voice, which none of them knows, are null.

    Args:
        persona_id: The id.
        name: The name as the source has it.
        profiles: Stage id to the description, or None where there is none.
    """
    return {
        "id": persona_id,
        "name": name,
        "minor": False,
        "stages": {stage: {"age": None, "profile": profile, "voice": None} for stage, profile in profiles.items()},
    }


def tasks_of(writer: PackWriter) -> tuple[str, ...]:
    """Return the tasks that have items in an imported pack, in the order of a run."""
    if not writer.counts["answers"]:
        return ()
    shared = any(len(who) > 1 for who in writer.answered.values())
    return ("persbench_reply", "persbench_distinction", *(("persbench_who_said",) if shared else ()))
