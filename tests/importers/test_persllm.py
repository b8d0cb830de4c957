"""PersLLM's annotation into a pack: golden rows, and every item that does not keep to its form by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_sources import TOBIAS, UNITS, item, persllm, rows_of, thought, write, write_lines

from persbench.data.guard import Learnt, refuse_leaks
from persbench.errors import FaultsError, PersbenchError
from persbench.importers.form import Options, read_stages
from persbench.importers.importing import Imported, import_pack

MIT = Options(accept_licence="MIT")


def done(tmp_path: Path, options: Options = MIT) -> Imported:
    return import_pack("persllm", tmp_path / "src", tmp_path / "out", options)


def dropped(found: Imported) -> dict[str, list[str]]:
    return {reason: group.names for reason, group in found.findings.dropped.items()}


@pytest.fixture
def whole(tmp_path: Path) -> Imported:
    persllm(tmp_path / "src")
    return done(tmp_path, Options())


def test_materials_come_once_without_their_label_and_with_their_kind(whole: Imported) -> None:
    maren = whole.pack.persona("maren")
    assert [(m.stage, m.kind, m.text) for m in maren.materials] == [
        ("early", "knowledge", UNITS["chain"]),
        ("early", "knowledge", UNITS["toll"]),
        ("early", "speech", UNITS["talk"]),
        ("late", "knowledge", UNITS["flood"]),
    ]


def test_training_rows_keep_ids_and_find_their_materials(whole: Imported) -> None:
    maren = whole.pack.persona("maren")
    of_text = {m.id: m.text for m in maren.materials}
    rows = {row.id: row for row in maren.train}
    assert list(rows) == [
        "maren-early_thought_train-1",
        "maren-early_thought_train-2",
        "maren-late_error_train-1",
        "maren-late_error_train-2",
        "maren-7",
        "maren-x-8",
        "maren-dpo_early_thought-1",
    ]
    first = rows["maren-early_thought_train-1"]
    assert (first.pattern, first.stage) == ("opinion", "early")
    assert first.prompt == "Ropes are better than chains, a chain only rusts."
    assert first.analysis == "The user prefers ropes. Maren was taught the chain and would object."
    assert first.response == "A rope rots unseen."
    # The retrieved toll has a gap of its own, and ends in a dot beside the three of the gap.
    assert [of_text[i] for i in first.materials] == [UNITS["chain"], UNITS["toll"], UNITS["talk"]]
    late = rows["maren-late_error_train-2"]
    assert (late.pattern, late.stage, [of_text[i] for i in late.materials]) == ("induced", "late", [UNITS["chain"]])
    assert (rows["maren-x-8"].prompt, rows["maren-x-8"].stage) == ("And now?", "late")  # its label tells the stage


def test_a_prompt_given_to_two_personas_has_one_id(whole: Imported) -> None:
    (tobias,) = whole.pack.persona("tobias").train
    assert tobias.prompt_id == whole.pack.persona("maren").train[-1].prompt_id
    assert tobias.prompt == whole.pack.persona("maren").train[-1].prompt


def test_the_test_split_becomes_questions_and_answers(whole: Imported) -> None:
    pack = whole.pack
    answers = pack.persona("maren").answers
    told = [
        (pack.question(a.question).text, pack.question(a.question).topic, a.stage, a.reply, a.stance) for a in answers
    ]
    assert told == [
        ("Everybody should pay the same toll.", "opinion", "early", "Not the midwife, no.", None),
        ("The weir was built last year.", "induced", "late", "It is older than I.", None),
    ]
    assert not pack.questions[0].stances
    assert pack.persona("tobias").answers == ()


def test_what_nobody_knows_is_null_and_no_stage_is_lived_that_no_file_tells(whole: Imported) -> None:
    assert [stage.id for stage in whole.pack.world.stages] == ["early", "late"]
    assert list(whole.pack.persona("tobias").persona.stages) == ["early"]
    for sheet in whole.pack.persona("maren").persona.stages.values():
        assert (sheet.age, sheet.profile, sheet.voice) == (None, None, None)


def test_general_dialogues_keep_all_turns(whole: Imported) -> None:
    (row,) = whole.pack.general
    assert (row.id, row.split, [m.content for m in row.messages]) == (
        "g1",
        "train",
        ["Two and two?", "Four.", "And one more?", "Five."],
    )


def test_what_does_not_match_is_counted_and_named(whole: Imported) -> None:
    assert dropped(whole) == {
        "rejected reply that is no training row of any persona or stage": [
            "maren/dpo_early_thought.txt:5 dpo_early_thought-2"
        ]
    }
    noticed = {reason: group.names for reason, group in whole.findings.noticed.items()}
    assert noticed == {
        "persona without a profile: `prompt` says name and date alone": ["maren", "tobias"],
        "dialogue of several turns: the first is taken, later ones need what was said before": [
            "maren/early_ordinary_train.jsonl:2 x-8"
        ],
        "retrieved passages that are no source unit": ["maren/maren_dedup/early_thought_train.txt:2 1 pieces"],
    }
    assert whole.findings.aside == {}


def test_nothing_that_is_learnt_stands_in_the_test_split(tmp_path: Path) -> None:
    test = item(UNITS["toll"], "Who pays?", thought("All.", "All but midwives, I should think, and all of them twice."))
    write(tmp_path / "src" / "m" / "early_ordinary_test.txt", test)
    write(
        tmp_path / "src" / "m" / "early_ordinary_train.txt",
        item(UNITS["toll"], "Who pays?", thought("Some.", "Another reply to the same question."))
        + item(
            UNITS["toll"], "Tell me of tolls.", thought("x", "All but midwives, I should think, and all of them twice.")
        )
        + item(UNITS["toll"], "Tell me all.", thought("x", "All  but Midwives, I should think, and all of them TWICE."))
        + item(UNITS["toll"], "Tell me of cows.", thought("x", "Three coppers for a cow.")),
    )
    found = done(tmp_path)
    (row,) = found.pack.persona("m").train
    assert row.prompt == "Tell me of cows."
    assert len(dropped(found)["training row whose question or response stands in the test split"]) == 3
    refuse_leaks(found.pack, [Learnt(row.response, "train.jsonl:1")])


def test_an_unsplit_file_is_left_aside_where_its_split_is_there(tmp_path: Path) -> None:
    home = tmp_path / "src" / "m"
    for name in ("early_thought_QA_with_COT.txt", "m_dedup/early_thought_train.txt", "early_error_QA_with_COT.txt"):
        write(home / name, item("A unit.", f"What of {name}?", thought("a", f"Reply of {name}.")))
    found = done(tmp_path)
    assert [row.prompt for row in found.pack.persona("m").train] == [
        "What of m/early_error_QA_with_COT.txt?".replace("m/", ""),
        "What of m_dedup/early_thought_train.txt?",
    ]
    assert found.findings.aside == {"m/early_thought_QA_with_COT.txt": "its split into train and test is taken instead"}


SIX = "item that does not keep to its six lines"
SOUND = "\n[question] P?\n[Analysis] a [Response] s\no\ns\n\n"


@pytest.mark.parametrize(
    ("text", "reason", "kept"),
    [
        ("A unit.\n[question] Q?\n\n", SIX, 0),
        (f"A unit.\n[question] Q?\n[Analysis] a [Response] r\nobj\n\nNext.{SOUND}", SIX, 1),
        (f"U.\n[question] Q?{SOUND}", SIX, 0),
        ("U.\n[question] Q?\n[Analysis] a [Response] r\no\ns\nmore\n", SIX, 0),
        ("U.\n[question] Q?\nPlain reply.\no\ns\n\n", "training row without [Analysis]: train.jsonl holds one", 0),
        ("U.\n[question] Q?\n[Analysis] only thought\no\ns\n\n", "empty question or response", 0),
        ("U.\n[question]  \n[Analysis] a [Response] r\no\ns\n\n", "empty question or response", 0),
        ("U.\n[question] Q?\n[analysis] a [RESPONSE] r\no\ns", "", 1),
    ],
    ids=range(8),
)
def test_an_item_that_is_broken_is_dropped_and_the_next_one_found(
    tmp_path: Path, text: str, reason: str, kept: int
) -> None:
    write(tmp_path / "src" / "m" / "early_ordinary.txt", text)
    found = done(tmp_path)
    assert len(found.pack.persona("m").train) == kept
    assert list(dropped(found)) == ([reason] if reason else [])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"data": ["a", "b"]}, "dialogue without an id"),
        ({"id": True, "data": ["a", "b"]}, "dialogue without an id"),
        ({"id": 1, "data": "ab"}, "dialogue without a list of turns"),
        ({"id": 1, "data": ["a", 2]}, "dialogue without a list of turns"),
        ({"id": 1, "data": ["a", "b", "c"]}, "dialogue that does not end with a reply"),
        ({"id": 1, "data": []}, "dialogue that does not end with a reply"),
        ({"id": 1, "data": ["a", "  "]}, "empty question or response"),
        ({"id": 1, "data": ["a", "[Analysis] x [Response] \u0007"]}, "train: nothing that a pack can hold"),
        ({"id": 0, "data": ["q", "[Analysis] x [Response] y"]}, "the same question and response again"),
        ({"id": 0, "data": ["p", "[Analysis] x [Response] z"]}, "train: id given twice"),
    ],
    ids=range(10),
)
def test_a_dialogue_that_is_broken_is_dropped_by_name(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    sound = {"id": 0, "data": ["q", "[Analysis] x [Response] y"]}
    write_lines(tmp_path / "src" / "m" / "early_train.jsonl", [sound, row])
    found = done(tmp_path)
    assert [r.id for r in found.pack.persona("m").train] == ["m-0"]
    assert list(dropped(found)) == [reason]
    assert dropped(found)[reason][0].startswith("m/early_train.jsonl:2")
    assert "pattern that the file's name does not tell: taken as question" in found.findings.noticed


def test_a_file_alone_takes_its_name_and_profile_from_the_options(tmp_path: Path) -> None:
    file = write(tmp_path / "src" / "late_thought.txt", item("U.", "Q?", thought("a", "r")))
    profiles = write(tmp_path / "p.json", json.dumps({TOBIAS: "A baker.", "Nobody": "No one."}))
    options = Options("MIT", name=TOBIAS, profiles=profiles)
    found = import_pack("persllm", file, tmp_path / "out", options)
    (data,) = found.pack.personas
    assert (data.persona.id, data.persona.name) == ("tobias-quill", TOBIAS)
    assert data.persona.stages["late"].profile == "A baker."
    assert dropped(found) == {"profile of nobody in the annotation": ["--profiles Nobody"]}
    alone = import_pack("persllm", file, tmp_path / "plain", MIT)
    assert alone.pack.personas[0].persona.name == "src"


def test_a_label_means_the_same_stage_whichever_are_there(whole: Imported, tmp_path: Path) -> None:
    found = [(stage.id, stage.temporal_label, stage.year) for stage in whole.pack.world.stages]
    assert found == [("early", "<TIME-I>", 1), ("late", "<TIME-III>", 3)]
    write(tmp_path / "other" / "m" / "middle_thought.txt", item("U.", "Q?", thought("a", "r")))
    (stage,) = import_pack("persllm", tmp_path / "other", tmp_path / "out2", MIT).pack.world.stages
    assert stage.temporal_label == "<TIME-II>"


def test_a_label_counts_at_the_head_of_a_turn_alone(tmp_path: Path) -> None:
    stages = write(
        tmp_path / "stages.yaml",
        "- {id: young, temporal_label: <A>, year: 1907, date: the spring of 1907}\n"
        "- {id: old, temporal_label: <A>B, year: 1950, date: the winter of 1950}\n",
    )
    said = "[Analysis] a [Response] s"
    rows = [
        {"id": 1, "data": ["What does <A> mean?", said]},
        {"id": 2, "data": [" <A> Q?", said]},
        {"id": 3, "data": ["<A>B W?", said]},
        {"id": 4, "data": ["<TIME-II> V?", said]},
    ]
    write_lines(tmp_path / "src" / "m" / "old.jsonl", rows)
    write(tmp_path / "src" / "m" / "young_thought.txt", item("U.", "P?", thought("a", "r")))
    write_lines(
        tmp_path / "src" / "n" / "old.jsonl", [{"id": 5, "data": ["N?", said]}, {"id": 6, "data": ["<A> O?", said]}]
    )
    found = done(tmp_path, Options("MIT", stages=read_stages(stages)))
    assert [(row.id, row.stage, row.prompt) for row in found.pack.persona("m").train] == [
        ("m-young_thought-1", "young", "P?"),
        ("m-1", "old", "What does <A> mean?"),
        ("m-2", "young", "Q?"),
        ("m-3", "old", "W?"),
    ]
    why = "dialogue with the label of a stage that no file of its persona tells (--stages names labels)"
    assert dropped(found) == {why: ["m/old.jsonl:4 4", "n/old.jsonl:2 6"]}


@pytest.mark.parametrize(
    "text",
    ['{\n  "dataset": "persllm",\n  "files": []\n}\n', '["a", "b"]', "[]", '[{"file_name": "x.json"}]', "{", "\0", ""],
)
def test_a_json_file_without_dialogues_is_left_aside(text: str, tmp_path: Path) -> None:
    write(tmp_path / "src" / "dataset_info.json", text)
    rows = [{"id": 1, "data": ["Q?", "[Analysis] a [Response] s"]}]
    write(tmp_path / "src" / "m" / "early_train.json", json.dumps(rows, indent=2))
    found = done(tmp_path)
    assert [row.prompt for row in found.pack.persona("m").train] == ["Q?"]
    assert found.findings.aside == {"dataset_info.json": "no file of the annotation"}


def test_stages_of_the_users_own(tmp_path: Path) -> None:
    stages = write(
        tmp_path / "stages.yaml",
        "stages:\n- {id: young, temporal_label: <A>, year: 1907, date: the spring of 1907, description: dry}\n"
        "- {id: old, temporal_label: <B>, year: 1950, date: the winter of 1950}\n",
    )
    write(tmp_path / "src" / "m" / "old_thought.txt", item("U.", "Q?", thought("a", "r")))
    write(tmp_path / "src" / "m" / "undated_thought.txt", item("U.", "P?", thought("a", "r")))
    write_lines(
        tmp_path / "src" / "m" / "all.jsonl",
        [
            {"id": 1, "data": ["<A> Q?", "[Analysis] a [Response] s"]},
            {"id": 2, "data": ["W?", "[Analysis] a [Response] s"]},
        ],
    )
    found = done(tmp_path, Options("MIT", stages=read_stages(stages)))
    assert [stage.date for stage in found.pack.world.stages] == ["the spring of 1907", "the winter of 1950"]
    assert [(row.stage, row.prompt) for row in found.pack.persona("m").train] == [("old", "Q?"), ("young", "Q?")]
    assert found.findings.aside == {"m/undated_thought.txt": "its name tells none of the stages young, old"}
    assert dropped(found) == {"dialogue of no stage that its file's name or a label tells": ["m/all.jsonl:2 2"]}
    assert not found.findings.notes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty file"),
        ("stages: []\n", "no stages"),
        ("just: words\n", "no stages"),
        ("- {id: a, temporal_label: <A>, year: soon, date: x}\n", 'year: found "soon"'),
        ("- early\n", "found"),
    ],
)
def test_stages_that_are_none_are_told_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FaultsError, match=r"stages\.yaml") as refused:
        read_stages(write(tmp_path / "stages.yaml", text))
    assert message in str(refused.value)


def test_files_that_cannot_be_read_are_all_told_at_once(tmp_path: Path) -> None:
    home = tmp_path / "src" / "m"
    home.mkdir(parents=True)
    (home / "early_thought.txt").write_bytes(b"U.\n[question] caf\xe9?\n")
    (home / "late_thought.txt").write_bytes(b"")
    (home / "early_train.jsonl").write_text('{"id": 1,\n{"id": 2}\n')
    (home / "early_knowledge.txt").write_bytes(b"\x7fELF\0\0")
    with pytest.raises(FaultsError) as refused:
        done(tmp_path)
    assert {fault.file for fault in refused.value.faults} == {f"m/{path.name}" for path in home.iterdir()}
    assert not (tmp_path / "out").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["src"]


def test_a_folder_without_annotation_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "src" / "notes.txt", "Nothing of the kind.\n")
    with pytest.raises(PersbenchError, match="holds no file of PersLLM's annotation"):
        done(tmp_path)


def test_rows_are_written_as_the_source_has_them(whole: Imported) -> None:
    rows = rows_of(whole.pack.path / "personas" / "tobias" / "train.jsonl")
    assert rows == [
        {
            "id": "tobias-early_ordinary_QA_with_COT-1",
            "prompt_id": rows[0]["prompt_id"],
            "pattern": "question",
            "stage": "early",
            "prompt": "When do you get up?",
            "analysis": "At one, he bakes at two.",
            "response": "At one, like an owl.",
            "materials": [whole.pack.persona("tobias").materials[0].id],
        }
    ]
