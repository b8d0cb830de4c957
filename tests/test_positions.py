"""Pairs of two positions: nothing but what is held tells them apart, and the trainer prefers the one over the other."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING

import positions
import unseen
from test_retold import DEV
from toy_world import WordBags
from word_runs import runs_of_four

from persbench.data.dev_split import dev_split
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack
from persbench.scoring.sanity import NEGATIONS
from persbench.scoring.words import words
from persbench.training.preferences import preferences_of
from persbench.training.recipe import load_recipe

if TYPE_CHECKING:
    from pathlib import Path


def test_pairs_copy_nothing_and_no_side_is_longer_or_denies_more() -> None:
    pack = load_pack(resolve_pack(None))
    split = dev_split(pack)
    told = unseen.written(positions.PAIRS)
    counts: Counter[tuple[str, bool]] = Counter()
    longer, denied = 0, Counter[str]()
    for data in pack.personas:
        for row in data.train:
            if (pair := told.pop(row.id, None)) is None:
                continue
            held_out = split.holds_out(data.persona.id, row)
            assert ("prompt" in pair) is not held_out, row.id
            for one, other in combinations((row.response, pair["reply"], pair["foil"]), 2):
                assert not runs_of_four(one) & runs_of_four(other), row.id
            assert not runs_of_four(row.prompt) & runs_of_four(pair.get("prompt", "")), row.id
            assert 0.95 <= len(pair["foil"]) / len(pair["reply"]) <= 1.05, row.id
            longer += len(pair["foil"]) > len(pair["reply"])
            denied.update(
                {
                    side: sum(word in NEGATIONS or word.endswith("n't") for word in words(pair[side]))
                    for side in ("reply", "foil")
                }
            )
            counts[data.persona.id, held_out] += 1
    assert not told
    assert counts == {(persona, held): 24 if held else 72 for persona in ("nedda", "osmer") for held in (False, True)}
    assert 0.4 <= longer / counts.total() <= 0.6
    assert 0.85 <= denied["foil"] / denied["reply"] <= 1.18


def test_no_opening_stands_more_than_twice_in_a_person() -> None:
    opened: Counter[tuple[str, ...]] = Counter()
    for name, pair in unseen.written(positions.PAIRS).items():
        for side in ("reply", "foil"):
            opened[name.partition("-")[0], *words(pair[side])[:3]] += 1
    assert max(opened.values()) <= 2


def test_the_trainer_prefers_the_own_position_over_the_other_and_over_nothing_else(tmp_path: Path) -> None:
    positions.write_pairs(tmp_path / "pack")
    pack = load_pack(tmp_path / "pack")
    (tmp_path / "positions.yaml").write_text("extends: persllm\nabout: x\ndpo: {rejected: [same_voice], epochs: 3}\n")
    recipe = load_recipe(str(tmp_path / "positions.yaml"))
    told = unseen.written(positions.PAIRS)
    data = pack.persona("nedda")
    assert len(data.train) == 96 + 72
    preferences = preferences_of(pack, data, recipe, embedder=WordBags())
    assert {one.kind for one in preferences} == {"same_voice"}
    assert len(preferences) == 72
    for one in preferences:
        pair = told[one.id.partition("-pair/")[0]]
        assert one.chosen.endswith(pair["reply"])
        assert one.rejected.endswith(pair["foil"])
        assert one.turns[-1]["content"] == pair["prompt"]
    assert len(pack.persona("ivo").train) == 96


def test_the_committed_tables_follow_from_the_committed_records_and_texts() -> None:
    told = (DEV / "README.md").read_text(encoding="utf-8")
    lines = [line for line in unseen.table(DEV / "positions").splitlines() if ": all" in line]
    assert len(lines) == 4 * 2
    assert "\n".join(lines) in told
    assert unseen.apart(DEV / "positions", "positions", "positions-sft") in told
    assert positions.cue() in told


def test_a_rule_that_has_seen_words_of_one_side_alone_finds_them_again() -> None:
    learnt = [
        {"reply": f"the mill is {word}", "foil": f"the barge is {word}"} for word in ("old", "new", "wet", "dear")
    ]
    asked = [{"reply": "a mill", "foil": "a barge"}, {"reply": "a barge", "foil": "a mill"}]
    assert positions._right(learnt, asked) == [1.0, 0.0]
