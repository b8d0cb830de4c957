"""CharacterEval into a pack: answers where another context shows them, dangling ids by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_sources import MAREN, TOBIAS, charactereval, write

from persbench.errors import FaultsError, PersbenchError
from persbench.importers.form import Options
from persbench.importers.importing import Imported, import_pack

OWN_LINE = "item that ends with the role's own line: nothing to reply to"


def done(tmp_path: Path, **options: Any) -> Imported:
    return import_pack("charactereval", tmp_path / "src", tmp_path / "out", Options(**options))


@pytest.fixture
def src(tmp_path: Path) -> Path:
    return charactereval(tmp_path / "src")


def with_item(src: Path, **item: Any) -> None:
    items = json.loads((src / "test_data.jsonl").read_text("utf-8"))
    write(src / "test_data.jsonl", json.dumps([*items, item], ensure_ascii=False))


def test_answers_are_the_lines_that_other_contexts_go_on_with(src: Path, tmp_path: Path) -> None:
    found = done(tmp_path)
    told = {d.persona.name: {a.question: a.reply for a in d.answers} for d in found.pack.personas}
    assert told == {MAREN: {"11": "The river is late.", "12": "Ask the river."}, TOBIAS: {"13": "Then who pays me?"}}
    assert [q.id for q in found.pack.questions] == ["11", "12", "13", "14"]
    question = found.pack.question("13")
    assert (question.topic, question.text) == (
        "The Ferry",
        f"{TOBIAS}：Is the ferry late?\n{MAREN}：The river is late.",
    )
    assert found.pack.world.language == "zh"


def test_speech_holds_no_answer(src: Path, tmp_path: Path) -> None:
    found = done(tmp_path)
    assert [m.text for m in found.pack.persona("tobias-quill").materials] == ["Is the ferry late?"]
    assert found.pack.persona("maren-voss").materials == ()


def test_profiles_are_lines_of_attributes(src: Path, tmp_path: Path) -> None:
    deep: Any = "x"
    for _ in range(500):
        deep = [deep]
    profiles = {MAREN: {"Job": "ferrywoman", "Traits": ["blunt", {"at": "dawn"}], "Deep": deep, "Age": 40, "No": None}}
    write(src / "character_profiles.json", json.dumps(profiles | {TOBIAS: {"a": ""}, "Cow": None}))
    found = done(tmp_path)
    (data,) = found.pack.personas
    assert data.persona.stages["story"].profile == "Job: ferrywoman\nTraits: blunt, at: dawn\nAge: 40"
    names = found.findings.dropped["role with an empty profile"].names
    assert sorted(names) == ["character_profiles.json Cow", f"character_profiles.json {TOBIAS}"]
    assert found.findings.dropped["item of a role without profile"].count == 2


def test_dangling_ids_are_counted_and_named(src: Path, tmp_path: Path) -> None:
    found = done(tmp_path)
    dangling = found.findings.dropped["dangling id: metrics for an item that is not there"]
    assert (dangling.count, dangling.names) == (1, ["id2metric.jsonl 99"])
    assert found.findings.noticed["item for which the source names no metric"].names == ["id2metric.jsonl 14"]
    without = found.findings.noticed["item without an answer: no other context goes on with it"]
    assert without.names == ["test_data.jsonl:20 14"]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"role": MAREN, "context": "A：x"}, "item without an id"),
        ({"id": None, "role": MAREN, "context": "A：x"}, "item without an id"),
        ({"id": 5, "role": MAREN}, "item without role or context"),
        ({"id": 5, "role": "Maren", "context": "A：x"}, "item of a role without profile"),
        ({"id": 5, "role": MAREN, "context": " \n "}, "item with an empty context"),
        ({"id": 11, "role": MAREN, "context": "A：x"}, "item: id given twice"),
        ({"id": 5, "role": MAREN, "context": f"A：x\n{MAREN}：y"}, OWN_LINE),
        ({"id": 5, "role": MAREN, "context": "A：x\u0007"}, "questions: nothing that a pack can hold"),
    ],
    ids=range(8),
)  # fmt: skip
def test_an_item_that_does_not_match_is_dropped_by_name(src: Path, tmp_path: Path, item: Any, reason: str) -> None:
    with_item(src, **item)
    found = done(tmp_path)
    assert found.findings.dropped[reason].count == 1
    assert found.findings.dropped[reason].names[0].startswith("test_data.jsonl:1")
    assert len(found.pack.questions) == 4


def test_ids_that_are_none_of_a_packs_are_kept_as_far_as_they_go(src: Path, tmp_path: Path) -> None:
    with_item(src, id="scene 5/2", role=MAREN, context="A：x", novel_name=None)
    question = done(tmp_path).pack.questions[-1]
    assert question.id.startswith("scene-5-2-")
    assert question.topic == "none"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'[{"id": 1, "role": "Maren Voss", "context": "A', "test_data.jsonl:1: the file breaks off"),
        (b"", "test_data.jsonl: empty file"),
        ("[{}]".encode("utf-16"), "test_data.jsonl:1: NUL byte"),
        (b"\x89PNG\r\n\x1a\n\0", "test_data.jsonl:1: "),
    ],
)
def test_a_file_that_is_broken_ends_the_import(src: Path, tmp_path: Path, raw: bytes, message: str) -> None:
    (src / "test_data.jsonl").write_bytes(raw)
    with pytest.raises(FaultsError) as refused:
        done(tmp_path)
    assert message in str(refused.value)
    assert len({(f.file, f.line, f.message) for f in refused.value.faults}) == len(refused.value.faults)


def test_profiles_or_items_missing(src: Path, tmp_path: Path) -> None:
    (src / "test_data.jsonl").rename(src / "one.jsonl")
    assert done(tmp_path).counts["questions"] == 4  # the only file left that may hold items
    write(src / "two.jsonl", "[]")
    with pytest.raises(PersbenchError, match="holds 2 files that may hold items"):
        import_pack("charactereval", src, tmp_path / "other")
    (src / "character_profiles.json").unlink()
    with pytest.raises(PersbenchError, match="no file of profiles"):
        import_pack("charactereval", src, tmp_path / "other")


def test_an_answer_in_other_capitals_is_no_speech_either(src: Path, tmp_path: Path) -> None:
    with_item(src, id=15, role=MAREN, novel_name="The Ferry", context=f"{MAREN}：ASK the  river.\n{TOBIAS}：Why?")
    assert done(tmp_path).pack.persona("maren-voss").materials == ()
