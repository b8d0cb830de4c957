"""Step 12: the files of the pack, in a folder of their own until they are whole."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, uuid5

import yaml

from persbench.errors import FaultsError, PersbenchError
from persbench.packs.load import load_pack
from persbench.packs.schema import World
from persbench.provenance import digest
from persbench.records import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from persbench.build.composing import Composed
    from persbench.build.settings import BuildSettings
    from persbench.packs.pack import Pack
    from persbench.packs.schema import Stage
    from persbench.packs.texts import PackModel

REPORT: Final = "built/build.json"  # a folder of its own: a checker of packs knows every data file beside world.yaml
LONGEST_ID: Final = 64


def world_of(settings: BuildSettings, stages: Sequence[Stage], world: Pack | None, lender: Pack, made: str) -> World:
    """Describe the world of the pack.

    Args:
        settings: Whose life it is, under which licence.
        stages: All stages of the pack.
        world: The world that the persona is built into, or None for one of its own.
        lender: Where traits.jsonl and general.jsonl come from.
        made: A sentence on who wrote the persona and from what.
    """
    licences = f"{settings.licence} (raw text of {settings.persona}); {lender.world.licence} ({lender.world.id})"
    if world is None:
        own = f"persbench canary: this file is benchmark data and must not be in training corpora {_uuid(settings)}"
        return World(
            id=settings.persona,
            name=settings.name,
            version="1",
            licence=licences,
            canary=own,
            language=settings.language,
            setting=f"The world of {settings.name}. {made}",
            stages=tuple(stages),
        )
    found = world.world
    return World(
        id=f"{found.id}-{settings.persona}"[:LONGEST_ID],
        name=f"{found.name}, with {settings.name}",
        version=found.version,
        licence=licences,
        canary=found.canary,
        language=found.language,
        setting=f"{found.setting}\n\n{made}",
        stages=tuple(stages),
    )


def _uuid(settings: BuildSettings) -> str:
    return str(uuid5(NAMESPACE_URL, f"persbench-build:{digest(settings.facts(), 64)}"))


def write_pack(folder: Path, world: World, composed: Composed, lent: Mapping[str, Path]) -> None:
    """Write all files of a pack into a folder.

    Args:
        folder: Made if it is not there; files of the same names are replaced.
        world: world.yaml.
        composed: The persona.
        lent: Files taken from another world as they are: name to path.

    Raises:
        PersbenchError: The folder cannot be written to.
    """
    for name, path in lent.items():
        write_atomic(folder / name, path.read_bytes())
    write_atomic(folder / "world.yaml", as_yaml(world).encode())
    home = folder / "personas" / composed.persona.id
    write_atomic(home / "persona.yaml", as_yaml(composed.persona).encode())
    for stem, rows in composed.tables.items():
        path = home / f"{stem}.jsonl"
        if rows:
            write_atomic(path, "".join(map(_line, rows)).encode())
        else:
            path.unlink(missing_ok=True)


def _line(row: PackModel) -> str:
    return json.dumps(plain(row), ensure_ascii=False) + "\n"


def plain(row: PackModel) -> dict[str, Any]:
    """Return a row as its file has it: without what is not there."""
    return row.model_dump(mode="json", by_alias=True, exclude_none=True)


def as_yaml(content: PackModel) -> str:
    """Return a document as its file has it."""
    return str(yaml.safe_dump(plain(content), sort_keys=False, allow_unicode=True, width=110))


def require_place(out: Path) -> None:
    """Refuse an output folder that holds something else than a finished build, before anything is asked.

    Raises:
        PersbenchError: It does, or it is no folder.
    """
    try:
        taken = out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / REPORT).is_file()))
    except OSError as error:
        raise PersbenchError(f"--out {out} cannot be looked into: {error.strerror or error}.") from error
    if taken:
        raise PersbenchError(f"{out} holds something else already. Name another folder: --out DIR.")


@contextmanager
def unfinished(out: Path) -> Iterator[Path]:
    """Give a folder beside the output folder, and take it away again if it was not moved to its place."""
    folder = out.with_name(f".{out.name}.part")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise PersbenchError(
            f"cannot write beside {out}: {error.strerror or error}. Name another: --out DIR."
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put_in_place(folder: Path, out: Path) -> None:
    """Move a finished pack to its place, whole or not at all.

    Raises:
        PersbenchError: Another build's pack is there, or the folder cannot be written to.
    """
    if out.is_dir() and any(out.iterdir()):
        if _hash_of(out) == load_pack(folder).hash and _same_files(folder, out):
            return
        raise PersbenchError(
            f"{out} holds the pack of another build: other text, settings, stages or annotator. "
            "Remove it, or name another folder: --out DIR. All answers are stored, so that nothing is asked again."
        )
    try:
        folder.replace(out)
    except OSError as error:
        raise PersbenchError(f"cannot write {out}: {error.strerror or error}. Name another: --out DIR.") from error


def _same_files(folder: Path, out: Path) -> bool:
    return (folder / REPORT).read_bytes() == (out / REPORT).read_bytes()


def _hash_of(folder: Path) -> str | None:
    try:
        return load_pack(folder).hash
    except FaultsError:
        return None
