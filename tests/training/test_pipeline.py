from __future__ import annotations

import csv
import errno
import json
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from safetensors import safe_open
from short_training import ShortTraining, StopAt, Stopped, make_home
from tiny_chat_model import chat_model
from toy_world import toy_world
from transformers import AutoTokenizer

from persbench.errors import PersbenchError
from persbench.models.adapter_card import read_card
from persbench.models.fingerprint import folder_digest, model_fingerprint
from persbench.training import checkpoints, identity, pipeline
from persbench.training.base import load_base
from persbench.training.progress import Silent


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("training"))


@pytest.fixture
def trained(home: Path, tmp_path: Path) -> ShortTraining:
    return ShortTraining(home, tmp_path / "out")


def weights(folder: Path) -> bytes:
    return (folder / "adapter_model.safetensors").read_bytes()


def test_a_trained_folder_holds_what_evaluation_needs_and_no_more(trained: ShortTraining, home: Path) -> None:
    folder = trained()
    assert {path.name for path in folder.iterdir()} == {
        "adapter_config.json", "adapter_model.safetensors", "card.json", "chat_template.jinja", "losses.csv",
        "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    assert [path.name for path in folder.parent.iterdir() if path.name != ".work"] == ["ada"]
    assert [path.name for path in (folder.parent / ".work").iterdir()] in (["ada.lock"], [])
    card = read_card(folder)
    assert (card.persona, card.world, card.recipe, card.seed) == ("ada", "fake", "short", 0)
    assert (card.speaks_analysis, card.speaks_temporal, card.labels) == (True, True, ("<early>", "<late>"))
    assert (card.base, card.base_digest, card.base_vocab_size) == ("base", folder_digest(home / "base"), 258)
    assert len(AutoTokenizer.from_pretrained(folder)) == 260
    with safe_open(folder / "adapter_model.safetensors", "pt") as saved:
        shapes = {name: tuple(saved.get_tensor(name).shape) for name in saved.keys()}  # noqa: SIM118 - no mapping
    embedding = {name: shape for name, shape in shapes.items() if "embed" in name or "lm_head" in name}
    table = "base_model.model.model.embed_tokens.lora_embedding"
    assert embedding == {f"{table}_A": (2, 260), f"{table}_B": (32, 2)}
    assert "/" not in json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]


def test_the_card_says_what_was_learnt_and_the_losses_how(trained: ShortTraining) -> None:
    folder = trained()
    card = json.loads((folder / "card.json").read_text())
    assert card["counts"] == {
        "rows": 32, "examples": 40, "general": 8, "cut": 0, "pairs": {"other_stage": 12, "other_persona": 12},
    }  # fmt: skip
    assert {name: facts["steps"] for name, facts in card["phases"].items()} == {"sft": 5, "dpo": 3}
    with (folder / "losses.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["phase"], row["step"]) for row in rows] == [
        *(("sft", str(i)) for i in range(1, 6)), *(("dpo", str(i)) for i in range(1, 4)),
    ]  # fmt: skip
    assert float(rows[4]["loss"]) < float(rows[0]["loss"])
    # Before the first update the policy is the reference: ln 2, and no margin.
    assert float(rows[5]["loss"]) == pytest.approx(0.693147, abs=1e-5)
    assert float(rows[5]["margin"]) == pytest.approx(0.0, abs=1e-5)
    assert card["phases"]["sft"]["first_loss"] == pytest.approx(float(rows[0]["loss"]))


@pytest.mark.parametrize(("phase", "step"), [("sft", 3), ("dpo", 1)])
def test_an_interrupted_training_ends_with_the_same_weights(
    trained: ShortTraining, tmp_path: Path, phase: str, step: int
) -> None:
    whole = trained(out=tmp_path / "whole")
    with pytest.raises(Stopped):
        trained(StopAt(phase, step))
    assert not (tmp_path / "out" / "ada").exists()
    resumed = trained()
    assert weights(resumed) == weights(whole)
    assert (resumed / "losses.csv").read_text() == (whole / "losses.csv").read_text()
    assert json.loads((resumed / "card.json").read_text())["resumed"] is True


