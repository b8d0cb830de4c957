"""From the GGUF file of SmolLM2-135M-Instruct to a folder that transformers loads like any other.

Three things are mended on the way:

- The GGUF names its pre-tokenizer ("smollm"), and transformers falls back to plain byte-level splitting. That
  pre-tokenizer splits every digit off first (llama.cpp, src/llama-vocab.cpp, LLAMA_VOCAB_PRE_TYPE_SMOLLM), which
  matters where runs of spaces or line breaks meet a digit.
- The tokenizer's maximum length (8192), the norm's epsilon (1e-5) and the initialiser's range are set as published.
- The loaded model counts as quantised and refuses to be saved; its tensors are plain fp32, and are saved as such.
"""

from __future__ import annotations

import io
from contextlib import contextmanager, redirect_stderr
from typing import TYPE_CHECKING, Any, Final

import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedTokenizerFast
from transformers.utils import logging

from persbench.errors import PersbenchError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_LENGTH: Final = 8192
BEGIN: Final = "<|im_start|>"
END: Final = "<|im_end|>"
UNKNOWN: Final = "<|endoftext|>"
NORM_EPSILON: Final = 1e-05
INITIALIZER_RANGE: Final = 0.041666666666666664  # 1/24, as in the published configuration
QUESTION: Final = "What is the capital of France?"


def convert_smollm2(gguf: Path, target: Path) -> None:
    """Write fp32 safetensors, tokenizer and configuration from the GGUF file.

    Args:
        gguf: The model file.
        target: Existing folder that receives the model.

    Raises:
        PersbenchError: The GGUF lacks the chat template or a special token, or the result does not load alike.
    """
    with _quiet():
        tokenizer = _tokenizer(gguf)
        model = _model(gguf, tokenizer)
        tokenizer.save_pretrained(target)
        model.save_pretrained(target)
        _check(target)


def _tokenizer(gguf: Path) -> Any:
    loaded = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name, local_files_only=True)
    vocabulary = loaded.get_vocab()
    missing = [token for token in (BEGIN, END, UNKNOWN) if token not in vocabulary]
    if missing or not loaded.chat_template:
        raise PersbenchError(
            f"{gguf.name} lacks {', '.join(missing) or 'its chat template'}: it is not the chat model."
        )
    backend = loaded.backend_tokenizer
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True),
        ]
    )
    # A fresh tokenizer: the loaded one would save how it was loaded along with what it is.
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=END,
        unk_token=UNKNOWN,
        model_max_length=MAX_LENGTH,
        clean_up_tokenization_spaces=False,
        chat_template=loaded.chat_template,
    )


def _model(gguf: Path, tokenizer: Any) -> Any:
    loaded = AutoModelForCausalLM.from_pretrained(
        str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32, local_files_only=True
    )
    settings = loaded.config.to_dict()
    for key in ("quantization_config", "_name_or_path", "_model_name_or_path", "unk_token_id"):
        settings.pop(key, None)
    special = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    settings |= special | {
        "rms_norm_eps": NORM_EPSILON,
        "initializer_range": INITIALIZER_RANGE,
        "max_position_embeddings": MAX_LENGTH,
        "tie_word_embeddings": True,
    }
    model = type(loaded)(type(loaded.config)(**settings))
    model.load_state_dict(loaded.state_dict())
    model.tie_weights()
    model.generation_config = GenerationConfig(**special)
    return model.to(torch.float32)


def _check(target: Path) -> None:
    """Load what was written, as everybody will, and see that it speaks in turns and ends them."""
    tokenizer = AutoTokenizer.from_pretrained(str(target), local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(str(target), dtype=torch.float32, local_files_only=True)
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": QUESTION}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    written = model.generate(**asked, max_new_tokens=24, do_sample=False)[0, asked["input_ids"].shape[1] :]
    answer = tokenizer.decode(written)
    if tokenizer.eos_token != END or "Paris" not in answer or not answer.endswith(END):
        raise PersbenchError(
            f"the converted model does not answer as it should: asked {QUESTION!r}, it wrote {answer!r}. "
            "This is a fault of the conversion with the installed versions of transformers and gguf; please report it."
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back the libraries' own progress bars: the caller shows one of its own."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        # The bar of the GGUF reader knows no switch.
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        if shown:
            logging.enable_progress_bar()
