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
from persbench.conversation.records import ConversationRecord
from persbench.conversation.report import conversation_table
from persbench.errors import FaultsError
from persbench.judging.qualification import Qualification
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
    stem = "contradict/op01/0/{}/talk/prompt/converse/{}"
    kinds = ("answer/0/q01", "answer/0/q03", "answer/1/q01", "answer/1/q03", "line/0-1", "prompt/0", "prompt/1")
    assert names == sorted(stem.format(who, kind) for who in ("a/ada", "b/bo") for kind in kinds)
    by_name = {subject.case.id: subject for subject in found["contradict"]}
    first = by_name[stem.format("a/ada", "prompt/0")]
    case = first.case
    assert (case.line, case.asked) == (SCRIPT[2][1], SCRIPT[1][1])  # type: ignore[union-attr]
    assert "Ada Crumb" in case.held  # type: ignore[union-attr]
    assert (first.cluster, first.stratum, first.systems) == ("op01", "opposed", ("prompt",))
    answered = by_name[stem.format("b/bo", "answer/0/q03")].case
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
    assert found.notes == ("14 verdicts are about conversations that are no longer there, and are left out",)


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