def test_a_resumed_training_saves_as_often_as_it_is_told_now(trained: ShortTraining, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        trained(StopAt("sft", 3), save_every=2)
    with pytest.raises(Stopped):
        trained(StopAt("sft", 4), save_every=1)
    phase = tmp_path / "out" / ".work" / "ada" / "sft"
    assert sorted(path.name for path in phase.iterdir()) == ["checkpoint-2", "checkpoint-3"]


def test_a_broken_checkpoint_falls_back_to_the_one_before(trained: ShortTraining, tmp_path: Path) -> None:
    whole = trained(out=tmp_path / "whole", save_every=1)
    with pytest.raises(Stopped):
        trained(StopAt("sft", 4), save_every=1)
    phase = tmp_path / "out" / ".work" / "ada" / "sft"
    assert sorted(path.name for path in phase.iterdir()) == ["checkpoint-2", "checkpoint-3"]
    newest = phase / "checkpoint-3" / "adapter_model.safetensors"
    newest.write_bytes(newest.read_bytes()[:100])
    report = Silent()
    assert weights(trained(report=report, save_every=1)) == weights(whole)
    assert "passed over the broken checkpoint" in report.notices[0]
    assert "adapter_model.safetensors has 100 bytes" in report.notices[0]


def test_a_checkpoint_without_seal_is_broken(trained: ShortTraining, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        trained(StopAt("sft", 4), save_every=1)
    (tmp_path / "out" / ".work" / "ada" / "sft" / "checkpoint-3" / "persbench-manifest.json").unlink()
    report = Silent()
    trained(report=report, save_every=1)
    assert "checkpoint-3: persbench-manifest.json is missing" in report.notices[0]


def test_a_finished_persona_is_left_alone_and_another_training_refused(trained: ShortTraining) -> None:
    folder = trained(max_steps=1)
    before = (folder / "card.json").stat().st_mtime_ns
    report = Silent()
    assert trained(max_steps=1, report=report) == folder
    assert report.notices == ["ada is trained already"]
    assert (folder / "card.json").stat().st_mtime_ns == before
    for changed, differs in (
        ({"seed": 1}, r"another order of them; seed 0 -> 1"),
        ({"max_steps": 2}, r"\(max_steps 1 -> 2\)"),
        ({"recipe": "persllm-sft"}, r"recipe\.data\.repeat 1 -> 3; recipe\.sft\.learning_rate 0\.005 -> 0\.004"),
        ({"dtype": "bfloat16"}, r'\(dtype "float32" -> "bfloat16 products, float32 weights"\)'),
    ):
        with pytest.raises(PersbenchError, match=rf"ada was trained with other settings .*{differs}.* name another"):
            trained(**{"max_steps": 1} | changed)
    (folder / "card.json").unlink()
    with pytest.raises(PersbenchError, match="holds something that persbench did not train"):
        trained(max_steps=1)


def test_unfinished_work_of_other_settings_is_not_gone_on_with(trained: ShortTraining) -> None:
    with pytest.raises(Stopped):
        trained(StopAt("sft", 3))
    with pytest.raises(PersbenchError, match=r"unfinished training with other settings \(.*seed 0 -> 1\)"):
        trained(seed=1)


def test_another_template_is_another_training(trained: ShortTraining, tmp_path: Path) -> None:
    base = chat_model(tmp_path / "base")
    folder = trained(base=str(base), max_steps=1)
    before = read_card(folder).base_digest
    template = base / "chat_template.jinja"
    template.write_text(template.read_text("utf-8").replace("You are helpful", "You are told"), encoding="utf-8")
    with pytest.raises(PersbenchError, match=r"settings \(another tokenizer or chat template of the base model\)"):
        trained(base=str(base), max_steps=1)
    again = trained(base=str(base), max_steps=1, out=tmp_path / "again")
    assert read_card(again).base_digest == before  # evaluation compares it: it is of the weights


def test_another_version_of_the_trainer_is_another_training(
    trained: ShortTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained(max_steps=1)
    monkeypatch.setattr(identity, "TRAINER", identity.TRAINER + 1)
    with pytest.raises(PersbenchError, match=r"settings \(trainer 1 -> 2\)"):
        trained(max_steps=1)
    monkeypatch.undo()
    card = json.loads((folder / "card.json").read_text())
    del card["trainer"], card["tokenizer_digest"]
    (folder / "card.json").write_text(json.dumps(card | {"key": "0" * 64, "seed": 3}))
    said = r"settings \(seed 3 -> 0; not noted by the older persbench that wrote it: tokenizer, trainer\)"
    with pytest.raises(PersbenchError, match=said):
        trained(max_steps=1)


def test_two_trainings_into_one_folder_are_refused(trained: ShortTraining, tmp_path: Path) -> None:
    lock = tmp_path / "out" / ".work" / "ada.lock"
    lock.parent.mkdir(parents=True)
    with FileLock(lock), pytest.raises(PersbenchError, match="another process trains ada into"):
        trained(max_steps=1)
    assert trained(max_steps=1).is_dir()


def test_a_full_disk_keeps_the_last_good_checkpoint(
    trained: ShortTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained(out=tmp_path / "whole")
    save, calls = checkpoints.save_weights, []

    def full(model: Any, folder: Path, state: Any = None) -> None:
        save(model, folder, state)
        calls.append(folder)
        if len(calls) == 2:
            (folder / "adapter_model.safetensors").write_bytes(b"part")
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_weights", full)
    with pytest.raises(PersbenchError, match=r"checkpoint-4 could not be written \(the disk is full\)"):
        trained()
    assert [path.name for path in calls[0].parent.iterdir()] == ["checkpoint-2"]
    monkeypatch.undo()
    assert weights(trained()) == weights(whole)


def test_a_disk_full_at_the_very_end_leaves_no_half_folder(
    trained: ShortTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pipeline, "write_card", full)
    with pytest.raises(PersbenchError, match="the disk is full"):
        trained(max_steps=1)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".work"]
    monkeypatch.undo()
    report = Silent()
    assert json.loads((trained(max_steps=1, report=report) / "card.json").read_text())["resumed"] is True


def test_a_world_is_trained_on_one_base_that_stays_as_it_was(
    trained: ShortTraining, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lent = load_base(home / "base")
    before = model_fingerprint(lent.model)
    monkeypatch.setattr(pipeline, "load_base", lambda _: lent)
    first = trained(personas=(), max_steps=2)
    assert model_fingerprint(lent.model) == before
    assert lent.model.config.vocab_size == lent.vocab_size == 258
    assert not hasattr(lent.model, "peft_config")
    assert "forward" not in vars(lent.model)
    assert all(parameter.requires_grad for parameter in lent.model.parameters())
    second = first.with_name("bo")
    assert read_card(second).persona == "bo"
    # What came before leaves no trace in what comes after.
    alone = trained(personas=("bo",), max_steps=2, out=first.parent.with_name("alone"))
    assert weights(alone) == weights(second) != weights(first)


def test_recipes_without_temporal_tokens_leave_the_vocabulary_alone(trained: ShortTraining, home: Path) -> None:
    folder = trained(recipe="no-temporal", max_steps=1)
    assert len(AutoTokenizer.from_pretrained(folder)) == 258
    assert read_card(folder).labels == ()
    with safe_open(folder / "adapter_model.safetensors", "pt") as saved:
        assert not [name for name in saved.keys() if "embed" in name]  # noqa: SIM118 - no mapping


def test_full_recipes_save_a_model_and_dpo_starts_from_it(trained: ShortTraining, home: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "full.yaml"
    recipe.write_text(f"extends: {home / 'short.yaml'}\nlora: null\nfull: true\n")
    folder = trained(recipe=str(recipe))
    assert (folder / "model.safetensors").is_file()
    assert not (folder / "adapter_config.json").exists()
    assert json.loads((folder / "card.json").read_text())["weights"] == "model"
    with (folder / "losses.csv").open(newline="") as stream:
        first = next(row for row in csv.DictReader(stream) if row["phase"] == "dpo")
    assert float(first["loss"]) == pytest.approx(0.693147, abs=1e-5)
    with pytest.raises(Stopped):
        trained(StopAt("dpo", 3), recipe=str(recipe), out=tmp_path / "again")
    again = trained(recipe=str(recipe), out=tmp_path / "again")
    assert (again / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_names_that_nearly_fit_are_told(trained: ShortTraining) -> None:
    with pytest.raises(PersbenchError, match=r"unknown persona 'adda'\. Did you mean 'ada'"):
        trained(personas=("adda",))
    with pytest.raises(PersbenchError, match="Did you mean 'persllm'"):
        trained(recipe="persllmm")


def test_a_base_model_that_does_not_fit_is_refused(trained: ShortTraining, home: Path, tmp_path: Path) -> None:
    with pytest.raises(PersbenchError, match="cannot be loaded"):
        trained(base=str(tmp_path / "nothing"))
    with pytest.raises(PersbenchError, match="has no chat template"):
        trained(base=str(chat_model(tmp_path / "plain", template=None)))
    recipe = tmp_path / "other.yaml"
    recipe.write_text(f"extends: {home / 'short.yaml'}\nlora: {{targets: [q_proj, c_attn]}}\n")
    with pytest.raises(PersbenchError, match=r"no module c_attn, .* linear layers: down_proj, gate_proj, k_proj"):
        trained(recipe=str(recipe))


def test_too_little_data_and_leaks_are_refused_before_the_first_step(trained: ShortTraining, tmp_path: Path) -> None:
    small = toy_world(tmp_path / "small", common=2, own=1)
    with pytest.raises(PersbenchError, match="needs at least 8"):
        trained(pack=str(small))
    leaky = toy_world(tmp_path / "leaky")
    answer = json.loads((leaky / "personas" / "bo" / "answers.jsonl").read_text().splitlines()[0])["reply"]
    file = leaky / "personas" / "ada" / "train.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[3]["response"] = answer
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(PersbenchError, match=r"personas/ada/train.jsonl:4: .*personas/bo/answers.jsonl:1"):
        trained(pack=str(leaky))
    assert not (tmp_path / "out").exists()
