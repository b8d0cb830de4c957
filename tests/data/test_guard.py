"""The guard before training: planted leaks of every kind are named with both places, and what is clean passes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from toy_world import toy_world

from persbench.data.guard import Learnt, passages_under_test, refuse_leaks
from persbench.data.passages import passages
from persbench.errors import FaultsError
from persbench.packs.bundled import bundled_pack, fake_pack
from persbench.packs.load import Pack, load_pack


@pytest.fixture(scope="module")
def world() -> Pack:
    return load_pack(bundled_pack())


def faults(pack: Pack, *texts: str) -> list[str]:
    try:
        refuse_leaks(pack, [Learnt(text, f"personas/ada/train.jsonl:{i}") for i, text in enumerate(texts, start=1)])
    except FaultsError as error:
        return [str(fault) for fault in error.faults]
    return []


def slightly_changed(text: str) -> str:
    """Another word in the place of every sixth, so that no eight words in a row are left."""
    return " ".join("salt" if i % 6 == 5 else word for i, word in enumerate(text.split()))


def test_the_reference_world_s_training_texts_pass_in_seconds(world: Pack) -> None:
    learnt = [Learnt(p.text, f"{p.file}:{p.line}") for p in passages(world) if p.split == "train"]
    assert len(learnt) > 2000
    start = time.perf_counter()
    refuse_leaks(world, learnt)
    assert time.perf_counter() - start < 20


@pytest.mark.parametrize("who", ["nedda", "zilla"])
def test_a_planted_text_of_each_test_file_is_found(world: Pack, who: str) -> None:
    data = world.persona(who)
    sheet = data.persona.stages["early"]
    planted = {
        "answers.jsonl:2": data.answers[1].reply,
        "contrast.jsonl:1": data.contrast[0].voice_only.reply,
        "contrast.jsonl:2": data.contrast[1].stance_only.reply,
        "knowledge.jsonl:3": data.knowledge[2].gold,
        "knowledge.jsonl:4": data.knowledge[3].foils[2],
        "induction.jsonl:1": data.induction[0].resist,
        "induction.jsonl:2": data.induction[1].yield_,
        "stages.jsonl:1": data.stage_items[0].replies["late"],
        "persona.yaml:1": sheet.traits["O"].reason,
    }
    for place, text in planted.items():
        found = faults(world, "a clean text of its own", text, text.upper().replace(",", " ;"))
        assert any(
            f.startswith(f"personas/ada/train.jsonl:2: is the test text personas/{who}/{place} (") for f in found
        )
        assert any(
            f.startswith(f"personas/ada/train.jsonl:3: is the test text personas/{who}/{place} (") for f in found
        )
    assert any("early.cannot_know" in fault for fault in faults(world, sheet.cannot_know[0]))


def test_a_slightly_changed_text_is_found(world: Pack) -> None:
    replies = [answer.reply for data in world.personas for answer in data.answers]
    replies += [row.voice_only.reply for data in world.personas for row in data.contrast]
    found = {fault.split(": ")[0] for fault in faults(world, *map(slightly_changed, replies))}
    assert len(replies) > 700
    assert len(found) >= 0.99 * len(replies)


def test_a_leak_in_analysis_or_response_alone_is_found(world: Pack) -> None:
    short = min((text.text for text in passages_under_test(world) if text.field == "early.cannot_know"), key=len)
    assert faults(world, f"[Analysis] {short} [Response] Nothing of that kind, sir.")
    assert faults(world, f"[Analysis] Let me think of it. [Response] {short}")


def test_eight_words_in_a_row_are_found_and_seven_are_not(world: Pack) -> None:
    words = world.persona("ivo").answers[0].reply.split()
    own = "here stands a long enough text of entirely other matter with {} in its midst and more to come after it all"
    assert any("shares eight words in a row" in fault for fault in faults(world, own.format(" ".join(words[:8]))))
    assert not faults(world, own.format(" ".join(words[:7])))


def test_short_texts_must_be_equal(folder: Path) -> None:
    pack = load_pack(folder)
    reason = "Every coin is counted twice."
    assert pack.persona("ada").persona.stages["early"].traits["C"].reason == reason
    assert faults(pack, "every coin is counted TWICE")
    assert not faults(pack, "Every coin is mine.")


def test_toy_packs_pass(tmp_path: Path) -> None:
    for path in (fake_pack(), toy_world(tmp_path / "pack")):
        pack = load_pack(path)
        refuse_leaks(pack, [Learnt(p.text, f"{p.file}:{p.line}") for p in passages(pack) if p.split == "train"])
    refuse_leaks(pack, [])
