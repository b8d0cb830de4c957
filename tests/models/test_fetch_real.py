"""The default model as everybody gets it. Fetches it once if the cache does not have it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch

from persbench.models.fetch import default_embedder_path, default_model_path, fetch_embedder, fetch_model
from persbench.models.fingerprint import model_fingerprint

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.model

# The weights that everybody's numbers start from, with or without the records' other versions.
FINGERPRINT = "3d50fd9fd36c21502c7acad5c90004a09c0d0f29fcbf258e614bdc33a2676b00"


@pytest.fixture(scope="module")
def folder() -> Path:
    return fetch_model(progress=False)


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(folder), local_files_only=True)


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(str(folder), local_files_only=True)


def test_the_folder_is_whole_to_the_last_byte(folder: Path) -> None:
    assert default_model_path(verify=True) == folder
    assert fetch_embedder(progress=False) == default_embedder_path(verify=True)


def test_nothing_in_it_is_a_pickle(folder: Path) -> None:
    assert {p.suffix for p in folder.rglob("*") if p.is_file()} <= {".json", ".jinja", ".safetensors", ""}


def test_special_tokens_and_length(tokenizer: Any) -> None:
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == (
        "<|im_start|>",
        "<|im_end|>",
        "<|im_end|>",
    )
    assert tokenizer.unk_token == "<|endoftext|>"
    assert tokenizer.eos_token_id == 2
    assert tokenizer.model_max_length == 8192
    assert len(tokenizer) == 49152


def test_the_chat_template_with_its_own_identity(tokenizer: Any) -> None:
    asked = [{"role": "user", "content": "Hi."}]
    rendered = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    assert rendered == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nHi.<|im_end|>\n<|im_start|>assistant\n"
    )
    with_system = tokenizer.apply_chat_template([{"role": "system", "content": "You are Ada."}, *asked], tokenize=False)
    assert "SmolLM" not in with_system


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("In 1850", ["In", "Ġ", "1", "8", "5", "0"]),
        ("a  12", ["a", "ĠĠ", "1", "2"]),
        ("x\n\n3", ["x", "ĊĊ", "3"]),
    ],
)
def test_digits_are_split_off_before_spaces_are_grouped(tokenizer: Any, text: str, tokens: list[str]) -> None:
    assert tokenizer.tokenize(text) == tokens
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_the_weights_are_everybodys(model: Any) -> None:
    assert model.dtype == torch.float32
    assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    assert model_fingerprint(model) == FINGERPRINT


def test_settings_ask_for_no_quantisation(folder: Path) -> None:
    settings = json.loads((folder / "config.json").read_text())
    assert "quantization_config" not in settings
    assert settings["rms_norm_eps"] == 1e-5
    assert settings["rope_parameters"]["rope_theta"] == 100_000
    assert str(folder.parent) not in (folder / "config.json").read_text()


def test_it_answers_and_ends_its_turn(model: Any, tokenizer: Any) -> None:
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    written = model.generate(**asked, max_new_tokens=32, do_sample=False)[0, asked["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(written)
    assert written[-1] == tokenizer.eos_token_id
