from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from short_training import ShortTraining, make_home
from tiny_chat_model import byte_tokenizer, chat_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from persbench.packs.load import load_pack
from persbench.training.recipe import load_recipe
from persbench.training.vocabulary import add_labels, fit_embeddings, labels_of

LABELS = ("<early>", "<late>")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("vocabulary"))


@pytest.fixture(scope="module")
def adapter(home: Path) -> Path:
    return ShortTraining(home, home / "out")()


def asked(tokenizer: Any, label: str) -> torch.Tensor:
    text = tokenizer.apply_chat_template(
        [{"role": "system", "content": f"You are Ada. {label}"}, {"role": "user", "content": "Who are you?"}],
        tokenize=False, add_generation_prompt=True,
    )  # fmt: skip
    ids: torch.Tensor = tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"]
    return ids


def worn(base: Path, adapter: Path) -> tuple[Any, Any]:
    """Load an adapter in the plain way of its documentation."""
    tokenizer = AutoTokenizer.from_pretrained(adapter)
    model = AutoModelForCausalLM.from_pretrained(base)
    model.resize_token_embeddings(len(tokenizer))  # draws the new rows, very near to the mean of the old ones
    return PeftModel.from_pretrained(model, adapter).eval(), tokenizer


def test_labels_are_of_all_stages_or_none(home: Path) -> None:
    pack = load_pack(home / "world")
    assert labels_of(pack, load_recipe("persllm")) == LABELS
    assert labels_of(pack, load_recipe("no-temporal")) == ()


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("padding", [0, 40])
def test_embeddings_get_one_row_a_token_that_begins_as_the_mean(tmp_path: Path, tied: bool, padding: int) -> None:
    model = AutoModelForCausalLM.from_pretrained(chat_model(tmp_path / "base", tied=tied, vocab_size=258 + padding))
    tokenizer = byte_tokenizer()
    old = model.get_input_embeddings().weight.detach().clone()
    head = model.get_output_embeddings().weight.detach().clone()
    assert add_labels(tokenizer, LABELS) == [258, 259]
    assert add_labels(tokenizer, LABELS) == [258, 259]  # known by now
    fit_embeddings(model, len(tokenizer))
    for weight, before in ((model.get_input_embeddings().weight, old), (model.get_output_embeddings().weight, head)):
        assert weight.shape == (260, 32)
        assert torch.equal(weight[:258], before[:258])
        if not padding:  # with padding the rows were there
            torch.testing.assert_close(weight[258:], before.mean(dim=0).expand(2, -1))
    assert (model.get_input_embeddings().weight is model.get_output_embeddings().weight) == tied
    assert model.config.vocab_size == 260


def test_a_label_is_one_token_after_reload_and_changes_what_is_said(home: Path, adapter: Path) -> None:
    model, tokenizer = worn(home / "base", adapter)
    assert [tokenizer.encode(label, add_special_tokens=False) for label in LABELS] == [[258], [259]]
    ids = [asked(tokenizer, label) for label in LABELS]
    assert ids[0].shape == ids[1].shape
    assert (ids[0] != ids[1]).sum() == 1
    with torch.no_grad():
        early, late = (torch.log_softmax(model(i).logits[0, -1], -1) for i in ids)
    assert (early - late).abs().max() > 1e-3
    table = model.get_input_embeddings()
    assert (table.lora_embedding_A["default"].nonzero().tolist()) == [[0, 258], [1, 259]]
    added = table.lora_embedding_B["default"].T
    assert (added.abs().max(dim=1).values > 1e-3).all()  # both were trained
    assert not torch.equal(added[0], added[1])


@pytest.mark.parametrize("tied", [True, False])
def test_it_hardly_matters_that_new_rows_are_drawn_at_random_by_whoever_loads_the_adapter(
    home: Path, tmp_path: Path, tied: bool
) -> None:
    base = chat_model(tmp_path / "base", tied=tied)
    folder = ShortTraining(home, tmp_path / "out")(base=str(base), max_steps=2)
    first, _ = worn(base, folder)
    torch.manual_seed(99)
    second, tokenizer = worn(base, folder)
    ids = asked(tokenizer, "<late>")
    with torch.no_grad():
        # On SmolLM2 the log-likelihood of a whole reply moves by 1e-4; these random rows cancel out to a tiny mean.
        torch.testing.assert_close(first(ids).logits, second(ids).logits, atol=1e-2, rtol=0)


CONTEXT, REPLY = "<|im_start|>system\nYou are Ada. <late><|im_end|>\n<|im_start|>assistant\n", "I keep it."


def likelihood(lm: Any) -> float:
    from lm_eval.api.instance import Instance

    return float(lm.loglikelihood([Instance("loglikelihood", {}, (CONTEXT, REPLY), 0)], disable_tqdm=True)[0][0])


def test_plain_lm_eval_wears_the_adapter_and_persbench_does_so_alike(home: Path, adapter: Path) -> None:
    from lm_eval.models.huggingface import HFLM

    from persbench.harness.adapters import use_adapter

    base, more = str(home / "base"), {"device": "cpu", "dtype": "float32"}
    stock = likelihood(HFLM(pretrained=base, peft=str(adapter), tokenizer=str(adapter), **more))
    model, tokenizer = worn(home / "base", adapter)
    whole, start = (
        tokenizer(t, return_tensors="pt", add_special_tokens=False)["input_ids"]
        for t in (CONTEXT + REPLY, CONTEXT.rstrip())  # lm-eval counts white space before the reply to it
    )
    assert 259 in whole[0]
    with torch.no_grad():
        logits = torch.log_softmax(model(whole).logits[0, start.shape[1] - 1 : -1].double(), -1)
    by_hand = logits.gather(1, whole[0, start.shape[1] :, None]).sum().item()
    assert stock == pytest.approx(by_hand, abs=2e-3)
    lm = HFLM(pretrained=base, **more)
    before = likelihood(lm)
    use_adapter(lm, adapter)
    assert likelihood(lm) == pytest.approx(stock, abs=2e-3)
    use_adapter(lm, None)
    assert likelihood(lm) == before != pytest.approx(stock, abs=0.1)
