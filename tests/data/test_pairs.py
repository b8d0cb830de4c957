"""Preference pairs: common prompts first and in rotation, then nearest ones, and never a text of a test file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_world import WordBags, text, toy_world, train_rows, write_rows

from persbench.data.pairs import Pair, pairs_of
from persbench.packs.load import Pack, load_pack
from persbench.packs.pack import PersonaData
from persbench.packs.schema import TrainDialogue


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """The toy world with four more personas beside ada and bo."""
    folder = toy_world(tmp_path_factory.mktemp("toy") / "pack", common=20)
    for who in ("cy", "di", "eve", "flo"):
        home = folder / "personas" / who
        home.mkdir()
        sheet = (folder / "personas/ada/persona.yaml").read_text("utf-8").replace("id: ada", f"id: {who}")
        (home / "persona.yaml").write_text(sheet, encoding="utf-8")
        write_rows(home / "train.jsonl", train_rows(who, 20, 4))
    return load_pack(folder)


def only(own: TrainDialogue) -> Callable[[PersonaData], list[TrainDialogue]]:
    """Of the row's persona that row alone takes part, of others everything."""
    return lambda data: [own] if own in data.train else list(data.train)


def pairs(pack: Pack, who: str = "ada", **more: Any) -> list[Pair]:
    return pairs_of(pack, pack.persona(who), WordBags(), **more)


def test_a_common_prompt_is_answered_by_the_other_stage_and_by_others_of_the_same_stage(pack: Pack) -> None:
    common = [pair for pair in pairs(pack) if pair.chosen.prompt_id.startswith("c")]
    assert Counter(pair.kind for pair in common) == {"other_stage": 40, "other_persona": 40}
    for pair in common:
        assert pair.rejected.prompt_id == pair.chosen.prompt_id
        assert pair.cosine == 1
        assert (pair.persona == "ada") == (pair.kind == "other_stage")
        assert (pair.rejected.stage == pair.chosen.stage) == (pair.kind == "other_persona")


def test_other_personas_take_turns(pack: Pack) -> None:
    taken = Counter(p.persona for p in pairs(pack) if p.kind == "other_persona" and p.chosen.prompt_id.startswith("c"))
    assert set(taken.values()) == {8}
    assert set(taken) == {"bo", "cy", "di", "eve", "flo"}


def test_another_prompt_is_paired_with_the_nearest_or_with_none(tmp_path: Path) -> None:
    folder = toy_world(tmp_path / "pack")
    path = folder / "personas/bo/train.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    prompt = text("ada", "prompt", 0)
    near, nearer = "one two three four " + prompt, "one " + prompt
    for number, words in ((20, near), (22, nearer)):
        assert rows[number]["stage"] == "early"
        rows[number] |= {"prompt": words}
    write_rows(path, rows)
    world = load_pack(folder)
    own = next(row for row in world.persona("ada").train if row.prompt == prompt)
    found = pairs(world, rows=only(own), rejected=["other_persona"])
    assert [(pair.rejected.prompt, pair.persona) for pair in found] == [(nearer, "bo")]
    assert found[0].cosine == pytest.approx(9 / 90**0.5, abs=1e-4)  # nine words, and the same nine with one more
    write_rows(path, [row | {"prompt": f"far off {row['prompt_id']}"} for row in rows if row["prompt_id"][0] != "c"])
    (folder / "personas/bo/matched.jsonl").unlink()
    apart = load_pack(folder)
    lonely = next(row for row in apart.persona("ada").train if row.prompt == prompt)
    assert pairs(apart, rows=only(lonely), rejected=["other_persona"]) == []


def test_a_response_that_is_the_chosen_one_is_no_candidate(tmp_path: Path) -> None:
    folder = toy_world(tmp_path / "pack")
    path = folder / "personas/bo/train.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    own = load_pack(folder).persona("ada").train[0]
    rows[0]["response"] = own.response
    write_rows(path, rows)
    world = load_pack(folder)
    first = world.persona("ada").train[0]
    found = pairs(world, rows=only(first), rejected=["other_persona"])
    assert all(pair.rejected.response != first.response for pair in found)
    assert not [pair for pair in found if pair.rejected.id == "bo-t000"]


def test_the_same_pairs_every_time_and_from_training_files_alone(pack: Pack) -> None:
    assert pairs(pack) == pairs(pack)
    trained = {row.response for data in pack.personas for row in data.train}
    assert {pair.rejected.response for who in ("ada", "bo", "flo") for pair in pairs(pack, who)} <= trained
    assert pairs(pack, rows=lambda _: []) == []


def test_rows_that_do_not_take_part_are_nobody_s_rejected_ones(pack: Pack) -> None:
    def taking_part(data: PersonaData) -> list[TrainDialogue]:
        return [row for row in data.train if row.pattern != "induced"]

    everybody, some = pairs(pack), pairs(pack, rows=taking_part)
    assert [pair for pair in everybody if "induced" in (pair.chosen.pattern, pair.rejected.pattern)]
    assert some
    assert not [pair for pair in some if "induced" in (pair.chosen.pattern, pair.rejected.pattern)]
    assert pairs(pack, rows=lambda data: data.train) == everybody
