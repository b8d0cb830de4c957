"""A build small enough for tests: the invented life of Hanne Orlow in a toy world, embedded by its words."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from author import MATERIAL, Author, annotator
from numpy.typing import NDArray
from toy_world import WordBags, toy_world

from persbench.annotators.progress import silent
from persbench.build.pipeline import Inputs, build, read_inputs
from persbench.build.settings import BuildSettings

OBJECTIVE = (MATERIAL / "life.md", MATERIAL / "place.txt")
SUBJECTIVE = (MATERIAL / "letters.txt",)
STAGES = MATERIAL / "stages.yaml"


class Bags:
    """Unit vectors of word counts."""

    fingerprint = "bags"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return WordBags().encode(list(texts)) if texts else np.zeros((0, 4096), dtype=np.float32)


def settings(**more: Any) -> BuildSettings:
    return BuildSettings(name="Hanne Orlow", persona="hanne", licence="CC0-1.0", **more)


def small(**more: Any) -> BuildSettings:
    """Settings of few calls."""
    few = {"raised": {"question": 1, "opinion": 0, "induced": 0}, "inductions": 2, "stage_items": 1, "contrasts": 1}
    return settings(**few | {"stylized": 2, "knowledge": 1} | more)


def small_world(folder: Path) -> Path:
    """Two other personas with two common prompts."""
    return toy_world(folder, common=2, own=2, stylized=2, general=10)


def inputs(chosen: BuildSettings, world: Path | None = None, **more: Any) -> Inputs:
    files: dict[str, Any] = {"objective": OBJECTIVE, "subjective": SUBJECTIVE, "stages": STAGES} | more
    return read_inputs(chosen, files["objective"], files["subjective"], files["stages"], world)


def run(
    out: Path, chosen: BuildSettings, given: Inputs, backend: Author, cache: Path | None = None, **more: Any
) -> dict[str, Any]:
    return build(chosen, given, annotator(backend, cache, **more), Bags(), out, silent, lambda _: None)


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its name."""
    found = {}
    for path in sorted(folder.rglob("*")):
        with suppress(IsADirectoryError):
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found
