"""Preference tuning by TRL's DPOTrainer, against the model that SFT left."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

from persbench.training.base import formed
from persbench.training.checkpoints import ADAPTER, Checkpointed
from persbench.training.vocabulary import copy_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.training.base import Form
    from persbench.training.preferences import Preference

REFERENCE: Final = "ref"  # TRL's name for the frozen copy of the adapter


def dpo_row(preference: Preference, form: Form) -> dict[str, Any]:
    """Return a preference in TRL's conversational form, as the model's template takes it."""
    row = preference.row
    return {**row, "prompt": formed(row["prompt"], form)}


def dpo_trainer(
    model: Any,
    tokenizer: Any,
    rows: Sequence[dict[str, Any]],
    arguments: dict[str, Any],
    beta: float,
    callbacks: Sequence[Any] = (),
) -> Any:
    """Make a TRL trainer whose reference is the model as it comes in.

    Of a PEFT model TRL makes the reference by copying its adapter, all but the rows of new tokens, which are copied
    here. Of a plain model it would load the reference from where the model was once loaded, which is the base and not
    what SFT made of it: a copy is handed over instead.

    Args:
        model: What SFT left.
        tokenizer: Of that model.
        rows: See `dpo_row`; in the order in which they are learnt.
        arguments: See `persbench.training.arguments`.
        beta: Strength of the tie to the reference.
        callbacks: transformers' callbacks.
    """
    from datasets import Dataset  # noqa: PLC0415
    from trl import DPOConfig, DPOTrainer  # noqa: PLC0415 - takes seconds to import

    class Trainer(Checkpointed, DPOTrainer):  # type: ignore[misc]
        pass

    adapted = hasattr(model, "peft_config")
    trainer = Trainer(
        model=model,
        ref_model=None if adapted else copy.deepcopy(model).eval().requires_grad_(False),
        args=DPOConfig(**arguments, beta=beta),
        train_dataset=Dataset.from_list(list(rows)),
        processing_class=tokenizer,
        callbacks=list(callbacks),
    )
    copy_rows(model, ADAPTER, REFERENCE)
    return trainer
