"""Low-rank adapters by PEFT, on the modules that a recipe names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from persbench.errors import PersbenchError
from persbench.training.base import linear_modules
from persbench.training.checkpoints import ADAPTER
from persbench.training.vocabulary import begin_rows, embedding_name, freeze_choice

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from persbench.training.recipe import Lora

ALL: Final = "all-linear"


def require_targets(model: Any, lora: Lora, name: str) -> None:
    """Refuse a model without the modules that a recipe adapts.

    Raises:
        PersbenchError: It lacks them; the message says which linear layers it has.
    """
    have = sorted({module.rpartition(".")[2] for module in linear_modules(model)})
    targets = [lora.targets] if isinstance(lora.targets, str) else list(lora.targets)
    modules = [module for module, _ in model.named_modules()]
    missing = [
        target for target in targets if target != ALL and not any(f".{m}".endswith(f".{target}") for m in modules)
    ]
    if missing or not have:
        listed = ", ".join(have) or "none at all"
        raise PersbenchError(
            f"the base model {name!r} has no module {', '.join(missing) or 'that is linear'}, which the recipe's "
            f"`lora` targets. Its linear layers: {listed}. Name some of these in a recipe of your own, or `{ALL}`."
        )


def with_lora(model: Any, lora: Lora, token_ids: Sequence[int], base_name: str) -> Any:
    """Put a fresh adapter on a model, in place.

    Args:
        model: With an embedding row for every token id.
        lora: Settings of the recipe.
        token_ids: New tokens whose embeddings are trained; the other rows stay as they are.
        base_name: Written into the adapter's configuration.

    Returns:
        A PEFT model.
    """
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415 - takes seconds to import

    targets = linear_modules(model) if lora.targets == ALL else lora.targets
    targets = [targets] if isinstance(targets, str) else list(targets)
    rows = [embedding_name(model)] if token_ids else []
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=[*targets, *rows],
        rank_pattern=dict.fromkeys(rows, len(token_ids)),
        alpha_pattern=dict.fromkeys(rows, len(token_ids)),
        bias="none",
        task_type="CAUSAL_LM",
    )
    adapted = get_peft_model(model, config, adapter_name=ADAPTER)
    config.base_model_name_or_path = base_name  # not the folder of this machine
    begin_rows(adapted, ADAPTER, token_ids)
    return adapted


def with_saved_lora(model: Any, folder: Path) -> Any:
    """Put a saved adapter on a model, in place, to be trained on."""
    from peft import PeftModel  # noqa: PLC0415

    adapted = PeftModel.from_pretrained(model, str(folder), adapter_name=ADAPTER, is_trainable=True)
    freeze_choice(adapted)
    return adapted
