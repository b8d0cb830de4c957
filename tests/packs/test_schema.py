"""Loading the fake pack, its look-ups and hash; which row is refused with which words."""

from __future__ import annotations

import pickle
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from persbench.errors import Fault, FaultsError, PersbenchError, UnknownNameError
from persbench.packs import bundled, bundled_pack, check_pack, fake_pack, load_pack, resolve_pack
from persbench.packs.complaints import validated
from persbench.packs.schema import (
    CrossTurnScript,
    GeneralDialogue,
    Induction,
    Knowledge,
    Material,
    PressureScript,
    Question,
    StageItem,
    Stylized,
    TraitStatement,
    TraitTarget,
)

if TYPE_CHECKING:
    from pathlib import Path

    from persbench.packs.texts import PackModel

MATERIAL = {"id": "m1", "stage": "early", "kind": "speech", "text": "Hm."}
STANCES = [{"id": "a", "text": "Yes."}, {"id": "b", "text": "No."}]
QUESTION = {"id": "q1", "topic": "t", "text": "Why?", "paraphrases": [], "stances": STANCES}
KNOWLEDGE = {"id": "k1", "stage": "early", "question": "Who?", "gold": "I.", "foils": ["You."], "materials": ["m1"]}
SCRIPT = {"id": "d1", "question": "q1", "turns": ["One.", "Two."], "probes_after": [1, 2]}
STATEMENT = {"id": "o1", "domain": "O", "facet": "f", "keyed": 1, "text": "I see.", "paraphrase": "I look."}


def complaints(model: type[PackModel], row: object) -> list[str]:
    faults: list[Fault] = []
    validated(model, row, "f", faults, lambda _: 7)
    return [str(fault) for fault in faults]


def test_the_fake_pack_loads_and_exercises_every_file() -> None:
    pack = load_pack(fake_pack())
    assert [p.persona.id for p in pack.personas] == ["ada", "bo"]
    assert [s.id for s in pack.world.stages] == ["early", "late"]
    stems = ["questions", "dialogues", "pressure", "traits", "general", "materials", "answers", "contrast"]
    assert all(pack.has(stem) for stem in [*stems, "knowledge", "induction", "stages", "train", "matched", "stylized"])
    for data in pack.personas:
        assert len(data.answers) == len(pack.questions) * 2
        for stage in ("early", "late"):
            assert sum(row.stage == stage for row in data.contrast) == 3
            assert sum(row.stage == stage for row in data.knowledge) == 3


def test_look_ups() -> None:
    pack = load_pack(str(fake_pack()))
    ada = pack.persona("ada")
    answer = ada.answer("q01", "late")
    assert answer is not None
    assert answer.stance == "c"
    assert ada.answer("q99", "late") is None
    assert ada.material("ada-m02").kind == "knowledge"
    assert pack.question("q02").stance("b").text.startswith("I think fog is a danger")
    assert pack.stage("late").temporal_label == "<late>"
    assert ada.induction[0].yield_ == "Cheaply! The sailors took them for a penny."
    assert str(pack.where(answer)) == "personas/ada/answers.jsonl:5"
    assert str(pickle.loads(pickle.dumps(pack)).world) == str(pack.world)
    with pytest.raises(UnknownNameError, match=r"unknown persona 'adda'\. Did you mean 'ada'\? Known: ada, bo\."):
        pack.persona("adda")
    for look_up in (pack.question, pack.stage, pack.has, ada.material, pack.question("q02").stance):
        with pytest.raises(UnknownNameError):
            look_up("nothing like it")
    with pytest.raises(PersbenchError, match="this Answer is not a row of the pack 'fake'"):
        pack.where(answer.model_copy())


def test_a_loaded_row_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        load_pack(fake_pack()).questions[0].text = "Other"  # type: ignore[misc]


def test_optional_files_may_be_absent(folder: Path) -> None:
    for file in [*folder.glob("*.jsonl"), *folder.glob("personas/*/*.jsonl")]:
        file.unlink()
    shutil.rmtree(folder / "personas" / "bo")
    text = (folder / "personas" / "ada" / "persona.yaml").read_text().replace("relations:\n      bo:", "voice_of:\n#")
    (folder / "personas" / "ada" / "persona.yaml").write_text(text.replace("    voice_of:\n", ""))
    pack = load_pack(folder)
    assert pack.questions == ()
    assert pack.persona("ada").answers == ()
    assert not pack.has("answers")


def test_hash_depends_on_data_files_alone(folder: Path) -> None:
    before = load_pack(folder).hash
    assert before == load_pack(fake_pack()).hash
    assert len(before) == 64
    (folder / "BIBLE.md").write_text("Notes.")
    (folder / ".hidden.jsonl").write_text("Not read.")
    (folder / "personas" / "README.txt").write_text("Notes.")
    assert load_pack(folder).hash == before
    with (folder / "personas" / "bo" / "stylized.jsonl").open("a") as file:
        file.write('{"id": "bo-y02", "instruction": "Say hello.", "plain": "Hello.", "voiced": "Well now, hello."}\n')
    assert load_pack(folder).hash != before


def test_load_pack_raises_with_all_faults(folder: Path) -> None:
    (folder / "world.yaml").unlink()
    (folder / "traits.jsonl").write_text("{}\n")
    with pytest.raises(FaultsError) as caught:
        load_pack(folder)
    assert list(caught.value.faults) == check_pack(folder)
    assert "world.yaml: missing file" in str(caught.value)
    assert 'traits.jsonl:1: missing key "domain"' in str(caught.value)


