from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from short_training import make_home
from tiny_chat_model import TEMPLATE, byte_tokenizer, chat_model
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback

from persbench.errors import PersbenchError
from persbench.models.fetch import default_model_path
from persbench.training.arguments import micro_batch, steps_of, trainer_arguments
from persbench.training.base import chat_form, formed, load_base
from persbench.training.cpu_head import use_cpu_head
from persbench.training.machine import Machine
from persbench.training.recipe import load_recipe
from persbench.training.rows import Example
from persbench.training.sft import NO_LOSS, Row, by_length, sft_row, sft_trainer

EXAMPLE = Example(
    id="t1",
    system="You are Ada. It is spring. <early>",
    turns=({"role": "user", "content": "Who keeps the lamp?"},),
    completion="[Analysis] She asks of the lamp. [Response] I do, and nobody else.",
    origin="personas/ada/train.jsonl:1",
)
TWO_TURNS = dataclasses.replace(
    EXAMPLE,
    system="",
    turns=(
        {"role": "user", "content": "Good morning."},
        {"role": "assistant", "content": "Good morning to you."},
        {"role": "user", "content": "Is it cold?"},
    ),
    completion="It is.",
)


def learnt(row: Row, tokenizer: Any) -> str:
    return str(tokenizer.decode([label for label in row.labels if label != NO_LOSS]))


@pytest.mark.parametrize("example", [EXAMPLE, TWO_TURNS], ids=["one turn", "two turns"])
def test_the_loss_covers_exactly_the_last_reply_and_its_end(example: Example) -> None:
    tokenizer = byte_tokenizer()
    row = sft_row(example, tokenizer, "chat", 1000)
    assert learnt(row, tokenizer) == example.completion + "<|im_end|>"
    before = tokenizer.apply_chat_template(example.row["prompt"], add_generation_prompt=True, tokenize=False)
    assert tokenizer.decode(row.input_ids) == before + example.completion + "<|im_end|>"
    start = row.labels.index(next(label for label in row.labels if label != NO_LOSS))
    assert row.labels == [NO_LOSS] * start + row.input_ids[start:]
    assert not row.cut


@pytest.mark.model
def test_the_loss_covers_exactly_the_reply_in_smollm2s_own_template() -> None:
    path = default_model_path()
    assert path is not None, "persbench model fetch"
    tokenizer = AutoTokenizer.from_pretrained(str(path))
    for example in (EXAMPLE, TWO_TURNS):
        row = sft_row(example, tokenizer, "chat", 1000)
        assert learnt(row, tokenizer) == example.completion + "<|im_end|>"
        assert tokenizer.decode(row.input_ids).endswith(f"<|im_start|>assistant\n{example.completion}<|im_end|>")


def test_a_long_sequence_is_cut_and_a_prompt_that_fills_it_refused() -> None:
    tokenizer = byte_tokenizer()
    whole = sft_row(EXAMPLE, tokenizer, "chat", 1000)
    row = sft_row(EXAMPLE, tokenizer, "chat", len(whole.input_ids) - 5)
    assert row.cut
    assert row.input_ids == whole.input_ids[:-5]
    with pytest.raises(PersbenchError, match=r"train.jsonl:1: the prompt alone is \d+ tokens, and max_length is 20"):
        sft_row(EXAMPLE, tokenizer, "chat", 20)


def test_a_template_that_refuses_system_messages_gets_them_in_the_users_turn() -> None:
    refusing = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    tokenizer = byte_tokenizer(refusing)
    assert chat_form(tokenizer, "x") == "folded"
    assert chat_form(byte_tokenizer(), "x") == "chat"
    row = sft_row(EXAMPLE, tokenizer, "folded", 1000)
    assert f"user\n{EXAMPLE.system}\n\nWho keeps the lamp?" in tokenizer.decode(row.input_ids)
    assert formed(TWO_TURNS.row["prompt"], "folded") == TWO_TURNS.row["prompt"]
    with pytest.raises(PersbenchError, match="drops part of a dialogue"):
        chat_form(byte_tokenizer("{{ messages[-1].content }}"), "x")


