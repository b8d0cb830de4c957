"""What a judge reads of conversations, and its figures beside the others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from known_talks import SCRIPT, KnownBackground, record, talk, the_pack
from table_judge import Fields, judge_that

from persbench.annotators.progress import silent
from persbench.conversation import report
from persbench.conversation.judged import judged_talks, talk_cells
from persbench.conversation.record_files import FOLDER, read_conversations, save_conversations
from persbench.conversation.records import Agent, ConversationRecord
from persbench.conversation.report import conversation_table
from persbench.errors import FaultsError
from persbench.judging.qualification import TOOK_PART, Qualification
from persbench.judging.reading import subjects_of
from persbench.judging.records import JudgedRecord
from persbench.judging.run import Work, judge_run
from persbench.packs.pack import Pack
from persbench.report.judged import judged_runs


@pytest.fixture(scope="module")
def pack() -> Pack:
    return the_pack()


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "Background", KnownBackground)


def harsh_on_dough(prompt: str, fields: Fields, seed: int) -> Any:
    """Whatever speaks of dough contradicts; of lamps nothing can be read."""
    line = " ".join(fields["line"])
    if "lamp" in line:
        return "who knows?"
    return {"why": "", "verdict": "contradicts" if "dough" in line else "consistent"}


def judged(records: list[ConversationRecord], pack: Pack, folder: Path) -> list[JudgedRecord]:
    work = Work(folder, talk_cells(records), pack, ("contradict",))
    return judge_run(judge_that(harsh_on_dough), work, silent, print)


def test_every_utterance_is_held_against_profile_answers_and_earlier_ones(pack: Pack) -> None:
    found = subjects_of(talk_cells([record([talk()], pack)]), pack, ("contradict", "agree", "sort"))
    assert list(found) == ["contradict"]
    names = [subject.case.id for subject in found["contradict"]]
    stem = "contradict/op01/0/{}/ada/early/bo/early/talk/prompt/converse/{}"
    kinds = ("answer/0/q01", "answer/0/q03", "answer/1/q01", "answer/1/q03", "line/0-1", "prompt/0", "prompt/1")
    assert names == sorted(stem.format(who, kind) for who in ("a", "b") for kind in kinds)
    by_name = {subject.case.id: subject for subject in found["contradict"]}
    first = by_name[stem.format("a", "prompt/0")]
    case = first.case
    assert (case.line, case.asked) == (SCRIPT[2][1], SCRIPT[1][1])  # type: ignore[union-attr]
    assert "Ada Crumb" in case.held  # type: ignore[union-attr]
    assert (first.cluster, first.stratum, first.systems) == ("op01", "opposed", ("prompt",))
    answered = by_name[stem.format("b", "answer/0/q03")].case
    own = pack.persona("bo").answer("q03", "early")
    assert own is not None
    assert answered.held == own.reply  # type: ignore[union-attr]


def test_judged_figures_stand_beside_the_others(pack: Pack, tmp_path: Path) -> None:
    one = record([talk()], pack)
    said = judged([one], pack, tmp_path)
    table = conversation_table([one], pack, judged=said)
    (found,) = table.judged
    assert found.why == "was not examined on this pack"
    ada = found.entries["opposed", "prompt", "ada"]
    # ada says "The flour needs a lamp." and "... dough ...": the first is unscored, the second contradicts
    assert (ada["prompt_to_line"].value.mean, ada["prompt_to_line"].value.unscored) == (0.0, 1)
    assert (ada["answered"].value.mean, ada["answered"].value.unscored) == (0.0, 2)
    assert ada["line_to_line"].value.mean is None
    bo = found.entries["opposed", "prompt", "bo"]
    assert bo["prompt_to_line"].value.mean is None  # lamps alone: unscored, never consistent
    both = found.entries["opposed", "prompt", ""]
    assert (both["prompt_to_line"].value.mean, both["prompt_to_line"].value.unscored) == (0.0, 3)
    markdown = table.markdown()
    assert "**Judged by table †: without contradiction**" in markdown
    assert "| opposed | prompt | **0.00** [-]<br>n 1 +3 unscored |" in markdown
    rows = [line.split(",") for line in table.csv().splitlines()]
    assert ["opposed", "prompt", "ada", "prompt_to_line", "0.0"] in [row[:5] for row in rows]


def test_without_a_judge_there_is_no_column(pack: Pack) -> None:
    table = conversation_table([record([talk()], pack)], pack)
    assert table.judged == ()
    assert "Judged" not in table.markdown()
    assert "prompt_to_line" not in table.csv()


def test_what_was_judged_of_other_talks_is_left_out_and_told(pack: Pack, tmp_path: Path) -> None:
    said = judged([record([talk()], pack)], pack, tmp_path)
    other = record([talk()], pack, turns=8)
    (found,) = judged_talks([other], said, [])
    assert found.entries == {}
    (note,) = found.notes
    assert note.startswith("14 verdicts are about conversations that are no longer there as they were judged, and are ")


def test_what_was_judged_before_the_words_changed_does_not_pass_for_current(pack: Pack, tmp_path: Path) -> None:
    one = record([talk()], pack)
    said = judged([one], pack, tmp_path)
    assert judged_talks([one], said, [])[0].notes == ()
    script = (*SCRIPT[:4], ("a", "Another word."))
    # what a has said is another matter, and b was told the same as before
    (found,) = judged_talks([record([talk(script=script)], pack)], said, [])
    assert {persona for _, _, persona in found.entries} == {"bo", ""}
    assert found.notes[0].startswith("7 verdicts are about conversations")
    # a record of an earlier version holds no digest of what was said
    facts = {"prompt/ada": "0123456789ab", "prompt/bo": "0123456789ab"}
    (found,) = judged_talks([one], [replace(said[0], cells=facts)], [])
    assert found.entries == {}
    assert "`persbench judge` again" in found.notes[0]


def test_a_talk_that_broke_off_is_unscored_and_costs_nothing(pack: Pack, tmp_path: Path) -> None:
    """Bo falls silent at once, and Ada never spoke: neither contradicts anything, and neither is consistent."""
    whole, broken = talk("op02"), talk("op01", script=SCRIPT[:2], fault="turn 2, prompt as ada: the reply is empty")
    one = record([whole, broken], pack)
    said = judged([one], pack, tmp_path)
    lost = [row for row in said[0].rows if row.cluster == "op01"]
    assert {(row.value, row.unscored, len(row.orders)) for row in lost} == {(None, "broken", 0)}
    assert len(lost) == 2 * 3
    (found,) = judged_talks([one], said, [])
    (alone,) = judged_talks([record([whole], pack)], judged([record([whole], pack)], pack, tmp_path / "whole"), [])
    for key, entries in alone.entries.items():
        for name, entry in entries.items():
            other = found.entries[key][name].value
            assert (other.mean, other.n) == (entry.value.mean, entry.value.n)
            assert other.unscored == entry.value.unscored + (1 if key[2] else 2)


def test_who_had_no_turn_in_a_whole_talk_is_no_case(pack: Pack) -> None:
    found = subjects_of(talk_cells([record([talk(script=SCRIPT[:2])], pack)]), pack, ("contradict",))["contradict"]
    assert {subject.persona for subject in found} == {"bo"}


def test_talks_of_one_scenario_with_other_people_stand_apart(pack: Pack, tmp_path: Path) -> None:
    late = talk(a=Agent("prompt", "ada", "late"))
    both = [record([talk()], pack), record([late], pack)]
    said = judged(both, pack, tmp_path)
    assert len(said[0].rows) == 2 * 14
    (found,) = judged_talks(both, said, [])
    assert found.entries["opposed", "prompt", "bo"]["prompt_to_line"].value.unscored == 4  # two lines in either talk


@pytest.mark.parametrize("where", ["record", "qualification"])
def test_a_judge_that_wrote_the_pack_is_marked(pack: Pack, tmp_path: Path, where: str) -> None:
    one = record([talk()], pack)
    said = judged([one], pack, tmp_path)
    assert TOOK_PART not in conversation_table([one], pack, judged=said).markdown()
    builder = "openai:table@https://elsewhere/v1#other"
    exams = []
    if where == "record":
        said = [replace(said[0], built_by=builder)]
    else:
        exams = [Qualification({"id": said[0].judge["id"]}, {"hash": pack.hash}, {}, (), builder, 0, None, "", {})]
    table = conversation_table([one], pack, judged=said, qualifications=exams)
    (found,) = table.judged
    assert (found.took_part, found.notes) == (True, (TOOK_PART,))
    markdown = table.markdown()
    assert "**Judged by table \u2020\u2021: without contradiction**" in markdown
    assert f"- \u2021: {TOOK_PART}" in markdown


def test_a_judge_that_qualified_is_not_grey(pack: Pack, tmp_path: Path) -> None:
    one = record([talk()], pack)
    said = judged([one], pack, tmp_path)

    class Passed(Qualification):
        def standing(self, kind: str) -> Any:
            return replace(super().standing("contradict"), qualified=True, why="")

    exam = Passed(
        {"id": said[0].judge["id"]}, {"hash": pack.hash}, {}, (), None, 0, None, "", {}
    )  # the exams themselves are tested with the judges
    (found,) = judged_talks([one], said, [exam])
    assert found.why == ""


def test_talks_of_another_pack_or_broken_ones_cannot_be_judged(pack: Pack) -> None:
    with pytest.raises(FaultsError, match="was run on the pack @0123456789ab"):
        subjects_of(talk_cells([record([talk()], pack, pack="fake-1@0123456789ab")]), pack, ("contradict",))
    cell = talk_cells([record([talk()], pack)])[0]
    cell.tasks["persbench_converse"][0]["questions"] = [3]
    with pytest.raises(FaultsError, match="without what is judged"):
        subjects_of([cell], pack, ("contradict",))


def test_the_board_leaves_judged_talks_to_their_own_report(pack: Pack, tmp_path: Path) -> None:
    one = record([talk()], pack)
    save_conversations(tmp_path / FOLDER / "prompt.json", one)
    judged([one], pack, tmp_path / FOLDER)
    assert judged_runs(tmp_path, []) == ([], [])
    assert len(read_conversations(tmp_path)) == len(read_conversations(tmp_path / FOLDER)) == 1


def test_a_talk_whose_persona_has_no_answers_is_held_against_the_rest(pack: Pack) -> None:
    people = tuple(replace(data, answers=()) for data in pack.personas)
    found = subjects_of(talk_cells([record([talk()], pack)]), replace(pack, personas=people), ("contradict",))
    assert not [s for s in found["contradict"] if s.place["against"] == "answer"]
    assert len(found["contradict"]) == 2 * 3
    json.dumps([dict(subject.place) for subject in found["contradict"]])
