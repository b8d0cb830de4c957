"""De-duplication is greedy, effective, within groups, and says what it dropped."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from persbench.data.deduplicate import deduplicated
from persbench.errors import PersbenchError

DEGREES = {"a": 0.0, "b": 10.0, "c": 20.0, "d": 29.0, "e": 90.0}


class Circle:
    """A toy embedder: each text a direction in the plane."""

    def encode(self, texts: list[str], /) -> NDArray[np.float32]:
        angles = np.radians([DEGREES[text[0]] for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def names(rows: list[str], **more: float) -> tuple[list[str], list[tuple[str, str]]]:
    kept, dropped = deduplicated(rows, Circle(), prompt=str, name=str, group=lambda row: (row[1:],), **more)
    return kept, [(drop.id, drop.kept) for drop in dropped]


def test_greedy_by_hand() -> None:
    """cos 10 = 0.985, cos 20 = 0.940: c is near the dropped b alone and stays; d is near c."""
    assert names(["a", "b", "c", "d", "e"]) == (["a", "c", "e"], [("b", "a"), ("d", "c")])
    assert names(["b", "a", "c", "d", "e"]) == (["b", "d", "e"], [("a", "b"), ("c", "b")])


def test_groups_and_threshold() -> None:
    assert names(["a1", "a2", "b1"]) == (["a1", "a2"], [("b1", "a1")])
    assert names(["a", "b", "a"], threshold=1.0) == (["a", "b"], [("a", "a")])
    assert names([]) == ([], [])


def test_a_drop_says_why() -> None:
    _, dropped = deduplicated(["a", "b"], Circle(), prompt=str, name=str)
    assert str(dropped[0]) == "b: its prompt is nearly that of a (cosine 0.98)"


def test_groups_between_each_other_keep_the_order_of_the_rows() -> None:
    rows = ["a1", "e2", "b1", "e1", "e2", "a2", "a1"]
    assert names(rows) == (["a1", "e2", "e1", "a2"], [("b1", "a1"), ("e2", "e2"), ("a1", "a1")])


class Broken(Circle):
    def encode(self, texts: list[str], /) -> NDArray[np.float32]:
        return super().encode(texts) * np.array([[np.nan if text == "b" else 1.0] for text in texts], dtype=np.float32)


def test_a_vector_without_numbers_is_told_and_not_compared() -> None:
    with pytest.raises(PersbenchError, match="no finite vector for the prompt of b,"):
        deduplicated(["a", "b"], Broken(), prompt=str, name=str)