THINKING = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{% if m.role == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{{ m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.mark.parametrize(
    ("template", "written", "asked"),
    [
        (THINKING, r"'<think>\\n\\n</think>\\n\\n'", "''"),
        (TEMPLATE.replace("assistant\n' }}", "assistant\n<think>\n' }}"), "''", r"'<think>\\n'"),
        (TEMPLATE.replace("add_generation_prompt", "false"), r"'<\|im_start\|>assistant\\n'", "''"),
    ],
    ids=["an empty block", "an open block", "no generation prompt"],
)
def test_a_template_that_writes_a_reply_otherwise_than_it_asks_for_one_is_refused(
    template: str, written: str, asked: str, tmp_path: Path
) -> None:
    said = rf"{written} stands before the assistant's reply where the generation prompt has {asked}\. .*copy"
    with pytest.raises(PersbenchError, match=said):
        load_base(chat_model(tmp_path, template=template))
    # With the block in both places the reply follows the generation prompt: trained as evaluated.
    both = THINKING.replace("assistant\n' }}", "assistant\n<think>\n\n</think>\n\n' }}")
    assert chat_form(byte_tokenizer(both), "x") == "chat"


def test_rows_of_like_length_share_a_forward_pass_and_stay_in_their_window() -> None:
    draw = random.Random(0)
    rows = [Row([i] * draw.randrange(1, 90), [], False) for i in range(70)]
    ordered = by_length(rows, 8, 4, seed=0)
    assert sorted(ordered) == sorted(rows)
    for start in range(0, 70, 32):
        assert sorted(ordered[start : start + 32]) == sorted(rows[start : start + 32])

    def padded(found: list[Row]) -> int:
        return sum(4 * max(len(row.input_ids) for row in found[i : i + 4]) for i in range(0, 70, 4))

    assert padded(ordered) < 0.7 * padded(rows)
    assert by_length(rows, 8, 4, seed=0) == ordered != by_length(rows, 8, 4, seed=1)


def test_steps_and_shares_of_a_batch() -> None:
    sft = load_recipe("persllm").sft
    assert steps_of(sft, 450, None) == 57
    assert steps_of(sft.model_copy(update={"epochs": 1.5}), 450, None) == 86
    assert steps_of(sft, 450, 10) == 10
    assert [micro_batch(sft, n) for n in (1, 2, 4, 8)] == [8, 4, 2, 1]
    with pytest.raises(PersbenchError, match="cannot be shared out evenly among 3 processes"):
        micro_batch(sft, 3)


@pytest.mark.parametrize("bias", [False, True])
def test_the_cpu_output_layer_gives_trls_log_probabilities_and_gradients(bias: bool, tmp_path: Path) -> None:
    from trl.trainer.utils import add_fused_lm_head

    model = load_base(make_home(tmp_path) / "base").model
    if bias:
        model.lm_head.bias = torch.nn.Parameter(torch.randn(258))
    add_fused_lm_head(model, outputs=("log_probs", "entropy", "is_top1"))
    torch.manual_seed(0)
    ids = torch.randint(2, 258, (3, 40))
    labels = ids.clone()
    labels[:, :15] = NO_LOSS
    found = []
    for _ in range(2):
        model.zero_grad()
        said = model(input_ids=ids, labels=labels, fused_lm_head=True)
        (-said.log_probs.sum()).backward()
        gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        found.append((said.log_probs.detach(), said.is_top1, said.label_mask, said.loss.detach(), gradients))
        use_cpu_head(model)
    (theirs, ours) = found
    for a, b in zip([*theirs[:4], *theirs[4]], [*ours[:4], *ours[4]], strict=True):
        torch.testing.assert_close(b, a, atol=2e-5, rtol=1e-4)
    assert len(theirs[4]) == len(ours[4]) > 10
    logits = model(input_ids=ids).logits  # what is not asked to be fused is as it was
    assert logits.shape == (3, 40, 258)


def test_one_batch_learnt_by_heart_reaches_almost_no_loss(tmp_path: Path) -> None:
    base = load_base(make_home(tmp_path) / "base")
    tokenizer = base.tokenizer
    rows = [sft_row(e, tokenizer, "chat", 1000) for e in (EXAMPLE, TWO_TURNS)]
    recipe = load_recipe("persllm-sft")
    sft = recipe.sft.model_copy(
        update={"batch_size": 2, "micro_batch": 2, "learning_rate": 0.01, "warmup_steps": 2, "weight_decay": 0.0}
    )
    arguments = trainer_arguments(
        sft, Machine("cpu", bf16=False), tmp_path / "work", steps=120, seed=0, save_every=1000, parameters=0
    )
    model = base.model  # all its weights: an adapter on random ones can learn little
    trainer = sft_trainer(model, tokenizer, rows, arguments | {"save_strategy": "no"})
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[0] > 5
    assert losses[-1] < 0.02
    prompt = tokenizer.apply_chat_template(
        EXAMPLE.row["prompt"], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    said = model.generate(**prompt, max_new_tokens=100, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert tokenizer.decode(said) == EXAMPLE.completion + "<|im_end|>"  # and it has learnt to stop


def test_a_base_loads_in_float32_whatever_it_was_saved_in(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    AutoModelForCausalLM.from_pretrained(home / "base").to(torch.bfloat16).save_pretrained(home / "base")
    assert load_base(home / "base").model.dtype == torch.float32
