"""scenarios.jsonl: an optional file; whatever is wrong with it is told with its line, all at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from persbench.data.passages import passages
from persbench.packs import check_pack, fake_pack, load_pack

FILE = "scenarios.jsonl"


def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (fake_pack() / FILE).read_text().splitlines()]


def faults_with(folder: Path, *found: dict[str, Any]) -> list[str]:
    (folder / FILE).write_text("".join(json.dumps(row) + "\n" for row in found))
    return [str(fault) for fault in check_pack(folder)]


def test_the_fake_packs_scenarios_are_loaded_in_order_with_their_places() -> None:
    pack = load_pack(fake_pack())
    assert [(s.id, s.kind, s.a.persona, s.b.persona) for s in pack.scenarios] == [
        ("op01", "opposed", "ada", "bo"),
        ("co01", "cooperative", "bo", "ada"),
    ]
    assert str(pack.where(pack.scenarios[1])) == "scenarios.jsonl:2"
    assert pack.has("scenarios")


def test_a_pack_may_have_no_scenarios_and_its_results_stay_comparable_with_them(folder: Path) -> None:
    with_them = load_pack(folder).hash
    (folder / FILE).unlink()
    without = load_pack(folder)
    assert without.scenarios == ()
    assert not without.has("scenarios")
    assert without.hash == with_them  # no score of any task hangs on them


def test_its_texts_are_test_texts_that_training_may_not_learn() -> None:
    found = [p for p in passages(load_pack(fake_pack())) if p.file == FILE]
    assert {p.split for p in found} == {"test"}
    assert {p.field for p in found} == {"setting", "aim_a", "aim_b", "opening"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": {"persona": "adda", "stage": "early"}}, 'a: unknown persona "adda" (did you mean "ada"?)'),
        ({"b": {"persona": "bo", "stage": "erly"}}, 'b: unknown stage "erly" (did you mean "early"?)'),
        ({"b": {"persona": "ada", "stage": "late"}}, 'b.persona: "ada" talks with itself'),
        ({"questions": ["q01", "q99"]}, 'unknown question "q99"'),
        ({"questions": ["q01", "q01"]}, 'questions: "q01" twice'),
        ({"questions": []}, "questions: 0 entries; expected at least 1"),
        ({"kind": "oposed"}, 'kind: unknown value "oposed" (did you mean "opposed"?)'),
        ({"setting": "In a house."}, "setting: 3 words; expected at least 12"),
        ({"aim_a": "You want it."}, "aim_a: 3 words; expected at least 6"),
        ({"opening": "Well, well."}, "opening: 2 words; expected at least 5"),
        ({"aim_b": "You want Bo to sign for the bridge before NOON."}, "aim_a and aim_b are the same text"),
        ({"opening": "Sit down\u0007, Bo, and let us talk."}, "opening: control character U+0007"),
        ({"aim": "You want."}, 'unknown key "aim"'),
        ({"opening": None}, "opening: found null"),
        ({"id": "a b"}, "id: not an id"),
    ],
)
def test_a_broken_row_is_told_with_its_line(folder: Path, change: dict[str, Any], message: str) -> None:
    first, second = rows()
    found = faults_with(folder, second, first | change)
    assert [fault for fault in found if fault.startswith(f"{FILE}:2: {message}")], found


def test_all_faults_of_all_rows_are_told_at_once(folder: Path) -> None:
    first, second = rows()
    wrong = first | {"a": {"persona": "cy", "stage": "never"}, "questions": ["q77"]}
    found = faults_with(folder, wrong, second | {"id": "op01"}, second | {"kind": "other"})
    assert [fault.split(";")[0] for fault in found] == [
        'scenarios.jsonl:1: a: unknown persona "cy"',
        'scenarios.jsonl:1: a: unknown stage "never"',
        'scenarios.jsonl:1: unknown question "q77"',
        'scenarios.jsonl:2: duplicate id "op01" (first at scenarios.jsonl:1)',
        'scenarios.jsonl:3: kind: unknown value "other"',
    ]


def test_two_scenarios_share_no_text(folder: Path) -> None:
    first, second = rows()
    found = faults_with(folder, first, second | {"setting": first["setting"].upper()})
    assert found == ["scenarios.jsonl:2: setting is the same text as one of line 1; expected a text of its own"]


def test_a_stage_that_the_persona_has_no_sheet_for(folder: Path) -> None:
    sheet = folder / "personas" / "bo" / "persona.yaml"
    text = sheet.read_text()
    sheet.write_text(text[: text.index("  late:")])
    found = [fault for fault in map(str, check_pack(folder)) if fault.startswith(FILE)]
    assert found == [
        'scenarios.jsonl:2: a: persona "bo" has no stage "late" in its persona.yaml; expected "early"',
    ]


def test_a_probe_needs_a_question_with_stances(folder: Path) -> None:
    questions = folder / "questions.jsonl"
    made = [json.loads(line) for line in questions.read_text().splitlines()]
    made[1]["stances"] = []
    questions.write_text("".join(json.dumps(row) + "\n" for row in made))
    wanted = 'scenarios.jsonl:2: question "q02" has no stances; expected a question with stances'
    assert wanted in map(str, check_pack(folder))
