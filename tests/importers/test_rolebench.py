"""RoleBench into a pack: golden rows, splits kept apart, and every row that matches nothing by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_sources import MAREN, TOBIAS, rolebench, rolebench_row, write, write_lines

from persbench.errors import FaultsError, PersbenchError
from persbench.importers.form import Options
from persbench.importers.importing import Imported, import_pack

TEST = "rolebench-eng/instruction-generalization/general/test.jsonl"
SPECIFIC = "rolebench-eng/instruction-generalization/role_specific"


def done(tmp_path: Path, **options: Any) -> Imported:
    return import_pack("rolebench", tmp_path / "src", tmp_path / "out", Options(**options))


def names(groups: Any) -> dict[str, list[str]]:
    return {reason: group.names for reason, group in groups.items()}


@pytest.fixture
def src(tmp_path: Path) -> Path:
    return rolebench(tmp_path / "src")


def test_roles_questions_and_first_replies(src: Path, tmp_path: Path) -> None:
    found = done(tmp_path)
    pack = found.pack
    assert (pack.world.licence, pack.world.language, len(pack.world.stages)) == ("Apache 2.0", "en", 1)
    told = {
        data.persona.name: [(pack.question(a.question).text, a.reply) for a in data.answers] for data in pack.personas
    }
    assert told == {
        MAREN: [
            ("How is bread made?", "Ask Tobias. Flour, water, noise at night."),
            ("Maren, who lost the landing stage?", "The flood did, and I fetched it."),
        ],
        TOBIAS: [("How is bread made?", "Patience first, then flour, and never hurry the sponge.")],
    }
    assert [q.topic for q in pack.questions] == ["general", "script_based"]
    sheet = pack.persona("maren-voss").persona.stages["story"]
    assert (sheet.profile, sheet.voice, sheet.age) == ("Ferrywoman, forty, blunt.", None, None)
    assert found.tasks == ("persbench_reply", "persbench_distinction", "persbench_who_said")


def test_the_training_split_is_speech_where_it_is_the_roles_own(src: Path, tmp_path: Path) -> None:
    found = done(tmp_path)
    assert [(m.kind, m.text) for m in found.pack.persona("tobias-quill").materials] == [
        ("speech", "At one, with the owls.")
    ]
    assert found.pack.persona("tobias-quill").train == ()
    reason = "training row on a general instruction: no plain answer beside it"
    assert found.findings.dropped[reason].count == 1
    assert set(found.findings.aside) == {
        "README.md",
        "instructions-eng/nums.jsonl",
        "rolebench-eng/instruction-generalization/general/rolegpt_baseline.jsonl",
    } - {"README.md"}


def test_overlapping_settings_neither_double_nor_leak(src: Path, tmp_path: Path) -> None:
    other = src / "rolebench-eng" / "role-generalization"
    bread = rolebench_row(TOBIAS, "How is bread made?", "Patience first, then flour, and never hurry the sponge.")
    write_lines(other / "general" / "test.jsonl", [bread])
    test = rolebench_row(MAREN, "Maren, who lost the landing stage?", "The flood did, and I fetched it.")
    same_question = rolebench_row(MAREN, "Maren, who lost the landing stage?", "Not I, sir.")
    write_lines(other / "role_specific" / "train.jsonl", [test, same_question])
    found = done(tmp_path)
    dropped = names(found.findings.dropped)
    assert len(dropped["the same row again (settings of the data set overlap)"]) == 1
    assert len(dropped["training row that stands in the test split too"]) == 2
    assert found.pack.persona("maren-voss").materials == ()
    assert len(found.pack.persona("tobias-quill").answers) == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (rolebench_row("Maren Vos", "Why?", "So."), "row of a role without profile"),
        (rolebench_row(MAREN, "  ", "So."), "empty question"),
        (rolebench_row(MAREN, "Why?"), "no reply, or an empty one"),
        (rolebench_row(MAREN, "Why?", "", " \n"), "no reply, or an empty one"),
        ({"role": MAREN, "question": "Why?", "generated": "So."}, "row without role, question or a list of replies"),
        ({"question": "Why?", "generated": ["So."]}, "row without role, question or a list of replies"),
        (rolebench_row(MAREN, "How is bread made?", "Otherwise."), "second answer of a persona to a question"),
        (rolebench_row(MAREN, "Bell\u0007?", "So."), "questions: nothing that a pack can hold"),
        (rolebench_row(MAREN, "Why?", "Bell\u0000."), "answers: nothing that a pack can hold"),
    ],
    ids=range(9),
)
def test_a_row_that_does_not_match_is_dropped_by_name(src: Path, tmp_path: Path, row: Any, reason: str) -> None:
    with (src / TEST).open("a") as file:
        file.write(json.dumps(row) + "\n")
    found = done(tmp_path)
    group = found.findings.dropped[reason]
    assert group.count == 1
    assert group.names[0].startswith(f"{TEST}:3")
    assert len(found.pack.persona("maren-voss").answers) == 2
    if reason == "row of a role without profile":
        assert 'did you mean "Maren Voss"?' in group.names[0]


def test_an_empty_reply_before_a_sound_one_is_passed_over(src: Path, tmp_path: Path) -> None:
    write_lines(src / TEST, [rolebench_row(MAREN, "Why?", " ", "So.")])
    assert done(tmp_path).pack.persona("maren-voss").answers[0].reply == "So."


def test_a_role_with_no_text_for_a_profile_is_named_and_its_rows_with_it(src: Path, tmp_path: Path) -> None:
    write(src / "profiles-eng" / "desc.json", json.dumps({MAREN: "Blunt.", TOBIAS: "", "Cow": ["moo"], "N\0": "x"}))
    found = done(tmp_path)
    assert [data.persona.id for data in found.pack.personas] == ["maren-voss"]
    dropped = names(found.findings.dropped)
    reason = "role with an empty profile, or with none that is a text"
    assert dropped[reason] == [f"profiles-eng/desc.json {TOBIAS}", "profiles-eng/desc.json Cow"]
    assert "control character" in dropped["persona: nothing that a pack can hold"][0]
    assert len(dropped["row of a role without profile"]) == 3


def test_one_language_of_two_must_be_chosen(src: Path, tmp_path: Path) -> None:
    write(src / "profiles-zh" / "desc.json", json.dumps({"摆渡人": "说话很直。"}))
    write_lines(
        src / "rolebench-zh" / "general" / "test.jsonl", [rolebench_row("摆渡人", "面包怎么做?", "去问面包师。")]
    )
    with pytest.raises(PersbenchError, match="choose --language en or --language zh"):
        done(tmp_path)
    found = done(tmp_path, language="zh")
    (data,) = found.pack.personas
    assert (data.persona.name, found.pack.world.language, data.answers[0].reply) == ("摆渡人", "zh", "去问面包师。")
    assert data.persona.id.startswith("persona-")
    assert found.findings.aside[TEST] == "another language"


def test_profiles_by_option_and_a_file_alone(src: Path, tmp_path: Path) -> None:
    options = {"profiles": src / "profiles-eng" / "desc.json", "accept_licence": "Apache-2.0"}
    found = import_pack("rolebench", src / TEST, tmp_path / "out", Options(**options))  # type: ignore[arg-type]
    assert (found.counts["personas"], found.counts["answers"]) == (2, 2)
    with pytest.raises(PersbenchError, match=r"holds no desc\.json: name the JSON object"):
        import_pack("rolebench", src / TEST, tmp_path / "other", Options("Apache-2.0"))


@pytest.mark.parametrize(
    ("file", "raw", "message"),
    [
        ("profiles-eng/desc.json", b'{"Maren Voss": "Blunt."', "profiles-eng/desc.json:1: broken JSON"),
        ("profiles-eng/desc.json", b"", "profiles-eng/desc.json: empty file"),
        ("profiles-eng/desc.json", b'["Maren Voss"]', "profiles-eng/desc.json: not an object but a list"),
        (TEST, b'{"role": "Maren Voss", "question"', f"{TEST}:1: broken JSON"),
        (TEST, "{}".encode("utf-16"), f"{TEST}:1: NUL byte"),
        (f"{SPECIFIC}/train.jsonl", b'{"role": "\xe9"}', f"{SPECIFIC}/train.jsonl:1: not UTF-8"),
    ],
    ids=range(6),
)
def test_a_file_that_is_broken_ends_the_import(src: Path, tmp_path: Path, file: str, raw: bytes, message: str) -> None:
    (src / file).write_bytes(raw)
    with pytest.raises(FaultsError) as refused:
        done(tmp_path)
    assert message in str(refused.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("gold", ["The flood did, and I fetched it. ", "the flood did,  and I\nfetched it."])
def test_no_answer_is_material_whatever_its_blanks_and_capitals(gold: str, src: Path, tmp_path: Path) -> None:
    """`rag` prompts with material: a gold answer there would be handed to it."""
    write_lines(src / SPECIFIC / "train.jsonl", [rolebench_row(MAREN, "Who was it?", gold, type="script_based")])
    found = done(tmp_path)
    assert found.pack.persona("maren-voss").materials == ()
    assert "training row that stands in the test split too" in found.findings.dropped
