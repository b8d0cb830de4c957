"""Sentence vectors for similarity scores and retrieval."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from persbench.errors import PersbenchError
from persbench.models.fetch import default_embedder_path
from persbench.models.fingerprint import model_fingerprint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class SentenceEmbedder:
    """A sentence-transformers model that gives unit vectors; it is loaded at the first use.

    Attributes:
        name: Local folder or hub id.
    """

    def __init__(self, name: str | Path, *, device: str = "cpu", batch_size: int = 16) -> None:
        """Remember what to load.

        Args:
            name: Local folder or hub id. A hub model's own code is never run.
            device: Where it runs; the CPU by default, so that scores do not depend on the machine's accelerator.
            batch_size: Texts per forward pass; larger ones pad more, and are slower on a CPU.
        """
        self.name = str(name)
        self._device = device
        self._batch_size = batch_size

    @cached_property
    def _model(self) -> Any:
        # Importing it takes seconds, which only those who embed should wait for.
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415

        try:
            return SentenceTransformer(self.name, device=self._device, trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise PersbenchError(
                f"the embedder {self.name!r} cannot be loaded ({type(error).__name__}): it is neither a local folder "
                "with a sentence-transformers model nor the id of one on a model hub that answers. "
                "`persbench model fetch` brings the default one."
            ) from error

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hex digits of its weights: the same wherever they stand."""
        return model_fingerprint(self._model)[:12]

    @cached_property
    def conditions(self) -> tuple[str, ...]:
        """All that decides a vector's bits beside its text: weights, tokenizer, pooling, libraries and arithmetic."""
        import sentence_transformers  # noqa: PLC0415 - as above
        import torch  # noqa: PLC0415
        import transformers  # noqa: PLC0415

        return (
            self.fingerprint,
            hashlib.sha256(self._tokenizer().encode()).hexdigest(),
            repr(self._model),
            f"{self._model.max_seq_length} tokens, {self._batch_size} texts, {self._device}",
            f"torch {torch.__version__}, transformers {transformers.__version__}",
            f"sentence-transformers {sentence_transformers.__version__}",
            f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}",
            torch.get_float32_matmul_precision(),
        )

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed texts.

        Args:
            texts: Any number of texts, also none.

        Returns:
            One unit row per text; equal calls give equal bits.

        Raises:
            PersbenchError: The model cannot be loaded.
        """
        if not texts:
            return np.zeros((0, self._dimension()), dtype=np.float32)
        rows = self._model.encode(
            list(texts),
            batch_size=self._batch_size,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return cast("npt.NDArray[np.float32]", np.asarray(rows, dtype=np.float32))

    def _tokenizer(self) -> str:
        """How it cuts texts into tokens; not how the last batch was padded, which it remembers too."""
        tokenizer = self._model.tokenizer
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            return repr(tokenizer)
        return json.dumps({k: v for k, v in json.loads(backend.to_str()).items() if k not in ("padding", "truncation")})

    def _dimension(self) -> int:
        # sentence-transformers 6 renamed the method.
        ask = getattr(self._model, "get_embedding_dimension", None) or self._model.get_sentence_embedding_dimension
        return int(ask())


def default_embedder(cache: Path | None = None) -> SentenceEmbedder:
    """Return the default embedder from the cache.

    Args:
        cache: Cache folder; `cache_dir()` if None.

    Raises:
        PersbenchError: It was not fetched yet, or is damaged.
    """
    path = default_embedder_path(cache)
    if path is None:
        raise PersbenchError(
            "the default embedder (all-MiniLM-L6-v2) is not in the cache. Run `persbench model fetch`, or name another "
            "one: `--embedder PATH` (a local folder) or `--embedder ID` (a model hub's id)."
        )
    return SentenceEmbedder(path)
