"""From a folder to a `Pack`: read, checked in full, hashed, and frozen."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from persbench.errors import Fault, FaultsError
from persbench.packs.bundled import bundled_pack, fake_pack, resolve_pack
from persbench.packs.check import examine
from persbench.packs.pack import Origin, Pack, PersonaData

if TYPE_CHECKING:
    from collections.abc import Mapping

    from persbench.packs.draft import PackDraft, PersonaDraft, Table
    from persbench.packs.schema import Persona, World
    from persbench.packs.texts import PackModel

    R = TypeVar("R", bound=PackModel)

# Scenes for conversations decide no score of any task, so results stay comparable when one is added; a record of
# conversations holds the scenes it played, word for word.
APART: Final = frozenset({"scenarios.jsonl"})

__all__ = ["Origin", "Pack", "PersonaData", "bundled_pack", "fake_pack", "load_pack", "pack_hash", "resolve_pack"]


def load_pack(path: Path | str) -> Pack:
    """Load a valid pack.

    Args:
        path: The pack's folder (see `resolve_pack` for names).

    Returns:
        The pack; every reference in it holds.

    Raises:
        FaultsError: The folder is no valid pack; the error lists every fault of every file.
    """
    folder = Path(path)
    draft, faults = examine(folder)
    title = f"{folder} is not a valid pack"
    if faults or draft is None or draft.world is None:
        raise FaultsError(title, faults)
    try:
        digest = pack_hash({name: file for name, file in draft.files.items() if name not in APART})
    except OSError as error:
        raise FaultsError(title, [Fault(str(error.filename), None, f"cannot be read: {error.strerror}")]) from error
    return _pack(draft, draft.world, digest)


def pack_hash(files: Mapping[str, Path]) -> str:
    """Return the SHA-256 over the names and bytes of files, in hex.

    Each file enters as its name, a newline, its length in decimal, a newline, and its bytes, so that no two sets of
    files give the same stream. The order of `files` does not matter.

    Args:
        files: Name from the pack's folder (with "/") to the file.

    Raises:
        OSError: A file cannot be read.
    """
    digest = hashlib.sha256()
    for name in sorted(files):
        raw = files[name].read_bytes()
        digest.update(f"{name}\n{len(raw)}\n".encode())
        digest.update(raw)
    return digest.hexdigest()


def _pack(draft: PackDraft, world: World, digest: str) -> Pack:
    lines: dict[str, tuple[int, ...]] = {}

    def rows(table: Table[R]) -> tuple[R, ...]:
        if table.present:
            lines[table.file] = tuple(line for line, _ in table.rows)
        return tuple(row for _, row in table.rows)

    def data(draft: PersonaDraft, persona: Persona) -> PersonaData:
        return PersonaData(
            persona=persona,
            materials=rows(draft.materials),
            answers=rows(draft.answers),
            contrast=rows(draft.contrast),
            knowledge=rows(draft.knowledge),
            induction=rows(draft.induction),
            stage_items=rows(draft.stage_items),
            train=rows(draft.train),
            matched=rows(draft.matched),
            stylized=rows(draft.stylized),
        )

    personas = [data(p, p.persona) for p in draft.personas if p.persona is not None]
    return Pack(
        path=draft.path,
        hash=digest,
        world=world,
        questions=rows(draft.questions),
        cross_turn=rows(draft.cross_turn),
        pressure=rows(draft.pressure),
        traits=rows(draft.traits),
        general=rows(draft.general),
        scenarios=rows(draft.scenarios),
        personas=tuple(sorted(personas, key=lambda p: p.persona.id)),
        lines=lines,
    )
