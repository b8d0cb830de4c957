from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from persbench.errors import PersbenchError
from persbench.models.embedder import SentenceEmbedder, default_embedder
from persbench.models.fetch import fetch_embedder

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = ["The ship leaves at dawn.", "Our boat sails early in the morning.", "I dislike boiled turnips.", ""]


@pytest.fixture(scope="module")
def embedder() -> SentenceEmbedder:
    return SentenceEmbedder(fetch_embedder(progress=False))


@pytest.mark.model
def test_rows_are_unit_vectors_and_repeat_exactly(embedder: SentenceEmbedder) -> None:
    rows = embedder.encode(TEXTS)
    assert rows.shape == (4, 384)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(rows, embedder.encode(TEXTS))


@pytest.mark.model
def test_nearness_follows_meaning(embedder: SentenceEmbedder) -> None:
    rows = embedder.encode(TEXTS)
    similar = rows @ rows.T
    assert similar[0, 1] > similar[0, 2] + 0.3


@pytest.mark.model
def test_no_texts_give_no_rows(embedder: SentenceEmbedder) -> None:
    assert embedder.encode([]).shape == (0, 384)


@pytest.mark.model
def test_the_default_embedder_is_the_fetched_one(embedder: SentenceEmbedder) -> None:
    assert default_embedder().name == embedder.name


def test_a_missing_default_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(PersbenchError, match="Run `persbench model fetch`, or name another one: `--embedder PATH`"):
        default_embedder(tmp_path)


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(PersbenchError, match="cannot be loaded"):
        SentenceEmbedder(tmp_path).encode(["x"])
