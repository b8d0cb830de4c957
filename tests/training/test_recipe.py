"""Recipes: all that ship load, inheritance, and every fault at once with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from persbench.errors import FaultsError, PersbenchError
from persbench.training.recipe import load_recipe, recipe_names

SHIPPED = {
    "persllm", "persllm-sft", "no-analysis", "no-anti-induction", "no-temporal", "no-general", "stylized",
    "stylized-matched", "paper-minicpm", "quick", "quick-stylized",
}  # fmt: skip


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_all_recipes_load_under_their_names_and_differ() -> None:
    recipes = [load_recipe(name) for name in recipe_names()]
    assert {recipe.name for recipe in recipes} == SHIPPED
    assert len({recipe.digest for recipe in recipes}) == len(SHIPPED)
    assert len({recipe.about for recipe in recipes}) == len(SHIPPED)


@pytest.mark.parametrize(
    ("name", "differs"),
    [
        ("persllm-sft", {"dpo"}),
        ("no-analysis", {"speaks"}),
        ("no-anti-induction", {"data"}),
        ("no-temporal", {"speaks"}),
        ("no-general", {"data"}),
    ],
)
def test_an_ablation_changes_one_thing(name: str, differs: set[str]) -> None:
    whole, part = load_recipe("persllm").model_dump(), load_recipe(name).model_dump()
    assert {key for key in whole if whole[key] != part[key]} == differs | {"name", "about"}
    for group in differs - {"dpo"}:
        assert sum(whole[group][key] != part[group][key] for key in whole[group]) == 1


def test_what_each_recipe_is_for() -> None:
    assert load_recipe("persllm").dpo is not None
    assert load_recipe("persllm-sft").dpo is None
    assert not load_recipe("no-analysis").speaks.analysis
    assert not load_recipe("no-temporal").speaks.temporal
    assert load_recipe("no-anti-induction").data.patterns == ("question", "opinion")
    assert load_recipe("no-general").data.general == 0
    for name in ("stylized", "stylized-matched", "quick-stylized"):
        recipe = load_recipe(name)
        assert recipe.data.source == ("matched" if "matched" in name else "stylized")
        assert not recipe.speaks.analysis
        assert not recipe.speaks.temporal
        assert recipe.dpo is None
    assert load_recipe("stylized").data.matched_to == "persllm-sft"
    assert load_recipe("quick-stylized").data.matched_to == "quick"


def test_the_paper_s_hyper_parameters() -> None:
    """PersLLM, arXiv 2407.12393, for MiniCPM-2.4B."""
    recipe = load_recipe("paper-minicpm")
    assert recipe.full
    assert recipe.lora is None
    assert recipe.data.repeat == 5
    sft = recipe.sft
    assert (sft.epochs, sft.batch_size, sft.learning_rate, sft.warmup_steps) == (1, 16, 5e-5, 50)
    assert (sft.weight_decay, sft.max_length, sft.betas, sft.eps) == (0.1, 3000, (0.9, 0.95), 1e-5)
    assert (sft.floor, sft.clip) == (0.1, 1.0)


def test_a_recipe_of_one_s_own_merges_key_by_key(tmp_path: Path) -> None:
    mine = write(tmp_path / "mine.yaml", "extends: persllm\nsft: {learning_rate: 3e-4}\ndpo: null\n")
    recipe, base = load_recipe(mine), load_recipe("persllm")
    assert recipe.name == recipe.about == "mine"
    assert recipe.sft.learning_rate == 3e-4
    assert recipe.sft == base.sft.model_copy(update={"learning_rate": 3e-4})
    assert recipe.dpo is None
    child = load_recipe(write(tmp_path / "child.yaml", "extends: mine.yaml\nseed: 5\n"))
    assert (child.seed, child.sft) == (5, recipe.sft)


def test_the_digest_is_of_the_settings_alone(tmp_path: Path) -> None:
    same = load_recipe(write(tmp_path / "same.yaml", "extends: persllm\nabout: my own words\n"))
    other = load_recipe(write(tmp_path / "other.yaml", "extends: persllm\nseed: 1\n"))
    assert same.digest == load_recipe("persllm").digest != other.digest


def test_every_fault_at_once_with_its_line(tmp_path: Path) -> None:
    text = "extends: persllm\nspeeks: {analysis: true}\nsft:\n  learning_rate: fast\n  epoch: 3\ndpo:\n  beta: -1\n"
    with pytest.raises(FaultsError) as caught:
        load_recipe(write(tmp_path / "bad.yaml", text))
    found = [str(fault).removeprefix(f"{tmp_path}/") for fault in caught.value.faults]
    assert found[0].startswith('bad.yaml:2: unknown key "speeks" (did you mean "speaks"?)')
    assert found[1] == 'bad.yaml:4: sft.learning_rate: found "fast"; expected a number'
    assert found[2].startswith('bad.yaml:5: sft: unknown key "epoch" (did you mean "epochs"?)')
    assert found[3].startswith("bad.yaml:7: dpo.beta: found -1")
    assert len(found) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: persllm\nlora: null\n", "full and lora: one of them"),
        ("extends: persllm\nfull: true\n", "full and lora: one of them"),
        ("extends: persllm\ndata: {source: stylized}\n", "speaks.analysis: stylized dialogues have none"),
        ("extends: no-analysis\ndata: {source: matched}\n", "dpo: preferences are made of train dialogues"),
        ("extends: persllm\nsft: {batch_size: 9}\n", "micro_batch 8 does not divide batch_size 9"),
        ("extends: persllm\nsft: {learning_rate: .nan}\n", "sft.learning_rate: "),
        ("extends: persllm\nname: x\n", 'unknown key "name"; expected no name'),
        ("extends: [persllm]\n", "extends: not a name"),
        ("about: nothing else\n", 'missing key "sft"'),
        ("- 1\n", "not a mapping"),
        ("a: [\n", "broken YAML"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FaultsError) as caught:
        load_recipe(write(tmp_path / "bad.yaml", text))
    assert message in str(caught.value)


def test_unknown_names_and_circles(tmp_path: Path) -> None:
    with pytest.raises(PersbenchError, match=r"unknown recipe 'perslm'.*Did you mean 'persllm'.*path of a YAML file"):
        load_recipe("perslm")
    with pytest.raises(PersbenchError, match="unknown recipe 'gone'"):
        load_recipe(write(tmp_path / "orphan.yaml", "extends: gone\n"))
    with pytest.raises(PersbenchError, match="unknown recipe"):
        load_recipe("\0")
    write(tmp_path / "a.yaml", "extends: b.yaml\n")
    write(tmp_path / "b.yaml", "extends: a.yaml\n")
    with pytest.raises(PersbenchError, match=r"in a circle: a\.yaml -> b\.yaml -> a\.yaml"):
        load_recipe(tmp_path / "a.yaml")
