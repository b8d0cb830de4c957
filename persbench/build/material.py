"""Steps 1 and 2: what kind of material each unit is, and which stage of the life it belongs to."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from persbench.build.asking import Asker, Request
from persbench.packs.schema import Material, MaterialKind
from persbench.packs.texts import PackModel, folded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from persbench.build.settings import BuildSettings
    from persbench.build.stage_plan import PlannedStage
    from persbench.build.units import Unit

FEWEST_TO_SPLIT = 3


@dataclass(frozen=True)
class Piece:
    """A unit of raw text that became material.

    Attributes:
        id: In materials.jsonl.
        unit: Where it comes from.
        kind: experience and knowledge are objective, speech is subjective.
        stage: Id of the stage it belongs to.
    """

    id: str
    unit: Unit
    kind: MaterialKind
    stage: str

    @property
    def text(self) -> str:
        """Its text."""
        return self.unit.text

    @property
    def passage(self) -> str:
        """What an annotator reads of it."""
        return passage(self.unit)

    @property
    def where(self) -> str:
        """Its place in the raw text."""
        return place(self.unit)

    @property
    def row(self) -> Material:
        """Its row in materials.jsonl."""
        return Material(id=self.id, stage=self.stage, kind=self.kind, text=self.text)


class KindAnswer(PackModel):
    """What `classify` answers."""

    kind: Literal["experience", "knowledge", "none"]


class StageAnswer(PackModel):
    """What `stage` answers: the id of a stage, or none."""

    stage: str


def passage(unit: Unit) -> str:
    """Return a unit as an annotator reads it: under the headings that it stands under in the raw text."""
    return f"{unit.heading}\n\n{unit.text}" if unit.heading else unit.text


def place(unit: Unit) -> str:
    """Return where a unit stands, as file:line."""
    return f"{unit.source}:{unit.line}"


def classified(
    units: Sequence[Unit], settings: BuildSettings, stages: Sequence[PlannedStage], asker: Asker
) -> list[Piece]:
    """Turn units into material.

    Subjective units are speech; objective ones are sorted into experience and knowledge by the annotator, and those
    that are about somebody else fall out. Where the life has one stage, nobody is asked for it.

    Args:
        units: Objective and subjective ones, in the order of the files.
        settings: Whose life it is.
        stages: The stages, in order.
        asker: Asks, and notes what falls out.

    Returns:
        The material, in the order of the units, numbered.
    """
    objective = [unit for unit in units if unit.objective]
    kinds = asker.ask([kind_request(unit, settings) for unit in objective])
    kind_of: dict[str, MaterialKind] = {unit.id: "speech" for unit in units if not unit.objective}
    for unit, answer in zip(objective, kinds, strict=True):
        kind = answer.kind if answer is not None else None
        if kind == "none":
            asker.drops.add("classify", place(unit), "not about the persona", unit.text[:60])
        elif kind is not None:
            kind_of[unit.id] = kind
    kept = [unit for unit in units if unit.id in kind_of]
    stage_of = _staged(kept, settings, stages, asker)
    kept = [unit for unit in kept if unit.id in stage_of]
    return [
        Piece(f"{settings.persona}-m{number:03}", unit, kind_of[unit.id], stage_of[unit.id])
        for number, unit in enumerate(kept, start=1)
    ]


def _staged(
    units: Sequence[Unit], settings: BuildSettings, stages: Sequence[PlannedStage], asker: Asker
) -> dict[str, str]:
    if len(stages) == 1:
        return {unit.id: stages[0].id for unit in units}
    found: dict[str, str] = {}
    answers = asker.ask([stage_request(unit, settings, stages) for unit in units])
    for unit, answer in zip(units, answers, strict=True):
        if answer is not None and answer.stage == "none":
            asker.drops.add("stage", place(unit), "belongs to no stage", unit.text[:60])
        elif answer is not None:
            found[unit.id] = answer.stage
    return found


def kind_request(unit: Unit, settings: BuildSettings) -> Request[KindAnswer]:
    """Ask what kind of material an objective unit is."""
    return Request("classify", place(unit), {"name": settings.name, "passage": passage(unit)}, KindAnswer)


def stage_request(unit: Unit, settings: BuildSettings, stages: Sequence[PlannedStage]) -> Request[StageAnswer]:
    """Ask at which stage a unit is set."""
    known = [stage.id for stage in stages]
    listed = [f"{stage.id}: until {stage.date}. {stage.description}" for stage in stages]
    kind = "a passage about" if unit.objective else "something said or written by"
    fields = {"name": settings.name, "stages": listed, "kind": f"{kind} {settings.name}", "passage": passage(unit)}

    def check(answer: StageAnswer) -> str | None:
        return None if answer.stage in (*known, "none") else f'"stage" must be one of {", ".join(known)}, none'

    return Request("stage", place(unit), fields, StageAnswer, check)


def held_out(pieces: Iterable[Piece], share: float) -> frozenset[str]:
    """Choose the material that tests are made from.

    Args:
        pieces: All material.
        share: Of each stage's objective material, and of its speech, about so much, by a fixed hash of the units; at
            least one where there are three, so that a short text has tests too.

    Returns:
        Ids of the material held out; the same for equal units, whatever their order. A text that stands on both sides,
        as a diary given as life and as speech, is held out on both or on neither.
    """
    strata: dict[tuple[bool, str], list[Piece]] = defaultdict(list)
    for piece in pieces:
        strata[not piece.unit.objective, piece.stage].append(piece)
    texts: set[str] = set()
    for _, members in sorted(strata.items()):
        least = 1 if len(members) >= FEWEST_TO_SPLIT else 0
        # What is held out on the other side comes first, so that it does not add to the share.
        ordered = sorted(members, key=lambda one: (_folded(one) not in texts, fixed_key("held-out", one.unit.id)))
        texts |= {_folded(piece) for piece in ordered[: max(least, round(share * len(members)))]}
    return frozenset(piece.id for members in strata.values() for piece in members if _folded(piece) in texts)


def _folded(piece: Piece) -> str:
    return folded(piece.text)


def fixed_key(*parts: str) -> str:
    """Return a fixed pseudo-random sort key in hex: the same on every machine, for every build."""
    return sha256("\x1f".join(("persbench-build-1", *parts)).encode()).hexdigest()
