"""stages.yaml: the periods of the life that is built, as in world.yaml, each with a description to recognise it by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persbench.errors import Fault, FaultsError
from persbench.packs.complaints import quoted, validated
from persbench.packs.schema import Stage
from persbench.packs.texts import PackModel, Some, Text
from persbench.packs.yaml_file import read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from persbench.packs.yaml_file import Document


class PlannedStage(Stage):
    """A stage as world.yaml has it; `description` tells the annotator what of the life belongs to it."""

    description: Text

    @property
    def stage(self) -> Stage:
        """The stage as it stands in world.yaml."""
        return Stage(id=self.id, temporal_label=self.temporal_label, year=self.year, date=self.date)


class StagePlan(PackModel):
    """stages.yaml."""

    stages: Some[PlannedStage]


def read_stage_plan(path: Path) -> tuple[PlannedStage, ...]:
    """Read the stages of a life, in order.

    Args:
        path: A YAML file: `stages:`, a list of id, temporal_label, year, date, description.

    Returns:
        The stages; ids and temporal labels differ, years increase.

    Raises:
        FaultsError: The file is missing or broken; every fault with its line.
    """
    faults: list[Fault] = []
    document = read_yaml(path, path.name, faults)
    if document is not None:
        plan = validated(StagePlan, document.data, path.name, faults, document.line)
        if plan is not None:
            faults += _disorder(path.name, plan, document)
            if not faults:
                return plan.stages
    raise FaultsError(f"{path} does not say what stages the life has", faults)


def _disorder(shown: str, plan: StagePlan, document: Document) -> Iterator[Fault]:
    """What the checker of packs would find in world.yaml, found before anything is asked."""
    seen: dict[tuple[str, str], int] = {}
    before: int | None = None
    for i, stage in enumerate(plan.stages):
        for key, value in (("id", stage.id), ("temporal_label", stage.temporal_label)):
            if seen.setdefault((key, value), i) != i:
                yield Fault(shown, document.line(("stages", i, key)), f"{key} {quoted(value)} twice", "one of its own")
        if before is not None and stage.year <= before:
            line = document.line(("stages", i, "year"))
            yield Fault(shown, line, f"year {stage.year} after {before}", "stages in order, years increasing")
        before = stage.year
