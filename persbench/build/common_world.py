"""What a world lends to a persona that is built into it: its prompts, its stages, its files."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from persbench.build.raising import Raised
from persbench.errors import PersbenchError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from persbench.build.stage_plan import PlannedStage
    from persbench.packs.pack import Pack
    from persbench.packs.schema import Pattern, Stage

ABOUT_NO_SETTING: Final = ("traits.jsonl", "general.jsonl")
"""Files of a world that are about no setting: a pack without a world has them from the bundled one."""


def common_prompts(world: Pack) -> list[Raised]:
    """Return the training prompts that several of a world's personas were given.

    Whoever is built answers them too, under the same ids: preference pairs set replies to the same prompt against each
    other.
    """
    askers: dict[str, set[str]] = defaultdict(set)
    first: dict[str, tuple[Pattern, str]] = {}
    for data in world.personas:
        for row in data.train:
            askers[row.prompt_id].add(data.persona.id)
            first.setdefault(row.prompt_id, (row.pattern, row.prompt))
    return [Raised(i, *first[i], piece=None) for i in sorted(askers) if len(askers[i]) > 1]


def merged_stages(world: Pack, planned: Sequence[PlannedStage]) -> list[Stage]:
    """Return the stages of a world with those of a persona that is built into it.

    A stage of stages.yaml takes the place of the world's stage of the same id, with its date; the world's personas then
    speak at that date too. The world's other stages stay, and new ones are put in by their years.

    Raises:
        PersbenchError: No stage is common, or the years would put the world's own stages into another order.
    """
    own = {stage.id: stage.stage for stage in planned}
    names = [stage.id for stage in world.world.stages]
    listed = ", ".join(f"{s.id} (year {s.year})" for s in world.world.stages)
    if not own.keys() & set(names):
        raise PersbenchError(
            f"stages.yaml has none of the stages of {world.world.id}: {listed}. Use their ids for the stages in which "
            "the personas are to be compared: the same id, and the date that is right for yours."
        )
    merged = {stage.id: stage for stage in world.world.stages} | own
    ordered = sorted(merged.values(), key=lambda stage: stage.year)
    kept = [stage.id for stage in ordered if stage.id in names]
    labels = {stage.temporal_label for stage in ordered}
    if kept != names or len({stage.year for stage in ordered}) < len(ordered) or len(labels) < len(ordered):
        raise PersbenchError(
            f"stages.yaml does not fit the stages of {world.world.id}: {listed}. Their order must stay, and no two "
            "stages may have the same year or temporal label: give years in that order, and name all of them if your "
            "dates are of another calendar."
        )
    return ordered


def world_files(world: Pack) -> dict[str, Path]:
    """Return every data file of a world but world.yaml: name from its folder to path."""
    names = [name for name in world.lines if name != "world.yaml"]
    names += [f"personas/{data.persona.id}/persona.yaml" for data in world.personas]
    return {name: world.path / name for name in sorted(names)}


def files_about_no_setting(bundled: Pack) -> dict[str, Path]:
    """Return the files that a pack without a world takes from the bundled one."""
    return {name: bundled.path / name for name in ABOUT_NO_SETTING if name in bundled.lines}
