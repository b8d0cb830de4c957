"""What a trainer sees: the sequences of an epoch of SFT, how often each, and in which order."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from persbench.errors import PersbenchError
from persbench.training.recipe import load_recipe
from persbench.training.rows import Example, fixed_key, general_examples, selected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from persbench.packs.pack import Pack, PersonaData
    from persbench.scoring.overlap import Embedder
    from persbench.training.recipe import Recipe

__all__ = ["Example", "examples_of", "settled"]


def examples_of(
    pack: Pack, data: PersonaData, recipe: Recipe, *, seed: int | None = None, embedder: Embedder | None = None
) -> list[Example]:
    """Make the sequences of one epoch of SFT, in order.

    The persona's rows stand pass after pass, each pass in an order of its own, with ordinary dialogues strewn evenly
    among them; a trainer should keep this order. A dialogue of several turns gives one example a turn.

    Args:
        pack: The world.
        data: The persona.
        recipe: What is learnt, and how often; one with `matched_to` is settled first (see `settled`).
        seed: Decides the order; the recipe's if None.
        embedder: Finds near-duplicates among prompts; the default one if None.

    Returns:
        The examples, repeated ones as often as they are learnt.

    Raises:
        PersbenchError: A file holds too little: the message names it and says what it lacks. Or the default embedder
            is needed and not fetched.
    """
    recipe = settled(recipe, pack, data, embedder=embedder)
    seed = recipe.seed if seed is None else seed
    once = selected(pack, data, recipe, embedder=embedder).examples
    wanted = recipe.data.examples or recipe.data.repeat * len(once)
    own = list(_places(once, wanted, seed))
    ordinary = round(recipe.data.general * wanted)
    return [
        e for _, e in sorted([*own, *_places(general_examples(pack, recipe, ordinary), ordinary, seed)], key=_place)
    ]


def settled(recipe: Recipe, pack: Pack, data: PersonaData, *, embedder: Embedder | None = None) -> Recipe:
    """Return the recipe with everything computed that it leaves to be computed (`matched_to`).

    The rule, for a target recipe whose epoch has N sequences in batches of B, of which G are ordinary dialogues: the
    epoch gets the target's steps S = ceil(N / B) and its G ordinary dialogues, and there are as many epochs; the batch
    size is the integer b for which the S x b - G examples of the persona, its rows in turns, come nearest in UTF-8
    bytes of assistant text to the persona's examples of the target (the smaller b if two are as near). Bytes stand for
    tokens, so that no tokenizer is needed. All other settings of `sft`, the learning rate too, stay the recipe's own.

    Args:
        recipe: Any recipe; the trainer calls this first and uses what it returns, since the batch size may change.
        pack: The world.
        data: The persona.
        embedder: See `examples_of`.

    Returns:
        The same recipe if it names no `matched_to`; else one with `examples`, `general`, epochs and batches filled in.

    Raises:
        PersbenchError: The target is itself matched to another recipe; or see `examples_of`.
    """
    if recipe.data.matched_to is None:
        return recipe
    target = load_recipe(recipe.data.matched_to)
    if target.data.matched_to is not None:
        raise PersbenchError(
            f"recipe {recipe.name}: matched_to {target.name}, which is itself matched to {target.data.matched_to}. "
            f"Name {target.data.matched_to} instead."
        )
    epoch = examples_of(pack, data, target, embedder=embedder)
    ordinary = sum(example.general for example in epoch)
    wanted = sum(_size(example) for example in epoch if not example.general)
    steps = math.ceil(len(epoch) / target.sft.batch_size)
    turn = [_size(example) for example in selected(pack, data, recipe, embedder=embedder).examples]

    def learnt(batch: int) -> int:
        times, rest = divmod(steps * batch - ordinary, len(turn))
        return times * sum(turn) + sum(turn[:rest])

    least = ordinary // steps + 1
    most = least + math.ceil(wanted / (steps * min(turn))) + 1
    batch = min(range(least, most + 1), key=lambda b: (abs(learnt(b) - wanted), b))
    count = steps * batch - ordinary
    parts = [part for part in range(1, batch + 1) if batch % part == 0]
    micro = min(parts, key=lambda part: abs(math.log(part / target.sft.micro_batch)))
    return recipe.model_copy(
        update={
            "data": recipe.data.model_copy(
                update={"matched_to": None, "examples": count, "general": ordinary / count, "repeat": 1}
            ),
            "sft": recipe.sft.model_copy(
                update={"epochs": target.sft.epochs, "batch_size": batch, "micro_batch": micro}
            ),
        }
    )


def _size(example: Example) -> int:
    return len(example.completion.encode())


def _places(examples: Sequence[Example], wanted: int, seed: int) -> Iterator[tuple[tuple[float, str], Example]]:
    """Give `wanted` examples, in turns, their places in an epoch from 0 to 1: pass after pass, shuffled within each."""
    for number, example in enumerate(itertools.islice(itertools.cycle(examples), wanted)):
        turn = number // len(examples)
        start, end = turn * len(examples), min((turn + 1) * len(examples), wanted)
        key = fixed_key(str(seed), str(turn), example.system, example.id)
        yield ((start + int(key[:12], 16) / 16**12 * (end - start)) / wanted, key), example


def _place(placed: tuple[tuple[float, str], Example]) -> tuple[float, str]:
    return placed[0]
