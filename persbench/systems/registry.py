"""Systems by name: those that work by prompt, known recipes of trained ones, any name whose adapter says how."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from persbench.errors import PersbenchError, UnknownNameError
from persbench.models.embedder import SentenceEmbedder, default_embedder
from persbench.retrieval import TextMemory
from persbench.systems.prompted import PAPER_BUDGET, USUAL_BUDGET, InContext, Prompt, Retrieval, Vanilla
from persbench.systems.trained import RECIPES, Trained, recipe_of, speech_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from persbench.systems.base import System


@cache
def _memory(embedder: str | None) -> TextMemory:
    return TextMemory(default_embedder() if embedder is None else SentenceEmbedder(embedder))


@cache
def _prompted(embedder: str | None) -> Mapping[str, System]:
    systems: tuple[System, ...] = (
        Vanilla(),
        Prompt(),
        InContext(),
        Retrieval("rag", USUAL_BUDGET, lambda: _memory(embedder)),
        Retrieval("rag-paper", PAPER_BUDGET, lambda: _memory(embedder)),
    )
    return MappingProxyType({system.name: system for system in systems})


SYSTEMS: Final[Mapping[str, System]] = _prompted(None)


def get_system(name: str, *, adapter: str | Path | None = None, embedder: str | None = None) -> System:
    """Return the system of that name.

    Args:
        name: A prompted system, a recipe, a recipe with `+profile`, or any name where an adapter is given.
        adapter: Folder of the adapter that makes it a trained system.
        embedder: Folder or hub id of the embedder that retrieval uses; the default one if None.

    Raises:
        UnknownNameError: No such system; the message lists the near names and all valid ones.
        PersbenchError: The adapter has no card, or was trained to speak in another way than its recipe.
    """
    prompted = _prompted(embedder)
    if adapter is not None:
        if name in prompted:
            raise PersbenchError(f"{name} works by prompt alone: give the adapter in {adapter} the name of its recipe.")
        return Trained(name, speech_of(name, Path(adapter)))
    if name in prompted:
        return prompted[name]
    if recipe_of(name) in RECIPES:
        return Trained(name, RECIPES[recipe_of(name)])
    raise UnknownNameError("system", name, [*prompted, *RECIPES])
