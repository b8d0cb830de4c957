"""Is this folder a valid pack? Every fault at once, each with file and line.

Faults come in three layers: files and rows (`draft`), the world and its personas, and references between rows
(`references`). A row that breaks its schema is not asked for its references, and nothing that refers to it is dangling.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from persbench.errors import Fault
from persbench.packs.complaints import quoted, unknown_name
from persbench.packs.draft import PackDraft, PersonaDraft, Table, read_draft
from persbench.packs.references import Known, persona_references, world_references
from persbench.packs.scenario import scenario_references

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any


def check_pack(path: Path | str) -> list[Fault]:
    """Find every fault of a pack.

    Args:
        path: The pack's folder; anything may stand there.

    Returns:
        All faults, sorted by file and line; empty for a valid pack. No exception leaves this function for anything that
        a folder can hold.
    """
    return examine(Path(path))[1]


def examine(path: Path) -> tuple[PackDraft | None, list[Fault]]:
    """Read a pack and find every fault of it.

    Args:
        path: The pack's folder.

    Returns:
        What could be read (None if there is no such folder), and the sorted faults. Without faults the draft is whole.
    """
    faults: list[Fault] = []
    draft = read_draft(path, faults)
    if draft is not None:
        faults += _world(draft)
        faults += _duplicate_ids(draft)
        known = Known.of(draft)
        faults += world_references(draft, known)
        faults += scenario_references(draft, known)
        for persona in draft.personas:
            faults += _persona(persona, known)
            faults += persona_references(persona, known)
        faults += _shared_prompts(draft)
    return draft, sorted(faults, key=lambda f: (f.file, f.line or 0, f.message))


def _world(draft: PackDraft) -> Iterator[Fault]:
    """Stages: ids and temporal labels apart, years increasing."""
    if draft.world is None or draft.document is None:
        return
    ids: set[str] = set()
    labels: set[str] = set()
    before: int | None = None
    for i, stage in enumerate(draft.world.stages):
        if stage.id in ids:
            yield Fault("world.yaml", draft.document.line(("stages", i, "id")), f"duplicate stage {quoted(stage.id)}")
        if stage.temporal_label in labels:
            line = draft.document.line(("stages", i, "temporal_label"))
            yield Fault("world.yaml", line, f"duplicate temporal label {quoted(stage.temporal_label)}")
        if before is not None and stage.year <= before:
            line = draft.document.line(("stages", i, "year"))
            message = f"stages out of order: year {stage.year} after {before}"
            yield Fault("world.yaml", line, message, "the stages of a life in order, years increasing")
        ids.add(stage.id)
        labels.add(stage.temporal_label)
        before = stage.year


def _persona(draft: PersonaDraft, known: Known) -> Iterator[Fault]:
    """persona.yaml: id as the folder, stages of the world, relations to others of the world."""
    persona, document = draft.persona, draft.document
    if persona is None or document is None:
        return
    if persona.id != draft.id:
        yield Fault(
            draft.file, document.line(("id",)), f"id {quoted(persona.id)} in folder {quoted(draft.id)}", "the same name"
        )
    for stage, profile in persona.stages.items():
        if known.stages is not None and stage not in known.stages:
            message, expected = unknown_name("stage", stage, list(known.stages))
            yield Fault(draft.file, document.line(("stages", stage)), message, expected)
        for other in profile.relations:
            line = document.line(("stages", stage, "relations", other))
            if other == draft.id:
                yield Fault(draft.file, line, "a relation to oneself", "relations to other personas")
            elif other not in known.personas:
                others = [name for name in known.personas if name != draft.id]
                yield Fault(draft.file, line, *unknown_name("persona", other, others))


def _duplicate_ids(draft: PackDraft) -> Iterator[Fault]:
    """An id stands once among all rows of its kind, whichever persona's folder they are in."""
    for table in (draft.questions, draft.cross_turn, draft.pressure, draft.traits, draft.general, draft.scenarios):
        yield from _duplicates([table])
    for of_kind in zip(*(_tables_with_ids(persona) for persona in draft.personas), strict=True):
        yield from _duplicates(of_kind)


def _tables_with_ids(p: PersonaDraft) -> tuple[Table[Any], ...]:
    return (p.materials, p.knowledge, p.induction, p.stage_items, p.train, p.stylized)


def _duplicates(tables: Iterable[Table[Any]]) -> Iterator[Fault]:
    first: dict[str, str] = {}
    for table in tables:
        for line, row_id in table.ids():
            if row_id in first:
                yield Fault(table.file, line, f"duplicate id {quoted(row_id)} (first at {first[row_id]})")
            first.setdefault(row_id, f"{table.file}:{line}")


def _shared_prompts(draft: PackDraft) -> Iterator[Fault]:
    """A prompt id means one prompt everywhere: preference pairs set replies to the same prompt against each other."""
    first: dict[str, tuple[str, str]] = {}
    for persona in draft.personas:
        for line, row in persona.train.rows:
            prompt, place = first.setdefault(row.prompt_id, (row.prompt, f"{persona.train.file}:{line}"))
            if row.prompt != prompt:
                message = f"prompt id {quoted(row.prompt_id)} with another prompt than at {place}"
                yield Fault(persona.train.file, line, message, quoted(prompt))
