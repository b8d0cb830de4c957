from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from short_training import ShortTraining, make_home
from transformers import AutoModelForCausalLM, TrainerCallback

from persbench.training.base import load_base
from persbench.training.dpo import dpo_trainer


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("dpo"))


def losses(folder: Path, phase: str) -> list[dict[str, float]]:
    with (folder / "losses.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["phase"] == phase]
    return [{key: float(value) for key, value in row.items() if value and key != "phase"} for row in rows]


def test_in_ten_steps_the_chosen_rises_over_the_rejected(home: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "ten.yaml"
    recipe.write_text(f"extends: {home / 'short.yaml'}\ndpo: {{epochs: 4, learning_rate: 5.0e-3}}\n")
    rows = losses(ShortTraining(home, tmp_path / "out")(recipe=str(recipe), max_steps=10), "dpo")
    assert len(rows) == 10
    assert rows[0]["margin"] == pytest.approx(0, abs=1e-5)
    assert rows[-1]["margin"] > 0.5
    assert rows[-1]["preference_accuracy"] > 0.9
    assert rows[-1]["loss"] < 0.9 * rows[0]["loss"]
    assert rows[-1]["reward_chosen"] > rows[-1]["reward_rejected"]


class Look(TrainerCallback):  # type: ignore[misc]
    """Keeps copies of both adapters' weights from before the first step of DPO and after the last."""

    def __init__(self) -> None:
        self.seen: list[dict[str, torch.Tensor]] = []

    def _copy(self, args: Any, model: Any) -> None:
        if Path(args.output_dir).name == "dpo":
            named = {name: value for name, value in model.named_parameters() if "lora" in name}
            self.seen.append({name: value.detach().clone() for name, value in named.items()})

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **more: Any) -> None:
        self._copy(args, model)

    on_train_end = on_train_begin


def test_the_reference_is_what_sft_left_with_its_temporal_rows_and_stays(home: Path, tmp_path: Path) -> None:
    look = Look()
    ShortTraining(home, tmp_path / "out")(look)
    before, after = look.seen
    own = {name for name in before if name.endswith(".default") or ".default." in name}
    assert any("lora_embedding_B" in name for name in own)
    for name in own:
        twin = name.replace(".default", ".ref")
        assert torch.equal(before[name], before[twin]), name
        assert torch.equal(before[twin], after[twin]), name
    assert [name for name in own if not torch.equal(before[name], after[name])]
    rows = next(name for name in own if "lora_embedding_B" in name)
    assert before[rows].abs().max() > 1e-3  # SFT had moved them


def test_trl_alone_would_leave_the_temporal_rows_out_of_the_reference(home: Path, tmp_path: Path) -> None:
    """The reason for `copy_rows`: when TRL copies them itself, this fails and it can go."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    folder = ShortTraining(home, tmp_path / "out")(recipe="persllm-sft", max_steps=2)
    model = AutoModelForCausalLM.from_pretrained(home / "base")
    model.resize_token_embeddings(260, mean_resizing=False)
    adapted = PeftModel.from_pretrained(model, folder, is_trainable=True)
    tokenizer = load_base(home / "base").tokenizer
    row = {
        "prompt": [{"role": "user", "content": "Who?"}],
        "chosen": [{"role": "assistant", "content": "I."}],
        "rejected": [{"role": "assistant", "content": "Nobody."}],
    }
    arguments: dict[str, Any] = {"output_dir": str(tmp_path), "use_cpu": True, "bf16": False, "report_to": "none"}
    DPOTrainer(adapted, args=DPOConfig(**arguments), train_dataset=Dataset.from_list([row]), processing_class=tokenizer)
    rows = adapted.get_input_embeddings().lora_embedding_B
    assert not torch.equal(rows["ref"], rows["default"])
    adapted.delete_adapter("ref")
    dpo_trainer(adapted, tokenizer, [row], arguments, 0.1)
    rows = adapted.get_input_embeddings().lora_embedding_B
    assert torch.equal(rows["ref"], rows["default"])
