"""The fake pack, broken in every way we could think of: each gives a fault that names file and line, no traceback."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from persbench.packs import check_pack, fake_pack

if TYPE_CHECKING:
    from pathlib import Path

ADA = "personas/ada"


def faults_of(folder: Path) -> list[str]:
    return [str(fault) for fault in check_pack(folder)]


def edit(folder: Path, file: str, line: int, changes: dict[str, Any]) -> None:
    """Change keys of one row; a dotted key reaches into an object."""
    lines = (folder / file).read_text().splitlines()
    row = json.loads(lines[line - 1])
    for key, value in changes.items():
        *way, last = key.split(".")
        place = row
        for step in way:
            place = place[step]
        place[last] = value
    lines[line - 1] = json.dumps(row)
    (folder / file).write_text("\n".join(lines) + "\n")


def replace(folder: Path, file: str, old: str, new: str) -> None:
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))


def test_the_fake_pack_has_no_fault() -> None:
    assert check_pack(fake_pack()) == []


@pytest.mark.parametrize(
    ("file", "line", "changes", "message"),
    [
        ("answers", 3, {"stage": "erly"}, 'unknown stage "erly" (did you mean "early"?); expected one of early, late'),
        (
            "answers",
            2,
            {"question": "q77"},
            'unknown question "q77"; expected one of q01, q02, q03, q04',
        ),
        ("answers", 1, {"stance": "x"}, 'unknown stance of question "q01": "x"; expected one of a, b, c, d'),
        ("answers", 1, {"reply": ""}, "reply: empty text"),
        ("answers", 2, {"question": "q01"}, 'second row for question "q01" at stage "early" (first at line 1)'),
        ("contrast", 2, {"question": "q01"}, 'second row for question "q01" at stage "early" (first at line 1)'),
        ("contrast", 1, {"voice_only.stance": "a"}, 'voice_only.stance "a" is the own stance; expected another stance'),
        (
            "contrast",
            1,
            {"voice_only.stance": "e"},
            'unknown voice_only.stance of question "q01": "e"; expected one of',
        ),
        ("contrast", 1, {"stance_only.voice": "ada"}, 'stance_only.voice is the persona itself; expected "bo"'),
        (
            "contrast",
            1,
            {"stance_only.voice": "adda"},
            'unknown persona "adda" (did you mean "ada"?); expected one of ada, bo',
        ),
        ("contrast", 1, {"voice_only": {"stance": "b"}}, 'voice_only: missing key "reply"'),
        ("knowledge", 1, {"id": "ada-k02"}, None),
        (
            "knowledge",
            1,
            {"materials": ["ada-m99"]},
            'unknown material "ada-m99" (did you mean "ada-m04"?); expected one of ada-m01, ada-m02, ada-m03, ada-m04',
        ),
        ("knowledge", 2, {"materials": ["bo-m01"]}, 'unknown material "bo-m01"'),
        (
            "knowledge",
            1,
            {"materials": ["ada-m04"]},
            'material "ada-m04" is of stage "late", later than "early"; expected materials of the item\'s stage or b',
        ),
        ("train", 1, {"materials": ["ada-m04"]}, 'material "ada-m04" is of stage "late", later than "early"'),
        ("train", 3, {"materials": ["nope"]}, 'unknown material "nope"'),
        ("train", 2, {"prompt_id": "c01"}, 'prompt id "c01" with another prompt than at personas/ada/train.jsonl:1'),
        ("train", 1, {"pattern": "sing"}, 'pattern: unknown value "sing"; expected one of question, opinion, induced'),
        ("knowledge", 1, {"foils": ["Forty, and the gulls had them all."]}, "gold and foils[0] are the same text"),
        ("induction", 1, {"deny": "Sold? No sailor paid for a crumb of them."}, "resist and deny are the same text"),
        ("induction", 1, {"stage": "middle"}, 'unknown stage "middle"'),
        ("materials", 1, {"kind": "speach"}, 'kind: unknown value "speach" (did you mean "speech"?)'),
        ("stages", 1, {"replies": {"early": "No.", "lat": "Yes."}}, 'unknown stage "lat" (did you mean "late"?)'),
        ("stages", 1, {"replies": {"early": "No."}}, "replies: 1 entries; expected at least 2"),
    ],
)
def test_a_fault_in_a_persona_row(folder: Path, file: str, line: int, changes: dict[str, Any], message: str) -> None:
    edit(folder, f"{ADA}/{file}.jsonl", line, changes)
    if message is None:
        assert faults_of(folder) == [f'{ADA}/{file}.jsonl:2: duplicate id "ada-k02" (first at {ADA}/{file}.jsonl:1)']
    else:
        assert any(fault.startswith(f"{ADA}/{file}.jsonl:{line}: {message}") for fault in faults_of(folder))


@pytest.mark.parametrize(
    ("file", "line", "changes", "message"),
    [
        ("questions", 2, {"id": "q01"}, 'duplicate id "q01" (first at questions.jsonl:1)'),
        ("pressure", 1, {"target": "z"}, 'unknown target of question "q01": "z"; expected one of a, b, c, d'),
        ("pressure", 2, {"target": "a"}, 'second script for q01 and target "a" (first at line 1)'),
        ("pressure", 1, {"target": None, "question": "q01"}, None),
        ("pressure", 1, {"question": "q0l"}, 'unknown question "q0l" (did you mean "q0'),
        ("dialogues", 1, {"question": "Q"}, 'unknown question "Q"; expected one of q01, q02, q03, q04'),
        ("dialogues", 1, {"probes_after": [5]}, "probes_after: 5 is not within the 4 turns"),
        ("traits", 2, {"id": "o01"}, 'duplicate id "o01" (first at traits.jsonl:1)'),
        ("general", 2, {"split": "dev"}, 'split: unknown value "dev"; expected one of train, test'),
    ],
)
def test_a_fault_in_a_row_of_the_world(
    folder: Path, file: str, line: int, changes: dict[str, Any], message: str | None
) -> None:
    edit(folder, f"{file}.jsonl", line, changes)
    if message is None:
        assert faults_of(folder) == ["pressure.jsonl:3: second script for q01 and the neutral one (first at line 1)"]
    else:
        assert any(fault.startswith(f"{file}.jsonl:{line}: {message}") for fault in faults_of(folder))


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("world.yaml", "year: 20,", "year: 10,", "world.yaml:11: stages out of order: year 10 after 10; expected the"),
        ("world.yaml", '"<late>"', '"<early>"', 'world.yaml:11: duplicate temporal label "<early>"'),
        ("world.yaml", "id: late", "id: early", 'world.yaml:11: duplicate stage "early"'),
        ("world.yaml", 'version: "1"', "version: 1", "world.yaml:3: version: found 1; expected text (in quotes)"),
        ("world.yaml", "name:", "nam:", 'world.yaml:2: unknown key "nam" (did you mean "name"?); expected one of id,'),
        (
            "world.yaml",
            "name:",
            "  name:",
            "world.yaml:2: broken YAML at column 7: mapping values are not allowed here",
        ),
        ("world.yaml", "fake\n", "&x fake\nname: *x\n", "world.yaml:2: broken YAML at column 7: an alias (*name):"),
        ("world.yaml", "name:", "id: x\nname:", 'world.yaml:2: key "id" twice; expected each key once'),
        ("world.yaml", "id: fake", "id: !!python/name:os.system x", "world.yaml:1: broken YAML at column 5: could not"),
        ("world.yaml", "id: fake", "id: !!int x", "world.yaml: broken YAML: ValueError"),
        ("world.yaml", "id: fake", "id: " + "[" * 5000, "world.yaml:1: broken YAML at column 44: nested more than 40"),
        ("world.yaml", "id: fake", "id: fa\x07ke", "world.yaml:1: broken YAML: character U+0007 is not allowed"),
        (
            "world.yaml",
            "year: 20,",
            "year: 0x" + "f" * 9000 + ",",
            "world.yaml:11: stages[1].year: found a huge number",
        ),
        (f"{ADA}/persona.yaml", "id: ada", "id: eve", f'{ADA}/persona.yaml:1: id "eve" in folder "ada"; expected the'),
        (
            f"{ADA}/persona.yaml",
            "      bo:",
            "      bob:",
            f'{ADA}/persona.yaml:13: unknown persona "bob" (did you mean',
        ),
        (f"{ADA}/persona.yaml", "      bo:", "      ada:", f"{ADA}/persona.yaml:13: a relation to oneself; expected"),
        (
            f"{ADA}/persona.yaml",
            "  late:",
            "  lat:",
            f'{ADA}/persona.yaml:22: unknown stage "lat" (did you mean "late"?)',
        ),
        (f"{ADA}/persona.yaml", "age: 20", "age: -1", f"{ADA}/persona.yaml:6: stages.early.age: found -1; expected"),
        (
            f"{ADA}/persona.yaml",
            "score: 3.0",
            "score: 7",
            f"{ADA}/persona.yaml:15: stages.early.traits.O.score: found 7",
        ),
        (
            f"{ADA}/persona.yaml",
            "minor: false",
            "minor: perhaps",
            f'{ADA}/persona.yaml:3: minor: found "perhaps"; expected',
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_fault_in_yaml_names_its_line(folder: Path, file: str, old: str, new: str, expected: str) -> None:
    replace(folder, file, old, new)
    assert any(fault.startswith(expected) for fault in faults_of(folder)), faults_of(folder)


def test_a_persona_may_lack_a_stage_that_its_rows_do_not_use(folder: Path) -> None:
    file = folder / ADA / "persona.yaml"
    file.write_text(file.read_text().split("  late:")[0])
    faults = faults_of(folder)
    assert f'{ADA}/answers.jsonl:5: persona "ada" has no stage "late" in its persona.yaml; expected "early"' in faults
    for rows in [folder / "scenarios.jsonl", *(folder / ADA).glob("*.jsonl")]:
        kept = [line for line in rows.read_text().splitlines(keepends=True) if '"late"' not in line]
        rows.write_text("".join(kept))
        if rows.stat().st_size == 0:
            rows.unlink()
    assert faults_of(folder) == []


def test_a_contrast_row_needs_the_own_answer(folder: Path) -> None:
    replace(folder, f"{ADA}/answers.jsonl", (folder / ADA / "answers.jsonl").read_text().splitlines()[1] + "\n", "")
    assert faults_of(folder) == [
        f'{ADA}/contrast.jsonl:2: no own answer to "q02" at stage "early"; expected a row for it in {ADA}/answers.jsonl'
    ]


def test_an_id_stands_once_over_all_personas(folder: Path) -> None:
    edit(folder, "personas/bo/stylized.jsonl", 1, {"id": "ada-y01"})
    assert faults_of(folder) == [
        f'personas/bo/stylized.jsonl:1: duplicate id "ada-y01" (first at {ADA}/stylized.jsonl:1)'
    ]


def test_one_broken_question_is_one_fault(folder: Path) -> None:
    """What refers to a row that is there but broken is not dangling: the writer gets one message, not forty."""
    edit(folder, "questions.jsonl", 1, {"topic": ""})
    edit(folder, f"{ADA}/answers.jsonl", 1, {"reply": ""})
    assert faults_of(folder) == [f"{ADA}/answers.jsonl:1: reply: empty text", "questions.jsonl:1: topic: empty text"]
    replace(folder, "questions.jsonl", "{", "")
    replace(folder, f"{ADA}/materials.jsonl", "{", "")
    assert [fault.split(" at column")[0] for fault in faults_of(folder)] == [
        f"{ADA}/answers.jsonl:1: reply: empty text",
        f"{ADA}/materials.jsonl:1: broken JSON",
        "questions.jsonl:1: broken JSON",
    ]


def test_faults_of_several_files_come_in_one_go(folder: Path) -> None:
    (folder / "world.yaml").unlink()
    (folder / "personas" / "bo" / "persona.yaml").unlink()
    edit(folder, f"{ADA}/answers.jsonl", 8, {"stance": "x"})
    replace(folder, "traits.jsonl", '"domain": "O"', '"domain": "O",,')
    (folder / "general.jsonl").write_bytes('{}\n{"id": "caf\xe9"}\n'.encode("latin-1"))
    found = faults_of(folder)
    for start in (
        "world.yaml: missing file",
        "personas/bo/persona.yaml: missing file",
        f'{ADA}/answers.jsonl:8: unknown stance of question "q04": "x"',
        "traits.jsonl:1: broken JSON at column 29: Expecting property name",
        'general.jsonl:1: missing key "id"',
        "general.jsonl:2: not UTF-8 (byte 0xe9 at position 12)",
    ):
        assert any(fault.startswith(start) for fault in found), (start, found)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "ada-t009"}, 'unknown training row "ada-t009" (did you mean "ada-t0'),
        ({"id": "bo-t001"}, 'unknown training row "bo-t001"'),
        ({"id": "ada-t003"}, None),
        ({"response": " loud, every time. I sell sixty by EIGHT when they shout."}, 'the response of "ada-t001" in'),
    ],
)
def test_a_matched_row_answers_a_training_row_of_its_own(folder: Path, changes: dict[str, str], message: str) -> None:
    edit(folder, f"{ADA}/matched.jsonl", 1, changes)
    if message is None:
        assert faults_of(folder) == [f'{ADA}/matched.jsonl:2: second row for "ada-t003" (first at line 1)']
    else:
        assert any(fault.startswith(f"{ADA}/matched.jsonl:1: {message}") for fault in faults_of(folder))


def test_matched_rows_without_training_rows(folder: Path) -> None:
    (folder / ADA / "train.jsonl").unlink()
    assert faults_of(folder) == [
        f'{ADA}/matched.jsonl:{line}: unknown training row "{name}": there is no {ADA}/train.jsonl'
        for line, name in ((1, "ada-t001"), (2, "ada-t003"))
    ]
    (folder / ADA / "matched.jsonl").unlink()
    assert faults_of(folder) == []


def test_a_question_may_have_no_stances_and_then_nobody_takes_one(folder: Path) -> None:
    edit(folder, "questions.jsonl", 2, {"stances": []})
    found = faults_of(folder)
    assert f'{ADA}/answers.jsonl:2: stance "b" of question "q02", which has no stances' in found
    for persona in ("ada", "bo"):
        path = folder / "personas" / persona / "answers.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            if row["question"] == "q02":
                del row["stance"]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        contrast = folder / "personas" / persona / "contrast.jsonl"
        contrast.write_text("".join(x for x in contrast.read_text().splitlines(keepends=True) if '"q02"' not in x))
    (folder / "scenarios.jsonl").unlink()
    assert faults_of(folder) == []
    edit(folder, "dialogues.jsonl", 1, {"question": "q02"})
    edit(folder, "pressure.jsonl", 3, {"question": "q02", "target": None})
    for file in ("dialogues.jsonl:1", "pressure.jsonl:3"):
        assert f'{file}: question "q02" has no stances; expected a question with stances' in faults_of(folder)


def test_an_answer_needs_a_stance_where_the_question_has_some(folder: Path) -> None:
    edit(folder, f"{ADA}/answers.jsonl", 1, {"stance": None})
    assert f'{ADA}/answers.jsonl:1: missing key "stance"; expected one of a, b, c, d' in faults_of(folder)
