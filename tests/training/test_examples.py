"""What a trainer sees: form, repeats, order, the general mix, near-duplicates, and matched budgets."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from toy_world import WordBags, toy_world, write_rows

from persbench.errors import PersbenchError
from persbench.packs.load import Pack, load_pack
from persbench.training.examples import Example, examples_of, settled
from persbench.training.recipe import Recipe, load_recipe
from persbench.training.rows import selected


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return load_pack(toy_world(tmp_path_factory.mktemp("toy") / "pack"))


def examples(pack: Pack, recipe: str | Recipe, who: str = "ada", **more: Any) -> list[Example]:
    chosen = load_recipe(recipe) if isinstance(recipe, str) else recipe
    return examples_of(pack, pack.persona(who), chosen, embedder=WordBags(), **more)


def with_data(name: str, **changes: Any) -> Recipe:
    recipe = load_recipe(name)
    return recipe.model_copy(update={"data": recipe.data.model_copy(update=changes)})


def own_of(found: list[Example]) -> list[Example]:
    return [example for example in found if not example.general]


def test_a_persona_s_example_word_for_word(pack: Pack) -> None:
    row = pack.persona("ada").train[1]
    found = next(example for example in examples(pack, "persllm") if example.id == row.id)
    assert found.row == {
        "prompt": [
            {"role": "system", "content": "You are Ada Crumb. It is the autumn of the year 20. <late>"},
            {"role": "user", "content": row.prompt},
        ],
        "completion": [{"role": "assistant", "content": f"[Analysis] {row.analysis} [Response] {row.response}"}],
    }
    assert found.origin == "personas/ada/train.jsonl:2"


def test_what_an_ablation_leaves_out(pack: Pack) -> None:
    row = pack.persona("ada").train[1]

    def one(recipe: str) -> Example:
        return next(example for example in examples(pack, recipe) if example.id == row.id)

    assert one("no-temporal").system == "You are Ada Crumb. It is the autumn of the year 20."
    assert one("no-temporal").completion.startswith("[Analysis]")
    assert one("no-analysis").system.endswith(" <late>")
    assert one("no-analysis").completion == row.response
    matched = one("stylized-matched")
    assert matched.turns[0]["content"] == row.prompt
    assert matched.completion == next(m.response for m in pack.persona("ada").matched if m.id == row.id)
    assert matched.origin == "personas/ada/matched.jsonl:2"
    patterns = {row.id: row.pattern for row in pack.persona("ada").train}
    assert {patterns[e.id] for e in own_of(examples(pack, "no-anti-induction"))} == {"question", "opinion"}
    assert not [e for e in examples(pack, "no-general") if e.general]


def test_repeats_stand_pass_after_pass_with_ordinary_dialogues_among_them(pack: Pack) -> None:
    recipe = with_data("persllm", repeat=5, general=0.5)
    found = examples(pack, recipe)
    rows = {row.id for row in pack.persona("ada").train}
    own = own_of(found)
    assert Counter(example.id for example in own) == dict.fromkeys(rows, 5)
    passes = [[e.id for e in own[i : i + len(rows)]] for i in range(0, len(own), len(rows))]
    assert all(set(one) == rows for one in passes)
    assert len({tuple(one) for one in passes}) == 5
    ordinary = [i for i, example in enumerate(found) if example.general]
    assert len(ordinary) == round(0.5 * len(own))
    quarters = Counter(i * 4 // len(found) for i in ordinary)
    assert max(quarters.values()) <= 2 * min(quarters.values())


def test_ordinary_dialogues_are_of_split_train_a_turn_each(pack: Pack) -> None:
    found = {e.id: e for e in examples(pack, with_data("persllm", general=3)) if e.general}
    trained = {row.id: row for row in pack.general if row.split == "train"}
    assert set(found) == {f"{i}/{n + 1}" for i, row in trained.items() for n in range(len(row.messages) // 2)}
    second = found["g001/2"]
    assert [m["content"] for m in second.turns] == [m.content for m in trained["g001"].messages[:3]]
    assert second.completion == trained["g001"].messages[3].content
    assert second.row["prompt"][0]["role"] == "user"
    assert second.origin == "general.jsonl:2"


def test_the_order_is_the_seed_s_and_nothing_else_s(pack: Pack) -> None:
    first = examples(pack, "persllm")
    assert first == examples(pack, "persllm") == examples(pack, "persllm", seed=0)
    other = examples(pack, "persllm", seed=1)
    assert first != other
    assert Counter(e.id for e in first) == Counter(e.id for e in other)


def test_near_duplicates_are_dropped_and_told(pack: Pack, tmp_path: Path) -> None:
    folder = toy_world(tmp_path / "pack")
    path = folder / "personas/ada/train.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    first = next(row for row in rows if row["prompt_id"] == "ada-x01")
    assert first["stage"] == "late"
    again = first | {"id": "again", "prompt_id": "again"}
    earlier = first | {"id": "earlier", "prompt_id": "earlier", "stage": "early"}
    write_rows(path, [*rows, again, earlier])
    changed = load_pack(folder)
    chosen = selected(changed, changed.persona("ada"), load_recipe("persllm"), embedder=WordBags())
    assert [(drop.id, drop.kept) for drop in chosen.dropped] == [("again", first["id"])]
    assert str(chosen.dropped[0]) == f"again: its prompt is nearly that of {first['id']} (cosine 1.00)"
    learnt = {example.id for example in examples(changed, "persllm")}
    assert "again" not in learnt
    assert "earlier" in learnt  # the same prompt at another stage is another dialogue
    assert "again" in {e.id for e in examples(changed, with_data("persllm", deduplicate=None))}


def test_stylized_rows_are_said_at_every_date_in_turns(pack: Pack) -> None:
    found = own_of(examples(pack, with_data("stylized", matched_to=None, repeat=2, general=0)))
    systems = Counter((example.id, example.system) for example in found)
    assert set(systems.values()) == {2}
    assert {system for _, system in systems} == {
        "You are Ada Crumb. It is the spring of the year 10.",
        "You are Ada Crumb. It is the autumn of the year 20.",
    }
    row = pack.persona("ada").stylized[0]
    assert {(e.turns[0]["content"], e.completion) for e in found if e.id == row.id} == {(row.instruction, row.voiced)}
    once = selected(pack, pack.persona("ada"), load_recipe("stylized"), embedder=WordBags()).examples
    assert [e.system.endswith("10.") for e in once[:4]] == [True, False, True, False]


@pytest.mark.parametrize(("name", "target"), [("stylized", "persllm-sft"), ("quick-stylized", "quick")])
def test_a_matched_recipe_has_the_steps_and_the_text_of_its_target(pack: Pack, name: str, target: str) -> None:
    recipe, aim = load_recipe(name), load_recipe(target)
    ready = settled(recipe, pack, pack.persona("ada"), embedder=WordBags())
    mine, theirs = examples(pack, ready), examples(pack, target)
    assert mine == examples(pack, recipe)
    assert ready.data.matched_to is None
    assert settled(ready, pack, pack.persona("ada"), embedder=WordBags()) == ready
    steps = math.ceil(len(theirs) / aim.sft.batch_size)
    assert len(mine) == steps * ready.sft.batch_size
    assert ready.sft.epochs == aim.sft.epochs
    assert ready.sft.batch_size % ready.sft.micro_batch == 0
    assert sum(e.general for e in mine) == sum(e.general for e in theirs)
    sizes = [sum(len(e.completion.encode()) for e in own_of(found)) for found in (mine, theirs)]
    # Half a sequence of every step is the finest that a whole batch size allows.
    assert abs(sizes[0] - sizes[1]) <= 0.51 * steps * sizes[0] / len(own_of(mine))


def test_a_matched_recipe_keeps_its_own_learning_rate(pack: Pack) -> None:
    recipe = load_recipe("stylized")
    sft = recipe.sft.model_copy(update={"learning_rate": 1.25e-4, "epochs": 7})
    ready = settled(recipe.model_copy(update={"sft": sft}), pack, pack.persona("ada"), embedder=WordBags())
    assert ready.sft.learning_rate == 1.25e-4
    assert ready.sft.epochs == load_recipe("persllm-sft").sft.epochs, "steps are matched"


def test_a_recipe_that_needs_nothing_computed_stays_itself(pack: Pack) -> None:
    recipe = load_recipe("persllm")
    assert settled(recipe, pack, pack.persona("ada")) is recipe


def test_too_little_to_train_on_is_told_with_the_file(tmp_path: Path) -> None:
    small = load_pack(toy_world(tmp_path / "small", common=2, own=3, stylized=7))
    with pytest.raises(PersbenchError, match=r"ada/train\.jsonl: 7 rows of the patterns question, opinion, induced"):
        examples(small, "persllm")
    with pytest.raises(PersbenchError, match=r"personas/bo/matched\.jsonl: 7 rows of"):
        examples(small, "stylized-matched", "bo")
    with pytest.raises(PersbenchError, match=r"stylized\.jsonl: 7 rows to train on, .* needs at least 8 distinct"):
        examples(small, with_data("stylized", matched_to=None))
    folder = toy_world(tmp_path / "pack")
    (folder / "personas/ada/matched.jsonl").unlink()
    (folder / "personas/ada/stylized.jsonl").unlink()
    (folder / "general.jsonl").unlink()
    lacking = load_pack(folder)
    with pytest.raises(PersbenchError, match=r"personas/ada/matched\.jsonl: 0 rows"):
        examples(lacking, "stylized-matched")
    with pytest.raises(PersbenchError, match=r"general\.jsonl: no dialogue of split train.*--recipe no-general"):
        examples(lacking, "persllm")
    with pytest.raises(PersbenchError, match=r"stylized\.jsonl: 0 rows"):
        examples(lacking, with_data("stylized", matched_to="no-general"))
    assert examples(lacking, "no-general")
