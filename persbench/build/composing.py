"""All steps in their order, from units to the rows of a persona; what is left of a build is writing and reporting."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from persbench.build.answers import answers
from persbench.build.common_world import common_prompts
from persbench.build.contrasts import contrasts
from persbench.build.inductions import induction_items
from persbench.build.knowledge import knowledge_items
from persbench.build.material import classified, held_out
from persbench.build.memory import Memory
from persbench.build.raising import raised
from persbench.build.responses import apart, responses
from persbench.build.sheets import sheets, stage_profiles
from persbench.build.stage_items import stage_items
from persbench.build.stylized import stylized
from persbench.errors import PersbenchError
from persbench.packs.schema import Persona

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from persbench.build.asking import Asker
    from persbench.build.material import Piece
    from persbench.build.settings import BuildSettings
    from persbench.build.stage_plan import PlannedStage
    from persbench.build.units import Unit
    from persbench.packs.pack import Pack
    from persbench.packs.schema import GeneralDialogue
    from persbench.packs.texts import PackModel
    from persbench.retrieval import TextMemory

MINOR: Final = 20  # units below which little is told of somebody


@dataclass(frozen=True)
class Composed:
    """A persona, before leaks are looked for.

    Attributes:
        persona: Its sheet.
        pieces: Its material.
        held_out: Ids of the material that tests are made from.
        tables: Stem of each file of the persona's folder to its rows.
    """

    persona: Persona
    pieces: tuple[Piece, ...]
    held_out: frozenset[str]
    tables: Mapping[str, Sequence[PackModel]]

    def with_tables(self, tables: Mapping[str, Sequence[PackModel]]) -> Composed:
        """Return it with other rows."""
        return replace(self, tables=tables)


class Recall:
    """Text vectors, each computed once, in the form in which de-duplication wants them."""

    def __init__(self, texts: TextMemory) -> None:
        self.texts = texts

    def encode(self, texts: list[str], /) -> NDArray[np.float32]:
        """Return unit rows."""
        return self.texts.vectors(texts)


def composed(
    units: Sequence[Unit],
    settings: BuildSettings,
    planned: Sequence[PlannedStage],
    world: Pack | None,
    general: Sequence[GeneralDialogue],
    texts: TextMemory,
    asker: Asker,
) -> Composed:
    """Take every step from units to rows.

    Args:
        units: Objective and subjective ones.
        settings: What is wanted.
        planned: The stages of the life, in order.
        world: Gives shared questions, common prompts and other voices; None for a pack of its own.
        general: Ordinary dialogues.
        texts: Embeds.
        asker: Asks, and notes what falls out.

    Returns:
        The persona. Equal answers give equal rows.

    Raises:
        PersbenchError: A stage has no material, or see `Asker.ask` and `Asker.need`.
    """
    stages = {stage.id: stage.stage for stage in planned}
    pieces = classified(units, settings, planned, asker)
    _require_material(pieces, list(stages), asker)
    held_ids = held_out(pieces, settings.held_out)
    held = [piece for piece in pieces if piece.id in held_ids]
    seen = [piece for piece in pieces if piece.id not in held_ids]
    memory = Memory(pieces, list(stages), settings, texts)
    who = sheets(seen, settings, stages, asker)
    learnt, hidden = (seen, held_ids) if settings.split == "material" else (pieces, frozenset[str]())
    turns = [*(common_prompts(world) if world else ()), *raised(learnt, settings, stages, asker)]
    turns = apart(turns, Recall(texts), asker)
    tables: dict[str, Sequence[PackModel]] = {"materials": [piece.row for piece in pieces]}
    tables["train"] = responses(turns, settings, stages, who, memory, hidden, asker)
    tables["knowledge"] = knowledge_items(held, settings, stages, who, memory, asker)
    tables["induction"] = induction_items(held, settings, stages, who, asker)
    tables["stages"] = stage_items(held, settings, stages, who, asker)
    if world is not None:
        own = answers(world, settings, stages, who, memory, asker)
        tables["answers"] = own
        tables["contrast"] = contrasts(world, own, settings, stages, who, asker)
    tables["stylized"] = stylized(general, seen, settings, stages, who, asker)
    others = {data.persona.id: data.persona.name for data in world.personas} if world else {}
    profiles = stage_profiles(seen, held, settings, stages, who, others, asker)
    persona = Persona(id=settings.persona, name=settings.name, minor=len(pieces) < MINOR, stages=profiles)
    return Composed(persona, tuple(pieces), held_ids, tables)


def _require_material(pieces: Sequence[Piece], stages: Sequence[str], asker: Asker) -> None:
    empty = [stage for stage in stages if not any(piece.stage == stage for piece in pieces)]
    if empty:
        said = "; ".join(
            f"{step}: {', '.join(f'{n} {reason}' for reason, n in reasons.items())}"
            for step, reasons in asker.drops.counted().items()
        )
        raise PersbenchError(
            f"no material for the stage{'s' if len(empty) > 1 else ''} {', '.join(empty)}: {len(pieces)} units were "
            f"kept in all ({said or 'none was left out'}). Describe the stages so that passages can be put in them, "
            "add text, or leave out of stages.yaml what nothing is told of."
        )
