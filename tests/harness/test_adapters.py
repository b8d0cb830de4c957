"""Adapters on one loaded base model: each cell gets its own, and nothing computed under another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from peft import LoraConfig, PeftModel, get_peft_model
from tiny_model import SHAPE, WORDS, tiny, tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from persbench.errors import PersbenchError
from persbench.harness.prefix_lm import PrefixLM

PROMPT = " ".join(WORDS[i * 7 % 120] for i in range(60))


def model(**shape: Any) -> Any:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SHAPE | shape)).eval()


def adapter(folder: Path, seed: int, **shape: Any) -> str:
    base = model(**shape)
    torch.manual_seed(seed)
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False)
    get_peft_model(base, config).save_pretrained(str(folder))
    return str(folder)


def measured(lm: Any) -> tuple[list[float], list[str]]:
    """Two turns of four dialogues, and probes on them: everything that is kept between calls is used."""
    histories = [f"{PROMPT} w{i} " + " ".join(WORDS[(i + k) % 120] for k in range(70)) for i in range(4)]
    said: list[str] = []
    for turn in range(2):
        asked = [
            Instance("generate_until", {}, (h, {"until": [], "max_gen_toks": 8, "do_sample": False}), i, ("t", i, 1))
            for i, h in enumerate(histories)
        ]
        replies = lm.generate_until(asked, disable_tqdm=True)
        said += replies
        histories = [f"{h} {r} w{turn}" for h, r in zip(histories, replies, strict=True)]
    probes = [
        Instance("loglikelihood", {}, (h, f" w{c} w7"), i, ("t", i, 1)) for i, h in enumerate(histories) for c in (1, 2)
    ]
    return [float(ll) for ll, _ in lm.loglikelihood(probes, disable_tqdm=True)], said


def by_peft(folder: str) -> tuple[list[float], list[str]]:
    tuned = PeftModel.from_pretrained(model(), folder).eval()
    return measured(HFLM(pretrained=tuned, tokenizer=tokenizer(), batch_size=4, device="cpu", max_length=200))


def test_a_cell_s_cache_never_serves_another_adapter(tmp_path: Path) -> None:
    one, other = adapter(tmp_path / "one", 1), adapter(tmp_path / "other", 2)
    lm = tiny(PrefixLM)
    expected = {None: measured(tiny(HFLM)), one: by_peft(one), other: by_peft(other)}
    assert len({tuple(said) for _, said in expected.values()}) == 3, "adapters that do nothing would prove nothing"
    for folder in (None, one, other, one, None, other, None):
        lm.use_adapter(folder)
        assert lm.kept.size == 0
        scores, said = measured(lm)
        assert lm.kept.size > 0
        assert said == expected[folder][1]
        assert scores == pytest.approx(expected[folder][0], abs=1e-4)


def test_a_peft_model_of_lm_eval_s_own_loading_is_served_too(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "one", 1)
    tuned = PeftModel.from_pretrained(model(), folder).eval()
    lm = PrefixLM(pretrained=tuned, tokenizer=tokenizer(), batch_size=4, device="cpu", max_length=200)
    scores, said = measured(lm)
    expected = by_peft(folder)
    assert said == expected[1]
    assert scores == pytest.approx(expected[0], abs=1e-4)
    assert lm._obstacles == {"scores": "", "replies": ""}


@pytest.mark.parametrize("what", ["missing", "empty", "of another base"])
def test_a_folder_without_an_adapter_for_this_model_is_an_error(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "adapter"
    if what == "empty":
        folder.mkdir()
    elif what == "of another base":
        adapter(folder, 1, hidden_size=64, num_attention_heads=8)
    lm = tiny(PrefixLM)
    before = measured(lm)
    with pytest.raises(PersbenchError, match="cannot use the adapter in"):
        lm.use_adapter(str(folder))
    lm.use_adapter(None)
    assert measured(lm)[1] == before[1]
