"""Readers of the test items: what they are asked is what the tasks score, and their answers are counted as given."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import readers

from persbench.errors import PersbenchError
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack

if TYPE_CHECKING:
    from persbench.packs.pack import Pack

LEADERBOARD = Path(__file__).parent.parent / "leaderboard"


@pytest.fixture(scope="module")
def pack() -> Pack:
    return load_pack(resolve_pack(None))


def right(pack: Pack, persona: int = 0) -> list[str]:
    return [
        f"{index} {readers.LETTERS[one.right]}"
        for index, one in enumerate(readers.questions_of(pack, pack.personas[persona]), start=1)
    ]


def answered(folder: Path, pack: Pack, lines: list[str], way: str = "blind") -> Path:
    file = folder / way / f"{pack.personas[0].persona.id}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join([f"pack: {pack.hash}", *lines, ""]), encoding="utf-8")
    return file


def test_every_item_is_asked_once_and_no_letter_is_right_more_often(pack: Pack) -> None:
    for data in pack.personas:
        asked = readers.questions_of(pack, data)
        assert len({one.item for one in asked}) == len(asked)
        counts = Counter(one.family for one in asked)
        assert counts["knowledge"] == len(data.knowledge)
        assert counts["stages"] == len(data.stage_items)
        assert counts["content"] == len(data.contrast)
    letters = Counter((one.family, one.right) for data in pack.personas for one in readers.questions_of(pack, data))
    for family, chance in readers.CHANCE.items():
        total = sum(n for (name, _), n in letters.items() if name == family)
        for letter in range(round(1 / chance)):
            assert abs(letters[family, letter] - chance * total) < 3.5 * (total * chance * (1 - chance)) ** 0.5


def test_the_right_answer_is_the_personas_own(pack: Pack) -> None:
    data = pack.personas[0]
    own = {row.reply for row in data.answers}
    for one in readers.questions_of(pack, data):
        if one.family == "content":
            assert [text in own for text in one.options].index(True) == one.right
        if one.family == "induction":
            assert one.options[one.right] in {row.induced for row in data.induction}


def test_blind_readers_read_nothing_and_nobody_reads_a_test_text(pack: Pack) -> None:
    for data in pack.personas:
        assert readers.reading(pack, data, "blind") == ""
        short, long = (readers.reading(pack, data, way) for way in ("profile", "everything"))
        assert long.startswith(short.rstrip("\n"))
        assert all(row.response in long and row.response not in short for row in data.train)
        assert not any(row.reply in long for row in data.answers)
        assert not any(row.gold in long for row in data.knowledge)


def test_answers_are_counted_as_given(pack: Pack, tmp_path: Path) -> None:
    lines = right(pack)
    answered(tmp_path, pack, lines)
    answered(tmp_path, pack, ["1 -", *lines[1:]], way="profile")
    wrong = "AB"[lines[-1].endswith("A")]
    answered(tmp_path, pack, [*lines[:-1], f"{len(lines)} {wrong}"], way="everything")
    found = readers.Readers(tmp_path)
    assert all(found.interval("blind", family).mean == 1.0 for family in readers.FAMILIES)
    assert found.interval("profile", "knowledge").unscored == 1
    assert found.interval("profile", "knowledge").mean == 1.0
    assert found.interval("everything", "attitude").mean == pytest.approx(1 - 1 / 80)


def test_answers_that_do_not_fit_are_all_told(pack: Pack, tmp_path: Path) -> None:
    lines = right(pack)
    file = answered(tmp_path, pack, ["9999 A", "x", lines[0], *lines[:-2], f"{len(lines) - 1} E"])
    with pytest.raises(PersbenchError) as raised:
        readers.Readers(tmp_path)
    told = str(raised.value).split("; ")
    assert [each.removeprefix(str(file)) for each in told] == [
        ":2: '9999 A' answers no open question",
        ":3: 'x' answers no open question",
        f":5: '{lines[0]}' answers no open question",
        f":{len(lines) + 3}: '{len(lines) - 1} E' answers no open question",
        f": {len(lines) - 1} is not answered",
        f": {len(lines)} is not answered",
    ]
    file.write_text("pack: another\n", encoding="utf-8")
    with pytest.raises(PersbenchError, match="answers to 'pack: another'"):
        readers.Readers(tmp_path)


def test_the_page_shows_the_table_of_the_committed_answers() -> None:
    assert readers.Readers().table() in (LEADERBOARD / "readers" / "README.md").read_text(encoding="utf-8")
