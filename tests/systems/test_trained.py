"""Trained systems: what they are spoken to with, and that evaluation knows what each recipe trains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from persbench.errors import PersbenchError, UnknownNameError
from persbench.packs.bundled import fake_pack
from persbench.packs.load import Pack, load_pack
from persbench.systems.base import Situation
from persbench.systems.prompted import persona_sheet
from persbench.systems.registry import get_system
from persbench.systems.trained import RECIPES, Speech, Trained, adapter_folder, attach
from persbench.training.recipe import RECIPES as RECIPE_FILES
from persbench.training.recipe import load_recipe


@pytest.fixture(scope="module")
def pack() -> Pack:
    return load_pack(fake_pack())


def folder(path: Path, **told: Any) -> Path:
    path.mkdir(parents=True)
    known: dict[str, Any] = {
        "format": "persbench-adapter", "version": 1, "persona": "ada", "world": "fake", "recipe": "persllm", "seed": 0,
        "pack_hash": "0" * 64, "data_hash": "0" * 64, "speaks": {"analysis": True, "temporal": True},
        "base": {"name": "base", "digest": "0" * 64, "vocab_size": 9},
    }  # fmt: skip
    (path / "card.json").write_text(json.dumps(known | told))
    (path / "adapter_config.json").write_text("{}")
    return path


@pytest.mark.parametrize("path", sorted(RECIPE_FILES.glob("*.yaml")), ids=lambda path: path.stem)
def test_evaluation_knows_what_each_recipe_trains(path: Path) -> None:
    speaks = load_recipe(path.stem).speaks
    assert RECIPES[path.stem] == Speech(speaks.analysis, speaks.temporal)


def test_no_recipe_is_known_that_is_not_there() -> None:
    assert {path.stem for path in RECIPE_FILES.glob("*.yaml")} == set(RECIPES)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("persllm", "You are Ada. It is the spring of the year 10. <early>"),
        ("no-analysis", "You are Ada. It is the spring of the year 10. <early>"),
        ("no-temporal", "You are Ada. It is the spring of the year 10."),
        ("stylized", "You are Ada. It is the spring of the year 10."),
    ],
)
def test_a_trained_persona_sees_name_date_and_token_alone(pack: Pack, name: str, line: str) -> None:
    at = Situation(pack, pack.personas[0], pack.stage("early"))
    turns: list[Any] = [{"role": "user", "content": "Well?"}]
    line = line.replace("Ada", pack.personas[0].persona.name)
    assert get_system(name).messages(at, turns) == [{"role": "system", "content": line}, *turns]
    (system, *_) = get_system(f"{name}+profile").messages(at, turns)
    assert system["content"] == f"{persona_sheet(at)}\n\n{line}"
    assert get_system(name).messages(at, turns, less=3) == get_system(name).messages(at, turns)


def test_fingerprints_say_how_it_is_spoken_to() -> None:
    names = ["persllm", "persllm+profile", "no-analysis", "no-temporal", "stylized"]
    assert len({get_system(name).fingerprint for name in names}) == len(names)
    assert get_system("persllm").fingerprint == get_system("persllm-sft").fingerprint


def test_a_card_says_how_a_system_of_any_name_speaks(tmp_path: Path) -> None:
    path = folder(tmp_path / "ada", recipe="mine", speaks={"analysis": False, "temporal": True})
    assert get_system("mine+profile", adapter=path) == Trained("mine+profile", Speech(analysis=False, temporal=True))
    with pytest.raises(UnknownNameError, match="unknown system 'mine'"):
        get_system("mine")
    with pytest.raises(PersbenchError, match="trained by the recipe mine, and persllm is another"):
        get_system("persllm", adapter=path)
    with pytest.raises(PersbenchError, match="prompt works by prompt alone"):
        get_system("prompt", adapter=path)
    with pytest.raises(PersbenchError, match="card"):
        get_system("mine", adapter=tmp_path)


def test_a_folder_holds_an_adapter_for_each_persona_or_is_one(tmp_path: Path) -> None:
    path = folder(tmp_path / "all" / "ada")
    assert adapter_folder(tmp_path / "all", "ada") == path
    assert adapter_folder(path, "bo") == path
    assert adapter_folder(tmp_path / "all", "bo") is None
    whole = folder(tmp_path / "all" / "bo")
    (whole / "adapter_config.json").rename(whole / "config.json")
    with pytest.raises(PersbenchError, match="holds a model whose weights were all tuned"):
        adapter_folder(tmp_path / "all", "bo")
    with pytest.raises(PersbenchError, match=r"no folder .*nowhere"):
        adapter_folder(tmp_path / "nowhere", "ada")


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    path = folder(tmp_path / "ada")
    (path / "adapter_model.bin").write_bytes(b"pickle")
    with pytest.raises(PersbenchError, match=r"no adapter_model\.safetensors"):
        attach(None, path)
