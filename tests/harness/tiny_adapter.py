"""A tiny base model on disk with a tokenizer of characters, and tiny adapters on it with cards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Regex, Tokenizer, decoders
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from persbench.models.fingerprint import folder_digest

TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
LABELS = ("<early>", "<late>")  # the fake pack's


def letter_tokenizer() -> PreTrainedTokenizerFast:
    """A token for each printable character: whatever a random model says can be heard in a dialogue."""
    letters = ["<|end|>", "\n", *map(chr, range(32, 127))]
    tokens = Tokenizer(WordLevel({letter: i for i, letter in enumerate(letters)}, unk_token="?"))
    tokens.pre_tokenizer = Split(Regex("[\\s\\S]"), behavior="isolated")
    tokens.decoder = decoders.Fuse()
    made = PreTrainedTokenizerFast(tokenizer_object=tokens, eos_token="<|end|>", pad_token="<|end|>", unk_token="?")
    made.chat_template = TEMPLATE
    return made


def tiny_base(folder: Path, *, tied: bool = True, seed: int = 0) -> Path:
    words = letter_tokenizer()
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=8192, bos_token_id=None, eos_token_id=0, pad_token_id=0,
        tie_word_embeddings=tied, initializer_range=0.4,
    )  # fmt: skip
    LlamaForCausalLM(config).eval().save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def tiny_adapter(
    folder: Path, base: Path, persona: str = "ada", *, recipe: str = "persllm", seed: int = 1, analysis: bool = True,
    temporal: bool = True, by_peft: bool = False, **card: Any,
) -> Path:  # fmt: skip
    """Write a random adapter; a temporal one brings two tokens with rows of their own.

    As the trainer does it, a low-rank layer on the embedding changes their rows; `by_peft` takes PEFT's own method.
    """
    model = AutoModelForCausalLM.from_pretrained(base)
    words = AutoTokenizer.from_pretrained(base)
    rows = len(words)
    targets, more, new = ["q_proj", "v_proj", "down_proj"], dict[str, Any](), list[int]()
    if temporal:
        words.add_special_tokens({"additional_special_tokens": list(LABELS)})
        model.resize_token_embeddings(len(words), mean_resizing=False)
        new = words.convert_tokens_to_ids(list(LABELS))
    if temporal and by_peft:
        tables = ["embed_tokens"] if model.config.tie_word_embeddings else ["embed_tokens", "lm_head"]
        more["trainable_token_indices"] = dict.fromkeys(tables, new)
    elif temporal:
        targets.append("model.embed_tokens")
        more |= {"rank_pattern": {"model.embed_tokens": 2}, "alpha_pattern": {"model.embed_tokens": 2}}
    torch.manual_seed(seed)
    tuned = get_peft_model(model, LoraConfig(r=4, target_modules=targets, init_lora_weights=False, **more))
    for name, value in tuned.named_parameters():
        if "trainable_tokens_delta" in name or "lora_embedding_B" in name:
            torch.nn.init.normal_(value, std=0.4)
        elif "lora_embedding_A" in name:
            with torch.no_grad():
                value.zero_()[range(2), new] = 1
    tuned.save_pretrained(str(folder), save_embedding_layers=False)
    words.save_pretrained(folder)
    told: dict[str, Any] = {
        "format": "persbench-adapter", "version": 1, "persona": persona, "world": "fake", "recipe": recipe,
        "seed": seed, "pack_hash": "0" * 64, "data_hash": "0" * 64,
        "speaks": {"analysis": analysis, "temporal": temporal, "labels": list(LABELS) if temporal else []},
        "base": {"name": base.name, "digest": folder_digest(base), "vocab_size": rows},
    }  # fmt: skip
    (folder / "card.json").write_text(json.dumps(told | card))
    return folder


def tiny_voices(folder: Path) -> Path:
    """Write a base model, and an adapter on it for each persona of the fake pack under `persllm`."""
    base = tiny_base(folder / "base")
    for seed, persona in enumerate(("ada", "bo"), start=1):
        tiny_adapter(folder / "persllm" / persona, base, persona, seed=seed)
    return folder
