"""The default model's first layers on disk: its width, vocabulary and chat template, for a tenth of the work.

What it says is of no worth, and as sharp a comparison of two ways to say it.
"""

from __future__ import annotations

from pathlib import Path

from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from persbench.models.fetch import fetch_model

LAYERS = 3  # of 30


def shallow_model(folder: Path) -> Path:
    """Write it into a folder, in float32, and return the folder."""
    whole = fetch_model()
    config = AutoConfig.from_pretrained(whole)
    config.num_hidden_layers = LAYERS
    AutoModelForCausalLM.from_pretrained(whole, config=config, dtype="float32").save_pretrained(folder)
    AutoTokenizer.from_pretrained(whole).save_pretrained(folder)
    return folder
