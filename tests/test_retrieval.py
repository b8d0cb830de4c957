"""Finding near texts: order, ties, and that nothing is embedded twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from persbench.retrieval import TextIndex, TextMemory

PLACES = {
    "north": (1.0, 0.0),
    "north too": (1.0, 0.0),
    "north-east": (0.8, 0.6),
    "east": (0.0, 1.0),
    "south": (-1.0, 0.0),
}


class Compass:
    """Embeds by a table, and notes what it was asked."""

    fingerprint = "compass"

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self.asked.append(list(texts))
        return np.array([PLACES[text] for text in texts], dtype=np.float32).reshape(-1, 2)


def test_nearest_first_and_of_a_tie_the_earlier() -> None:
    index = TextIndex(["south", "north", "east", "north too", "north-east"], TextMemory(Compass()))
    assert [index.texts[i] for i in index.nearest("north")] == ["north", "north too", "north-east", "east", "south"]
    assert [index.texts[i] for i in index.nearest("east")][:2] == ["east", "north-east"]


def test_last_digits_do_not_break_a_tie() -> None:
    memory = TextMemory(Compass())
    index = TextIndex(["north", "north too"], memory)
    memory._known["almost"] = np.array([1.0, 1e-7], dtype=np.float32)
    index._vectors = index._vectors + np.array([[0, 0], [3e-7, 0]], dtype=np.float32)
    assert index.nearest("almost") == [0, 1]


def test_each_text_is_embedded_once() -> None:
    compass = Compass()
    memory = TextMemory(compass)
    for _ in range(2):
        TextIndex(["north", "east", "north"], memory).nearest("south")
    assert compass.asked == [["north", "east"], ["south"]]


def test_nothing_is_found_in_nothing() -> None:
    assert TextIndex([], TextMemory(Compass())).nearest("north") == []
