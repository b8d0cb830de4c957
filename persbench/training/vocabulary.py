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


def embedding_name(model: Any) -> str:
    """Return the full name of a model's input embedding."""
    table = model.get_input_embeddings()
    return str(next(name for name, module in model.named_modules() if module is table))


def begin_rows(model: Any, adapter: str, token_ids: Sequence[int]) -> None:
    """Let an adapter's low-rank layer on the embedding change the rows of the new tokens and no others.

    Its first factor picks the rows (a one for each, not trained), its second one holds what is added to them. PEFT has
    a method of its own for this, whose adapters lm-eval's `hf` cannot load where the output layer is tied to the
    embedding (lm-eval 0.4.13 ties weights once more, and transformers 5 does not find them); nor does it need this one
    to copy the whole embedding in every forward pass.

    Args:
        model: PEFT model with such a layer of rank `len(token_ids)`.
        adapter: Name of the adapter.
        token_ids: Of the new tokens.
    """
    for layer in _row_layers(model):
        with torch.no_grad():
            layer.lora_embedding_A[adapter].zero_()
            for i, token in enumerate(token_ids):
                layer.lora_embedding_A[adapter][i, token] = 1
            layer.lora_embedding_B[adapter].zero_()
    freeze_choice(model)


def freeze_choice(model: Any) -> None:
    """Keep the choice of rows fixed; PEFT makes everything of an adapter trainable that it loads."""
    for layer in _row_layers(model):
        for choice in layer.lora_embedding_A.values():
            choice.requires_grad_(False)


def copy_rows(model: Any, source: str, target: str) -> None:
    """Copy what one adapter of a model adds to the new tokens' rows over what another one does.

    TRL makes the reference of DPO by copying an adapter, and leaves these rows out: the reference would have read
    untrained temporal tokens.
    """
    for layer in _row_layers(model):
        for factor in (layer.lora_embedding_A, layer.lora_embedding_B):
            if source in factor and target in factor:
                with torch.no_grad():
                    factor[target].copy_(factor[source])


def _row_layers(model: Any) -> list[Any]:
    return [module for module in model.modules() if len(getattr(module, "lora_embedding_A", ()))]
