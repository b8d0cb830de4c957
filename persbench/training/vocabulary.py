"""Temporal labels as new tokens: in the tokenizer and in the embeddings, of which only their rows are trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from tokenizers import AddedToken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.packs.pack import Pack
    from persbench.training.recipe import Recipe


def labels_of(pack: Pack, recipe: Recipe) -> tuple[str, ...]:
    """Return the temporal labels of all stages of the world, in order; none for a recipe that trains none."""
    if not recipe.speaks.temporal:
        return ()
    return tuple(dict.fromkeys(stage.temporal_label for stage in pack.world.stages))


def add_labels(tokenizer: Any, labels: Sequence[str]) -> list[int]:
    """Make each label one token.

    Args:
        tokenizer: Changed in place; may know the labels already.
        labels: With none, nothing changes.

    Returns:
        The labels' token ids, in order.
    """
    if not labels:
        return []
    tokenizer.add_tokens([AddedToken(label, normalized=False) for label in labels])
    return [int(i) for i in tokenizer.convert_tokens_to_ids(list(labels))]


def fit_embeddings(model: Any, rows: int) -> None:
    """Give the embeddings exactly one row for each token; new ones begin as the mean of the old ones.

    This is what lm-eval and `persbench run` do when they load an adapter with a longer tokenizer: rows that some models
    keep as padding go away.

    Args:
        model: transformers causal model, changed in place.
        rows: Length of the tokenizer.
    """
    known = min(rows, int(model.get_input_embeddings().weight.shape[0]))
    # The rows are set here, by a rule that draws nothing at random.
    model.resize_token_embeddings(rows, mean_resizing=False)
    for table in (model.get_input_embeddings(), model.get_output_embeddings()):
        if table is not None and rows > known:
            with torch.no_grad():
                table.weight[known:] = table.weight[:known].mean(dim=0)


def mend_wrappers(model: Any) -> None:
    """Give PEFT's wrappers around tied embeddings the attribute that TRL's fused output layer reads (`bias`)."""
    for module in token_wrappers(model):
        if not hasattr(module, "bias"):
            module.bias = None


def copy_rows(model: Any, source: str, target: str) -> None:
    """Copy the trained rows of one adapter of a model over those of another.

    TRL makes the reference of DPO by copying an adapter, and leaves these rows out: the reference would have read
    untrained temporal tokens.
    """
    for module in token_wrappers(model):
        rows = module.token_adapter.trainable_tokens_delta
        if source in rows and target in rows:
            with torch.no_grad():
                rows[target].copy_(rows[source])


def token_wrappers(model: Any) -> list[Any]:
    """Return PEFT's wrappers of a model's embeddings: of the input, and of an output that is tied to it."""
    from peft.utils.other import TrainableTokensWrapper  # noqa: PLC0415 - PEFT takes seconds to import

    return [module for module in model.modules() if isinstance(module, TrainableTokensWrapper)]
