"""From a pack to lm-eval documents: one function a task, named in its YAML as `custom_dataset`.

lm-eval passes `--metadata` (pack, persona, system, ...) to these functions by keyword. Each returns one split, `test`,
of plain dicts that hold all a request and its scoring need, so that a logged sample can be scored again by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from persbench.errors import PersbenchError, UnknownNameError
from persbench.harness.documents import alignment, consistency, induction, life
from persbench.harness.documents.base import Document, Documents, branches_of, stages_of, stratified
from persbench.packs.instrument import with_instrument
from persbench.packs.load import Pack, PersonaData, load_pack, resolve_pack
from persbench.systems.base import Situation, System
from persbench.systems.registry import get_system

__all__ = ["BUILDERS", "TWIN", "Document", "Documents", "branches_of", "documents_of", "stages_of"]

ALL_PERSONAS: Final = "*"
TWIN: Final = "_gen"  # the same items, answered by generation
Builder = Callable[[Situation, System], Iterator[Document]]

BUILDERS: Final[dict[str, tuple[Builder, str]]] = {
    "persbench_costume": (alignment.costume, "contrast items"),
    "persbench_attitude": (alignment.attitude, "answers to shared questions"),
    "persbench_knowledge": (alignment.knowledge, "knowledge items"),
    "persbench_who_said": (alignment.who_said, "shared answers of two personas"),
    "persbench_reply": (alignment.reply, "answers to shared questions"),
    "persbench_induction": (induction.induction, "induction items"),
    "persbench_induction_reply": (induction.induction_reply, "induction items"),
    "persbench_pressure": (induction.pressure, "pressure scripts"),
    "persbench_consistency": (consistency.consistency, "cross-turn dialogues"),
    "persbench_stages": (life.stages, "items on which two stages differ"),
    "persbench_distinction": (life.distinction, "answers to shared questions"),
    "persbench_traits": (life.traits, "trait statements"),
    "persbench_general": (life.general, "ordinary test dialogues"),
    "persbench_general_reply": (life.general_reply, "ordinary test dialogues"),
}


def documents_of(task: str, pack: Pack, data: PersonaData, system: System) -> Documents:
    """Return a task's documents for one persona, in their stratified order; empty where the pack lacks them.

    Raises:
        UnknownNameError: No such task.
    """
    task = task.removesuffix(TWIN)
    if task not in BUILDERS:
        raise UnknownNameError("task", task, sorted(BUILDERS))
    build, _ = BUILDERS[task]
    rows = [row for stage in stages_of(pack, data) for row in build(Situation(pack, data, stage), system)]
    return Documents(stratified(rows), pack, system)


def _split(task: str) -> Callable[..., dict[str, Documents]]:
    """Make the `custom_dataset` function of a task."""

    def custom_dataset(
        pack: str | None = None,
        persona: str | None = None,
        system: str = "prompt",
        instrument: str | None = None,
        adapter: str | None = None,
        embedder: str | None = None,
        **_metadata: object,
    ) -> dict[str, Documents]:
        loaded = with_instrument(load_pack(resolve_pack(pack)), Path(instrument) if instrument else None)
        chosen = get_system(system, adapter=adapter, embedder=embedder)
        rows = [row for data in _personas(loaded, persona) for row in documents_of(task, loaded, data, chosen)]
        if not rows:
            raise PersbenchError(
                f"{task}: pack {loaded.world.id!r} has no {BUILDERS[task][1]} for {persona}. "
                "Leave this task out, or add the file (see reference_personas/WRITING.md)."
            )
        return {"test": Documents(stratified(rows), loaded, chosen)}

    return custom_dataset


def _personas(pack: Pack, persona: str | None) -> Sequence[PersonaData]:
    if persona is None:
        known = ", ".join(p.persona.id for p in pack.personas)
        raise PersbenchError(
            f'no persona named: add --metadata \'{{"persona": "ID", "system": "prompt"}}\' with one of {known}, '
            f'or "{ALL_PERSONAS}" for all'
        )
    return pack.personas if persona == ALL_PERSONAS else [pack.persona(persona)]


costume = _split("persbench_costume")
attitude = _split("persbench_attitude")
knowledge = _split("persbench_knowledge")
who_said = _split("persbench_who_said")
reply = _split("persbench_reply")
induction_choice = _split("persbench_induction")
induction_reply = _split("persbench_induction_reply")
pressure = _split("persbench_pressure")
consistency_live = _split("persbench_consistency")
stages = _split("persbench_stages")
distinction = _split("persbench_distinction")
traits = _split("persbench_traits")
general = _split("persbench_general")
general_reply = _split("persbench_general_reply")