def test_resolve_pack(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled, "_PACKAGE", tmp_path / "persbench")
    home = tmp_path / "persbench" / "_bundled" / "reference_personas"
    shutil.copytree(folder, home / "harbour")
    assert resolve_pack(None) == home / "harbour"
    assert resolve_pack("harbour") == bundled_pack("harbour") == home / "harbour"
    assert resolve_pack(str(folder)) == folder
    with pytest.raises(PersbenchError) as caught:
        resolve_pack("harbor")
    assert str(caught.value) == (
        "no pack 'harbor': it is not a folder here, and unknown bundled world 'harbor'. Did you mean 'harbour'? "
        "Known: harbour. Give the path of a folder with world.yaml in it, or a bundled world's name."
    )
    for impossible in ("", "\0", "x" * 100_000):
        with pytest.raises(PersbenchError):
            resolve_pack(impossible)
    # In a source checkout the worlds stand beside the package.
    shutil.copytree(folder, tmp_path / "reference_personas" / "beside")
    assert "beside" not in bundled.bundled_worlds()
    (tmp_path / "pyproject.toml").touch()
    assert bundled_pack("beside") == tmp_path / "reference_personas" / "beside"
    with pytest.raises(UnknownNameError, match="grettow"):
        bundled_pack()


@pytest.mark.parametrize(
    ("model", "row", "expected"),
    [
        (Material, MATERIAL | {"text": " \n"}, ["f:7: text: empty text"]),
        (Material, MATERIAL | {"text": "a\u0007b"}, ["f:7: text: control character U+0007 at character 2"]),
        (Material, MATERIAL | {"text": 5}, ["f:7: text: found 5; expected text (in quotes)"]),
        (Material, MATERIAL | {"text": None}, ["f:7: text: found null; expected text (in quotes)"]),
        (
            Material,
            MATERIAL | {"kind": "xx"},
            ['f:7: kind: unknown value "xx"; expected one of experience, knowledge, speech'],
        ),
        (
            Material,
            MATERIAL | {"texts": "a"},
            ['f:7: unknown key "texts" (did you mean "text"?); expected one of id, stage, kind, text'],
        ),
        (Material, {k: v for k, v in MATERIAL.items() if k != "stage"}, ['f:7: missing key "stage"']),
        (
            Material,
            MATERIAL | {"id": "../x"},
            ["f:7: id: not an id: letters, digits, '.', '_' and '-', at most 64, the first a letter or digit"],
        ),
        (Material, ["no"], ["f:7: found a list; expected a mapping of names to values"]),
        (Question, QUESTION | {"topic": "a\nb"}, ["f:7: topic: a line break or tab in a text of one line"]),
        (
            Question,
            QUESTION | {"stances": STANCES[:1]},
            ["f:7: stances: 1 entries; expected at least 2, or none at all"],
        ),
        (Question, QUESTION | {"stances": [{"id": "a"}, 3]}, None),
        (Question, QUESTION | {"stances": [STANCES[0], {"id": "a", "text": "x"}]}, ['f:7: stance id "a" twice']),
        (Question, QUESTION | {"paraphrases": ["why? "]}, ["f:7: text and paraphrases[0] are the same text"]),
        (CrossTurnScript, SCRIPT | {"probes_after": [1, 3]}, ["f:7: probes_after: 3 is not within the 2 turns"]),
        (CrossTurnScript, SCRIPT | {"probes_after": [2, 1]}, ["f:7: probes_after: must increase"]),
        (CrossTurnScript, SCRIPT | {"probes_after": [True]}, None),
        (CrossTurnScript, SCRIPT | {"turns": []}, ["f:7: turns: 0 entries; expected at least 1"]),
        (PressureScript, {"id": "p", "question": "q1", "turns": ["x"]}, ['f:7: missing key "target"']),
        (TraitStatement, STATEMENT | {"keyed": 0}, ["f:7: keyed: found 0; expected 1 or -1"]),
        (TraitTarget, {"score": 9, "reason": "r"}, ["f:7: score: found 9; expected less than or equal to 5"]),
        (Knowledge, KNOWLEDGE | {"foils": ["You.", "i."]}, ["f:7: gold and foils[1] are the same text"]),
        (Knowledge, KNOWLEDGE | {"foils": ["You.", "You."]}, ["f:7: foils[0] and foils[1] are the same text"]),
        (Knowledge, KNOWLEDGE | {"foils": ["{a}", "{a}"]}, ["f:7: foils[0] and foils[1] are the same text"]),
        (
            StageItem,
            {"id": "s", "kind": "change", "question": "?", "replies": {"early": "x", "late": "X"}},
            ["f:7: replies.early and replies.late are the same text"],
        ),
        (
            Stylized,
            {"id": "y", "instruction": "x", "plain": "a", "voiced": "A"},
            ["f:7: plain and voiced are the same text"],
        ),
        (
            GeneralDialogue,
            {"id": "g", "split": "test", "messages": [{"role": "user", "content": "Hi."}]},
            ["f:7: messages: user and assistant must alternate, after at most one system message"],
        ),
        (Induction, {"id": "i", "yield": 3}, None),
    ],
)
def test_what_a_row_is_refused_for(model: type[PackModel], row: Any, expected: list[str] | None) -> None:
    found = complaints(model, row)
    assert found if expected is None else found == expected


def test_every_error_of_a_row_is_told() -> None:
    assert complaints(Question, QUESTION | {"stances": [{"id": "a"}, 3]}) == [
        'f:7: stances[0]: missing key "text"',
        "f:7: stances[1]: found 3; expected a mapping of names to values",
    ]


def test_texts_are_stripped() -> None:
    assert Material.model_validate(MATERIAL | {"text": "  Hm.\n"}).text == "Hm."
