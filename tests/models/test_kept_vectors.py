"""Kept vectors are those of a fresh embedding to the bit; whatever else stands in the cache is never trusted."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from word_embedder import WordEmbedder

from persbench.models.embedder import SentenceEmbedder
from persbench.models.fetch import fetch_embedder
from persbench.models.kept_vectors import FOLDER, MARK, kept_vectors
from persbench.scoring.reply_sorting import labelled_replies

TEXTS = ["The tide is out.", "No boat sails today.", "Ask the harbour master."]


class Counted(WordEmbedder):
    """Counts what it embeds, and says under which conditions."""

    def __init__(self, *conditions: str) -> None:
        super().__init__()
        self.conditions = conditions
        self.calls = 0

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.calls += 1
        return super().encode(texts)


def kept_file(cache: Path) -> Path:
    (path,) = (cache / FOLDER).iterdir()
    return path


def test_the_second_process_reads_the_bits_of_the_first(tmp_path: Path) -> None:
    first, second = Counted("a"), Counted("a")
    fresh = kept_vectors(first, TEXTS, cache=tmp_path)
    again = kept_vectors(second, TEXTS, cache=tmp_path)
    assert (first.calls, second.calls) == (1, 0)
    assert again.dtype == fresh.dtype == np.float32
    assert again.tobytes() == fresh.tobytes() == WordEmbedder().encode(TEXTS).tobytes()


@pytest.mark.parametrize(
    ("conditions", "texts"),
    [(("b",), TEXTS), (("a", ""), TEXTS), (("a",), TEXTS[:2]), (("a",), TEXTS[::-1]), (("a",), [*TEXTS, "."])],
)
def test_other_texts_or_conditions_are_embedded_anew(
    tmp_path: Path, conditions: tuple[str, ...], texts: list[str]
) -> None:
    kept_vectors(Counted("a"), TEXTS, cache=tmp_path)
    other = Counted(*conditions)
    assert kept_vectors(other, texts, cache=tmp_path).tobytes() == WordEmbedder().encode(texts).tobytes()
    assert other.calls == 1


def pickled() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: b"",
        lambda raw: raw[:-1],
        lambda raw: raw[:MARK],
        lambda raw: raw[: MARK + 200] + bytes([raw[MARK + 200] ^ 1]) + raw[MARK + 201 :],
        lambda raw: raw[MARK:],
        lambda raw: raw[:MARK] + pickled(),
        lambda raw: b"\0" * 1000,
    ],
)
def test_a_damaged_file_is_made_again(tmp_path: Path, damage: object) -> None:
    fresh = kept_vectors(Counted("a"), TEXTS, cache=tmp_path)
    path = kept_file(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))  # type: ignore[operator]
    again = Counted("a")
    assert kept_vectors(again, TEXTS, cache=tmp_path).tobytes() == fresh.tobytes()
    assert again.calls == 1
    assert path.read_bytes() == whole


def test_a_whole_file_of_other_texts_is_not_taken_for_these(tmp_path: Path) -> None:
    kept_vectors(Counted("a"), TEXTS, cache=tmp_path / "here")
    kept_vectors(Counted("a"), TEXTS[::-1], cache=tmp_path / "there")
    kept_file(tmp_path / "here").write_bytes(kept_file(tmp_path / "there").read_bytes())
    again = Counted("a")
    assert kept_vectors(again, TEXTS, cache=tmp_path / "here").tobytes() == WordEmbedder().encode(TEXTS).tobytes()
    assert again.calls == 1


def test_a_cache_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file where the folder would be")
    found = kept_vectors(Counted("a"), TEXTS, cache=tmp_path)
    assert found.tobytes() == WordEmbedder().encode(TEXTS).tobytes()


def test_an_embedder_without_conditions_is_asked_every_time(tmp_path: Path) -> None:
    assert kept_vectors(WordEmbedder(), TEXTS, cache=tmp_path).shape == (3, 97)
    assert not list(tmp_path.iterdir())


@pytest.mark.model
def test_the_real_embedder_s_labelled_replies_come_back_to_the_bit(tmp_path: Path) -> None:
    embedder = SentenceEmbedder(fetch_embedder(progress=False))
    texts = [row.case.reply for row in labelled_replies()[:40]]
    fresh = embedder.encode(texts)
    kept_vectors(embedder, texts, cache=tmp_path)
    other = SentenceEmbedder(embedder.name)
    assert kept_vectors(other, texts, cache=tmp_path).tobytes() == fresh.tobytes()
    assert other.conditions == embedder.conditions
    assert SentenceEmbedder(embedder.name, batch_size=8).conditions != embedder.conditions
