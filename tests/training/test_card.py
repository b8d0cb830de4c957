from __future__ import annotations

import json
from pathlib import Path

import pytest
from short_training import ShortTraining, make_home
from tiny_chat_model import chat_model

from persbench.errors import PersbenchError
from persbench.models.adapter_card import read_card
from persbench.models.fingerprint import folder_digest
from persbench.training.card import losses_csv
from persbench.training.identity import stored_key


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = make_home(tmp_path_factory.mktemp("card"))
    return ShortTraining(home, home / "out")(max_steps=1)


def changed(folder: Path, target: Path, **values: object) -> Path:
    target.mkdir()
    card = json.loads((folder / "card.json").read_text()) | values
    (target / "card.json").write_text(json.dumps({key: value for key, value in card.items() if value is not None}))
    return target


def test_a_card_is_read_back(folder: Path) -> None:
    card = read_card(folder)
    assert (card.persona, card.base_vocab_size, card.labels) == ("ada", 258, ("<early>", "<late>"))
    assert stored_key(folder) == json.loads((folder / "card.json").read_text())["key"]


def test_missing_foreign_and_broken_cards_are_told_apart(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PersbenchError, match=r"has no card\.json, so nothing says how its adapter is spoken to"):
        read_card(tmp_path)
    (tmp_path / "card.json").write_text("{")
    with pytest.raises(PersbenchError, match="cannot be read"):
        read_card(tmp_path)
    (tmp_path / "card.json").write_text("[]")
    with pytest.raises(PersbenchError, match="holds no object"):
        read_card(tmp_path)
    with pytest.raises(PersbenchError, match=r"is not a card of persbench"):
        read_card(changed(folder, tmp_path / "foreign", format="other"))
    with pytest.raises(PersbenchError, match="is of card version 2, and this persbench reads version 1"):
        read_card(changed(folder, tmp_path / "newer", version=2))
    with pytest.raises(PersbenchError) as caught:
        read_card(changed(folder, tmp_path / "torn", persona=None, base={"name": "x", "digest": "12"}))
    assert "3 faults" in str(caught.value)
    assert "persona: " in str(caught.value)
    assert "base.digest: " in str(caught.value)
    assert "base.vocab_size: " in str(caught.value)


def test_losses_are_a_line_a_step_and_what_is_unknown_is_empty() -> None:
    history = [{"step": 1, "loss": 2.5, "learning_rate": 0.0, "entropy": 1.0}, {"step": 1, "train_runtime": 3.0}]
    text = losses_csv({"sft": history, "dpo": [{"step": 1, "loss": 0.7, "rewards/margins": 0.25}]})
    header, sft, dpo = text.splitlines()
    assert header.startswith("step,phase,loss,learning_rate,grad_norm")
    assert sft == "1,sft,2.5,0.0,,,,,,,,"
    assert dpo == "1,dpo,0.7,,,,,0.25,,,,"


def test_the_digest_is_of_weights_and_configuration(tmp_path: Path) -> None:
    first, second = chat_model(tmp_path / "a"), chat_model(tmp_path / "b")
    assert folder_digest(first) == folder_digest(str(second))
    config = json.loads((second / "config.json").read_text())
    (second / "config.json").write_text(json.dumps(config | {"transformers_version": "4.0.0"}))
    assert folder_digest(first) == folder_digest(second)  # who wrote it does not matter
    (second / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 0.5}))
    assert folder_digest(first) != folder_digest(second)
    assert folder_digest(first) != folder_digest(chat_model(tmp_path / "c", seed=1))
    with pytest.raises(PersbenchError, match=r"lacks config\.json"):
        folder_digest(tmp_path)
    (second / "model.safetensors").unlink()
    with pytest.raises(PersbenchError, match="lacks safetensors"):
        folder_digest(second)
    with pytest.raises(PersbenchError, match="neither the folder of a model nor the id of one"):
        folder_digest("nobody/nothing")
