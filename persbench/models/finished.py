"""Folders that are whole or not there: staged beside their place, sealed by a manifest, moved in one step."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from persbench.models.wheel import sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterator

MANIFEST: Final = "persbench-manifest.json"


def seal(folder: Path, identity: dict[str, str | int]) -> None:
    """Write all of a folder's files to disk, then the manifest that says what a whole folder holds.

    Args:
        folder: A staged folder with all its files.
        identity: What it was made from.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256_of(path)} for path in paths
    }
    manifest = folder / MANIFEST
    manifest.write_text(json.dumps({"source": identity, "files": files}, indent=1) + "\n", encoding="utf-8")
    for path in [*paths, manifest]:
        # Some writers make files for their owner alone; a shared cache needs the mode of any other new file.
        path.chmod(manifest.stat().st_mode)
        _sync(path)
    for path in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        _sync(path)


def fault_of(folder: Path, identity: dict[str, str | int], *, verify: bool = False) -> str | None:
    """Say what keeps a folder from being whole.

    Args:
        folder: A folder that `seal` and `install` may have made.
        identity: What it must have been made from.
        verify: Hash every file too, not only compare names and sizes.

    Returns:
        The first fault, in a few words, or None for a whole folder. Files that the manifest does not name are
        left alone.
    """
    if not folder.is_dir():
        return "it is not there"
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["source"] != identity:
            return "it was made from another source"
        return next(filter(None, (_file_fault(folder / n, e, verify) for n, e in manifest["files"].items())), None)
    except FileNotFoundError:
        return f"{MANIFEST} is missing"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"{MANIFEST} cannot be read"


@contextmanager
def staging(root: Path, name: str) -> Iterator[Path]:
    """Lend a temporary folder on the same disk as its later place, and remove what is left of it."""
    temporary = Path(tempfile.mkdtemp(prefix=_prefix(name), dir=root))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(root: Path, name: str) -> int:
    """Remove what a killed process left behind. Call it only under the lock: then nobody else is staging.

    Returns:
        How many folders were removed.
    """
    leftovers = [path for path in root.iterdir() if path.name.startswith(_prefix(name))]
    for path in leftovers:
        shutil.rmtree(path, ignore_errors=True)
    return len(leftovers)


def install(staged: Path, final: Path) -> None:
    """Move a sealed folder to its final name; a broken one in its place goes away.

    The old folder is moved next to the staged one first, so at no moment does a mixture stand under the final name.
    """
    if final.exists():
        final.rename(staged.with_name("replaced"))
    staged.rename(final)
    _sync(final.parent)


def _prefix(name: str) -> str:
    return f".{name}.tmp-"


def _file_fault(path: Path, expected: dict[str, Any], verify: bool) -> str | None:
    if not path.is_file():
        return f"{path.name} is missing"
    if path.stat().st_size != expected["bytes"]:
        return f"{path.name} has {path.stat().st_size} bytes instead of {expected['bytes']}"
    if verify and sha256_of(path) != expected["sha256"]:
        return f"{path.name} has other contents than were written"
    return None


def _sync(path: Path) -> None:
    if path.is_dir() and os.name != "posix":  # only POSIX lets a folder be opened
        return
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
