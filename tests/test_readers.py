"""Readers of the test items: what they are asked is what the tasks score, and their answers are counted as given."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import readers
import sheets

from persbench.errors import PersbenchError
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack

if TYPE_CHECKING:
    from persbench.packs.pack import Pack

LEADERBOARD = Path(__file__).parent.parent / "leaderboard"


@pytest.fixture(scope="module")
def pack() -> Pack:
    return load_pack(resolve_pack(None))


def right(pack: Pack, way: str = "whole-everything", name: str = "betsin") -> list[str]:
    return [
        f"{index} {sheets.LETTERS[one.right]}" for index, one in enumerate(sheets.sheets_of(pack, way)[name], start=1)
    ]


def answered(folder: Path, pack: Pack, lines: list[str], way: str = "whole-everything", name: str = "betsin") -> Path:
    file = folder / way / f"{name}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join([f"pack: {pack.hash}", *lines, ""]), encoding="utf-8")
    return file


@pytest.mark.parametrize("way", [*sheets.READINGS, *sheets.WHOLE])
def test_every_item_is_asked_once_and_no_letter_is_right_more_often(pack: Pack, way: str) -> None:
    asked = [one for found in sheets.sheets_of(pack, way).values() for one in found]
    assert len({(one.family, one.item) for one in asked}) == len(asked)
    counts = Counter(one.family for one in asked)
    assert counts["knowledge"] == sum(len(data.knowledge) for data in pack.personas)
    assert counts["stages"] == sum(len(data.stage_items) for data in pack.personas)
    assert counts["content"] == sum(len(data.contrast) for data in pack.personas)
    assert counts["attitude"] == (0 if way == "blind" else sum(len(data.answers) for data in pack.personas))
    letters = Counter((one.family, one.right) for one in asked)
    for family, total in counts.items():
        chance = readers.CHANCE[family]
        for letter in range(round(1 / chance)):
            assert abs(letters[family, letter] - chance * total) < 3.5 * (total * chance * (1 - chance)) ** 0.5


def test_a_mixed_sheet_has_a_sixth_of_a_person_and_a_shared_question_once(pack: Pack) -> None:
    shared = {question.id for question in pack.questions}
    for found in sheets.sheets_of(pack, "profile").values():
        asked = Counter((one.persona, one.cluster) for one in found if one.cluster in shared)
        assert max(asked.values()) == 1
        of_each = Counter(one.persona for one in found)
        assert len(of_each) == len(pack.personas)
        assert max(of_each.values()) < 50


def test_the_right_answer_is_the_personas_own(pack: Pack) -> None:
    data = pack.personas[0]
    own = {row.reply for row in data.answers}
    for one in sheets.sheets_of(pack, "whole-everything")[data.persona.id]:
        if one.family == "content":
            assert [text in own for text in one.options].index(True) == one.right
        if one.family == "induction":
            assert one.options[one.right] in {row.induced for row in data.induction}


def test_blind_readers_read_nothing_and_nobody_reads_a_test_text(pack: Pack) -> None:
    assert sheets.reading(pack, pack.personas, "blind") == ""
    for data in pack.personas:
        short, talks, long = (sheets.reading(pack, [data], way) for way in ("profile", "dialogues", "everything"))
        assert long.startswith(short.rstrip("\n"))
        assert all(row.response in talks and row.response in long and row.response not in short for row in data.train)
        assert all(row.text in long and row.text not in talks for row in data.materials)
        assert not any(row.reply in long for row in data.answers)
        assert not any(row.gold in long for row in data.knowledge)


def test_who_is_told_nothing_is_not_told_whom_it_is_about(pack: Pack, tmp_path: Path) -> None:
    sheets.write_pack(tmp_path)
    assert not list((tmp_path / "blind").rglob("reading.md"))
    told = (tmp_path / "profile" / "1" / "questions.md").read_text(encoding="utf-8")
    assert "\n1. Betsin Loach, the " in told
    blind = (tmp_path / "blind" / "1" / "questions.md").read_text(encoding="utf-8")
    assert "\n1. the " in blind


def test_answers_are_counted_as_given(pack: Pack, tmp_path: Path) -> None:
    lines = right(pack)
    wrong = "AB"[lines[-1].endswith("A")]
    answered(tmp_path, pack, [*lines[:-1], f"{len(lines)} {wrong}"])
    answered(tmp_path, pack, ["1 -", *right(pack, "blind", "1")[1:]], way="blind", name="1")
    found = readers.Readers(tmp_path)
    assert found.interval("whole-everything", "content", "betsin").mean == 1.0
    assert found.interval("whole-everything", "attitude").mean == pytest.approx(1 - 1 / 80)
    assert found.interval("blind", "knowledge").unscored == 1
    assert found.interval("blind", "knowledge").mean == 1.0
    assert found.interval("profile", "knowledge").n == 0


def test_answers_that_do_not_fit_are_all_told(pack: Pack, tmp_path: Path) -> None:
    lines = right(pack)
    last = len(lines)
    file = answered(tmp_path, pack, ["9999 A", "x", lines[0], *lines[:-2], f"{last - 1} E"])
    with pytest.raises(PersbenchError) as raised:
        readers.Readers(tmp_path)
    assert [each.removeprefix(str(file)) for each in str(raised.value).split("; ")] == [
        ":2: '9999 A' answers no open question",
        ":3: 'x' answers no open question",
        f":5: '{lines[0]}' answers no open question",
        f":{last + 3}: '{last - 1} E' answers no open question",
        f": {last - 1} is not answered",
        f": {last} is not answered",
    ]
    file.write_text("pack: another\n", encoding="utf-8")
    with pytest.raises(PersbenchError, match="answers to 'pack: another'"):
        readers.Readers(tmp_path)


def test_what_reading_adds_is_paired_by_item(pack: Pack, tmp_path: Path) -> None:
    answered(tmp_path, pack, right(pack, "blind", "1"), way="blind", name="1")
    answered(tmp_path, pack, right(pack, "profile", "1"), way="profile", name="1")
    file = answered(tmp_path, pack, right(pack, "dialogues", "1"), way="dialogues", name="1")
    found = readers.Readers(tmp_path)
    assert found.step("profile", "blind", "content") == "+0.000 [+.000 +.000]"
    assert found.step("profile", "blind", "attitude") == "-"
    asked = [one.family for one in sheets.sheets_of(pack, "dialogues")["1"]]
    lost = asked.index("content")
    lines = file.read_text(encoding="utf-8").split("\n")
    lines[lost + 1] = f"{lost + 1} -"
    file.write_text("\n".join(lines), encoding="utf-8")
    found = readers.Readers(tmp_path)
    assert found.interval("dialogues", "content").unscored == 1
    assert found.step("dialogues", "blind", "content") == "+0.000 [+.000 +.000]"


def test_the_page_shows_the_tables_of_the_committed_answers() -> None:
    page = (LEADERBOARD / "readers" / "README.md").read_text(encoding="utf-8")
    assert readers.Readers().table() in page
    assert readers.Readers().steps() in page


def test_foils_composed_apart_are_as_long_as_what_they_stand_beside(pack: Pack) -> None:
    rows = [json.loads(line) for line in (LEADERBOARD / "readers" / "apart.jsonl").read_text("utf-8").splitlines()]
    assert readers.Readers().apart() in (LEADERBOARD / "readers" / "README.md").read_text(encoding="utf-8")
    agreed = sum(one == other for one, other in (row["own_taken"] for row in rows))
    assert f"agree on {agreed} of the {len(rows)}" in (LEADERBOARD / "readers" / "README.md").read_text("utf-8")
    for row in rows:
        _, persona, stage, question = row["item"].split("/")
        answer = next(data for data in pack.personas if data.persona.id == persona).answer(question, stage)
        assert answer
        assert 0.92 <= len(row["foil"]) / len(answer.reply) <= 1.08, row["item"]


def test_what_the_page_says_of_anchors_is_what_the_results_say() -> None:
    page = (LEADERBOARD / "readers" / "README.md").read_text(encoding="utf-8")
    told = re.findall(r"\d\.\d+", page.partition("**Anchors take")[2].partition("\n- ")[0])
    known = (LEADERBOARD / "further.md").read_text(encoding="utf-8").partition("## Can the items")[2]
    assert len(told) == 3
    assert [number for number in told if f"{number} [" not in known] == []
