"""A copy of an adapter that lm-eval's own `hf` can load.

lm-eval 0.4.13 ties a model's weights after it has put an adapter on, and transformers 5 then looks for the weight of an
embedding that PEFT has wrapped: with tied embeddings, an adapter that trained rows of new tokens cannot be loaded. In
the copy the whole embedding stands in the place of those rows, which makes it large, and nothing needs to be wrapped.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from persbench.errors import PersbenchError
from persbench.harness.adapters import grow, tables
from persbench.models.adapter_card import read_card
from persbench.models.fingerprint import folder_digest
from persbench.systems.trained import CONFIG, WEIGHTS, attach

if TYPE_CHECKING:
    from pathlib import Path

    import torch

ROWS = ".token_adapter."
PREFIX = "base_model.model."


def write_stock_adapter(folder: Path, base: str, out: Path) -> None:
    """Write a copy of an adapter folder that `lm_eval run --model hf --model_args peft=...` can load.

    Args:
        folder: Adapter folder with its card.
        base: Folder or hub id of the base model.
        out: Folder of the copy; must not exist.

    Raises:
        PersbenchError: No adapter, one of another base, or a folder that is there already or cannot be written.
    """
    card = read_card(folder)
    if card.base_digest != folder_digest(base):
        raise PersbenchError(f"the adapter in {folder} was trained on {card.base}, and {base} is another model.")
    model = AutoModelForCausalLM.from_pretrained(base, dtype="auto", use_safetensors=True)
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    grow(model, len(tokenizer))
    attach(model, folder)
    try:
        shutil.copytree(folder, out)
        _with_whole_tables(model, out)
    except OSError as error:
        raise PersbenchError(f"cannot write {out}: {error.strerror or error}. Choose another folder.") from error


def _with_whole_tables(model: Any, out: Path) -> None:
    config = json.loads((out / CONFIG).read_text("utf-8"))
    config["trainable_token_indices"] = None
    (out / CONFIG).write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    state: dict[str, torch.Tensor] = {
        name: value for name, value in load_file(str(out / WEIGHTS)).items() if ROWS not in name
    }
    names = {id(module): name for name, module in model.named_modules()}
    written: set[int] = set()
    for table in tables(model):
        weight: Any = table.weight
        if weight.data_ptr() not in written:  # a tied one follows the first
            written.add(weight.data_ptr())
            state[f"{PREFIX}{names[id(table)]}.weight"] = weight.detach().contiguous()
    save_file(state, str(out / WEIGHTS), metadata={"format": "pt"})
