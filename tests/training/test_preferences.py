"""Preferences: their form, which analysis stands before a rejected response, order, limits."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from toy_world import WordBags, toy_world, write_rows

from persbench.errors import PersbenchError
from persbench.packs.load import Pack, load_pack
from persbench.training.preferences import Preference, preferences_of
from persbench.training.recipe import Recipe, load_recipe


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return load_pack(toy_world(tmp_path_factory.mktemp("toy") / "pack"))


def with_dpo(name: str = "persllm", **changes: Any) -> Recipe:
    recipe = load_recipe(name)
    assert recipe.dpo is not None
    return recipe.model_copy(update={"dpo": recipe.dpo.model_copy(update=changes)})


def preferences(pack: Pack, recipe: Recipe, **more: Any) -> list[Preference]:
    return preferences_of(pack, pack.persona("ada"), recipe, embedder=WordBags(), **more)


@pytest.mark.parametrize("whose", ["own", "theirs"])
def test_a_preference_word_for_word(pack: Pack, whose: str) -> None:
    ada, bo = pack.persona("ada"), pack.persona("bo")
    found = {each.id: each for each in preferences(pack, with_dpo(analysis_of_rejected=whose))}
    own, late, other = ada.train[0], ada.train[1], bo.train[0]
    assert own.prompt_id == late.prompt_id == other.prompt_id
    for kind, theirs, place in (
        ("other_stage", late, "ada/train.jsonl:2"),
        ("other_persona", other, "bo/train.jsonl:1"),
    ):
        each = found[f"{own.id}/{kind}"]
        thought = own.analysis if whose == "own" else theirs.analysis
        assert each.row == {
            "prompt": [
                {"role": "system", "content": "You are Ada Crumb. It is the spring of the year 10. <early>"},
                {"role": "user", "content": own.prompt},
            ],
            "chosen": [{"role": "assistant", "content": f"[Analysis] {own.analysis} [Response] {own.response}"}],
            "rejected": [{"role": "assistant", "content": f"[Analysis] {thought} [Response] {theirs.response}"}],
        }
        assert each.origins == ("personas/ada/train.jsonl:1", f"personas/{place}")


def test_without_analysis_and_without_dpo(pack: Pack) -> None:
    assert all("[Analysis]" not in each.chosen + each.rejected for each in preferences(pack, with_dpo("no-analysis")))
    assert preferences(pack, load_recipe("persllm-sft")) == []


def test_kinds_take_turns_and_a_limit_is_a_prefix(pack: Pack) -> None:
    whole = preferences(pack, with_dpo())
    assert [each.kind for each in whole[:4]] == ["other_stage", "other_persona"] * 2
    assert preferences(pack, with_dpo(pairs=7)) == whole[:7]
    other = preferences(pack, with_dpo(), seed=9)
    assert Counter(each.id for each in other) == Counter(each.id for each in whole)
    assert other != whole


def test_a_kind_without_any_pair_is_told(tmp_path: Path) -> None:
    folder = toy_world(tmp_path / "pack")
    (folder / "personas/bo/matched.jsonl").unlink()
    (folder / "personas/bo/train.jsonl").unlink()
    alone = load_pack(folder)
    with pytest.raises(PersbenchError, match=r"of kind other_persona for ada.*`rejected: \[other_stage\]`"):
        preferences(alone, with_dpo())
    assert {each.kind for each in preferences(alone, with_dpo(rejected=("other_stage",)))} == {"other_stage"}


def test_the_pairs_of_persllm_are_those_its_records_were_trained_with(pack: Pack) -> None:
    """All patterns, nothing dropped: which rows may be rejected ones makes no difference."""
    told = "\n".join(f"{each.id} {each.origins}" for each in preferences(pack, with_dpo()))
    assert hashlib.sha256(told.encode()).hexdigest()[:16] == "d93217806e5a9e4f"


def test_what_a_recipe_leaves_out_comes_back_on_no_side(tmp_path: Path) -> None:
    """An own prompt has its nearest among induced rows and among those that repeat another one."""
    folder = toy_world(tmp_path / "pack")
    ada, bo = (folder / f"personas/{who}/train.jsonl" for who in ("ada", "bo"))
    asked = next(row for row in map(json.loads, ada.read_text("utf-8").splitlines()) if row["prompt_id"] == "ada-x00")
    assert (asked["stage"], asked["pattern"]) == ("early", "question")
    rows = [json.loads(line) for line in bo.read_text("utf-8").splitlines()]
    early = [row for row in rows if row["stage"] == "early" and row["prompt_id"].startswith("bo")]
    induced = next(row for row in early if row["pattern"] == "induced")
    kept, repeated = [row for row in early if row["pattern"] == "question"][:2]
    induced["prompt"] = asked["prompt"]
    kept["prompt"] = f"{asked['prompt']} one two three"
    repeated["prompt"] = f"{asked['prompt']} one two"  # nearer to it, and dropped for `kept`
    write_rows(bo, rows)
    world = load_pack(folder)

    def rejected(recipe: Recipe) -> str:
        found = {each.id: each.origins[1] for each in preferences(world, recipe)}
        place = found[f"{asked['id']}/other_persona"]
        return str(rows[int(place.rpartition(":")[2]) - 1]["id"])

    assert rejected(with_dpo()) == induced["id"]
    assert rejected(with_dpo("no-anti-induction")) == kept["id"]


def test_the_same_voice_without_its_substance_is_a_kind_of_its_own(tmp_path: Path) -> None:
    """The row's own analysis stands before both: an answer that says nothing has none."""
    folder = toy_world(tmp_path / "pack")
    world = load_pack(folder)
    ada = world.persona("ada")
    found = preferences(world, with_dpo(rejected=("other_stage", "same_voice"), analysis_of_rejected="theirs"))
    assert [each.kind for each in found[:4]] == ["other_stage", "same_voice"] * 2
    beside = [each for each in found if each.kind == "same_voice"]
    assert len(beside) == len(ada.train) == len(ada.matched)
    rows = {row.id: (row, plain, line) for line, (row, plain) in enumerate(zip(ada.train, ada.matched, strict=True), 1)}
    for each in beside:
        own, plain, line = rows[each.id.removesuffix("/same_voice")]
        assert own.id == plain.id
        assert each.chosen == f"[Analysis] {own.analysis} [Response] {own.response}"
        assert each.rejected == f"[Analysis] {own.analysis} [Response] {plain.response}"
        assert each.origins == (f"personas/ada/train.jsonl:{line}", f"personas/ada/matched.jsonl:{line}")
    (folder / "personas/ada/matched.jsonl").unlink()
    with pytest.raises(PersbenchError, match=r"of kind same_voice for ada.*ada/matched\.jsonl.*`dpo: null`"):
        preferences(load_pack(folder), with_dpo(rejected=("same_voice",)))
