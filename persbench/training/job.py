"""What one training is about: a persona, a recipe, and the very texts to be learnt, checked before anything else."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from persbench.data.guard import Learnt, refuse_leaks
from persbench.models.embedder import default_embedder
from persbench.retrieval import TextMemory
from persbench.training.examples import examples_of, settled
from persbench.training.preferences import preferences_of
from persbench.training.rows import selected
from persbench.training.vocabulary import labels_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from persbench.packs.pack import Pack
    from persbench.scoring.overlap import Embedder
    from persbench.training.preferences import Preference
    from persbench.training.recipe import Recipe
    from persbench.training.rows import Example


_BEFORE = "a turn before its reply"


class Remembering:
    """An embedder that embeds each text once and is loaded when it is first asked.

    Args:
        embedder: Embeds; the default one if None.
    """

    def __init__(self, embedder: Embedder | None = None) -> None:
        self._embedder = embedder

    @cached_property
    def _memory(self) -> TextMemory:
        return TextMemory(self._embedder or default_embedder())  # type: ignore[arg-type] # no fingerprint is asked for

    def encode(self, texts: list[str], /) -> NDArray[Any]:
        """Embed texts, one unit row each."""
        return self._memory.vectors(texts)


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        persona: Id.
        recipe: With everything computed that it leaves to be computed.
        seed: Of everything.
        max_steps: At most so many optimiser steps a phase; None for all.
        examples: An epoch of SFT, in order.
        preferences: An epoch of DPO, in order; none where the recipe has none.
        labels: Temporal tokens.
        rows: Different rows of the persona.
        dropped: Rows left out, with the reason.
        world: Id of the world.
        pack_hash: Of the pack.
    """

    persona: str
    recipe: Recipe
    seed: int
    max_steps: int | None
    examples: list[Example]
    preferences: list[Preference]
    labels: tuple[str, ...]
    rows: int
    dropped: tuple[str, ...]
    world: str
    pack_hash: str

    @cached_property
    def data_hash(self) -> str:
        """SHA-256, in hex, over the very texts that are learnt, in their order."""
        told = hashlib.sha256()
        rows = [example.row for example in self.examples] + [preference.row for preference in self.preferences]
        for row in rows:
            told.update(json.dumps(row, ensure_ascii=False, sort_keys=True).encode() + b"\n")
        return told.hexdigest()


def job_of(
    pack: Pack, persona: str, recipe: Recipe, *, seed: int | None, max_steps: int | None, embedder: Embedder
) -> Job:
    """Gather what a training is about.

    Args:
        pack: The world.
        persona: Id of the persona.
        recipe: What is learnt, and how.
        seed: The recipe's if None.
        max_steps: At most so many optimiser steps a phase.
        embedder: Finds near-duplicates and nearest prompts.

    Raises:
        PersbenchError: No such persona, too little data, or a text of a test file among what would be learnt.
    """
    data = pack.persona(persona)
    seed = recipe.seed if seed is None else seed
    recipe = settled(recipe, pack, data, embedder=embedder)
    found = selected(pack, data, recipe, embedder=embedder)
    examples = examples_of(pack, data, recipe, seed=seed, embedder=embedder)
    preferences = preferences_of(pack, data, recipe, seed=seed, embedder=embedder)
    refuse_leaks(pack, _learnt(examples, preferences))
    return Job(
        persona=persona,
        recipe=recipe,
        seed=seed,
        max_steps=max_steps,
        examples=examples,
        preferences=preferences,
        labels=labels_of(pack, recipe),
        rows=len({example.id for example in found.examples}),
        dropped=tuple(str(row) for row in found.dropped),
        world=pack.world.id,
        pack_hash=pack.hash,
    )


def _learnt(examples: Sequence[Example], preferences: Sequence[Preference]) -> list[Learnt]:
    texts: list[Learnt] = []
    for example in examples:
        texts.append(Learnt(example.completion, example.origin))
        texts += [Learnt(turn["content"], example.origin, _BEFORE) for turn in example.turns]
    for preference in preferences:
        texts += [Learnt(turn["content"], preference.origins[0], _BEFORE) for turn in preference.turns]
        texts += [Learnt(preference.chosen, preference.origins[0]), Learnt(preference.rejected, preference.origins[1])]
    return texts
