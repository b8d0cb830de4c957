"""Sentence vectors that are needed again and again, kept in the user's cache.

Whoever sorts replies embeds the same labelled ones first, which takes a quarter of a minute on a CPU. What is kept are
the very bits that embedding anew would give: a file's name says the texts, the embedder and all else that decides
rounding, and a file that is not whole is embedded anew.
"""

from __future__ import annotations

import hashlib
import io
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import numpy as np

from persbench.errors import PersbenchError
from persbench.models.fetch import cache_dir
from persbench.records import write_atomic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Protocol

    from numpy.typing import NDArray

    class Embedder(Protocol):
        """Anything that turns texts into unit vectors."""

        def encode(self, texts: list[str], /) -> NDArray[np.float32]:
            """Embed n texts, none blank: shape (n, d)."""
            ...


FOLDER: Final = "vectors"
FORMAT: Final = "persbench-vectors-1"
MARK: Final = hashlib.sha256().digest_size  # bytes before the array: the checksum of all that follows, and of the name


def kept_vectors(embedder: Embedder, texts: Sequence[str], *, cache: Path | None = None) -> NDArray[np.float32]:
    """Embed texts, or read what an earlier process embedded under the same conditions.

    Args:
        embedder: Gives unit vectors; they are kept if it says its `conditions`, as `SentenceEmbedder` does.
        texts: n texts, none blank.
        cache: Cache folder; `cache_dir()` if None. One that cannot be written keeps nothing.

    Returns:
        Shape (n, d): to the bit what `embedder.encode` returns.

    Raises:
        PersbenchError: The embedder cannot be loaded.
    """
    conditions = getattr(embedder, "conditions", None)
    if not texts or conditions is None:
        return embedder.encode(list(texts))
    said = json.dumps([FORMAT, conditions, list(texts)]).encode()
    key = hashlib.sha256(said).digest()
    path = (cache or cache_dir()) / FOLDER / f"{key.hex()[:32]}.npy"
    found = _read(path, key, len(texts))
    if found is None:
        found = embedder.encode(list(texts))
        stream = io.BytesIO()
        np.save(stream, found, allow_pickle=False)
        with suppress(PersbenchError):  # it is only slower the next time
            write_atomic(path, _mark(key, stream.getvalue()) + stream.getvalue())
    return found


def _mark(key: bytes, content: bytes) -> bytes:
    return hashlib.sha256(key + content).digest()


def _read(path: Path, key: bytes, rows: int) -> NDArray[np.float32] | None:
    """Read a file of vectors; None if it is missing, damaged, or was made for something else."""
    try:
        raw = path.read_bytes()
        if raw[:MARK] != _mark(key, raw[MARK:]):
            return None
        found = np.load(io.BytesIO(raw[MARK:]), allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    whole = (
        isinstance(found, np.ndarray) and found.dtype == np.float32 and found.shape[:1] == (rows,) == found.shape[:-1]
    )
    return found if whole and np.isfinite(found).all() else None
