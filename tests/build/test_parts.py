"""The parts of a build by themselves: stages, splits, rotations, prompts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from author import TASKS, Author, annotator, author, task_of
from hypothesis import given as drawn
from hypothesis import strategies as st
from small_build import inputs, settings, small, small_world

from persbench.annotators.progress import silent
from persbench.build.asking import Asker, Request, lengths, read_prompt, same, unmarked
from persbench.build.common_world import common_prompts, merged_stages
from persbench.build.contrasts import planned_foils
from persbench.build.inductions import KINDS, rotated
from persbench.build.material import Piece, held_out
from persbench.build.memory import leading
from persbench.build.settings import BuildSettings, id_of
from persbench.build.stage_plan import PlannedStage, read_stage_plan
from persbench.build.stylized import ordinary
from persbench.build.units import Unit
from persbench.commands.build import ManyFiles
from persbench.errors import FaultsError, PersbenchError
from persbench.packs.bundled import bundled_pack
from persbench.packs.load import load_pack
from persbench.packs.texts import PackModel


def both_sides(number: int) -> list[Piece]:
    """The same text twice: told of the persona, and said by it."""
    own = piece(number)
    unit = replace(own.unit, id=f"s{number}", text=own.text.upper() + " ", objective=False)
    return [own, Piece(f"x-s{number}", unit, "speech", ("early", "late")[number % 5 == 0])]


def piece(number: int, *, stage: str = "early", objective: bool = True, words: int = 10) -> Piece:
    unit = Unit(f"u{number}", " ".join([f"word{number}"] * words), "a.txt", number, objective)
    return Piece(f"x-m{number}", unit, "experience" if objective else "speech", stage)


def stage(name: str, year: int, label: str = "") -> PlannedStage:
    return PlannedStage(id=name, temporal_label=label or f"<{name}>", year=year, date=f"in {year}", description="then")


def test_every_prompt_can_be_read_and_is_told_apart_from_the_others() -> None:
    assert len(TASKS) == len({read_prompt(task).version for task in TASKS}) > 15
    for task in TASKS:
        file = read_prompt(task)
        filled = {name: "1" if kind == "line" else [f"text of {name}"] for name, kind in file.inputs.items()}
        assert task_of(file.render(**filled)) == task


def test_all_faults_of_stages_yaml_at_once(tmp_path: Path) -> None:
    path = tmp_path / "stages.yaml"
    path.write_text(
        "stages:\n- {id: a, temporal_label: x, year: 5, date: d, description: t}\n"
        "- {id: a, temporal_label: x, year: 5, date: d, description: t}\n"
    )
    with pytest.raises(FaultsError) as caught:
        read_stage_plan(path)
    said = str(caught.value)
    assert all(part in said for part in ('stages.yaml:3: id "a" twice', 'temporal_label "x" twice', "year 5 after 5"))
    path.write_text("stages:\n- {id: a b, year: soon}\n")
    with pytest.raises(FaultsError) as caught:
        read_stage_plan(path)
    assert len(caught.value.faults) == 5  # id, year, and three keys that are missing
    path.write_text("stages: []\n")
    with pytest.raises(FaultsError, match="0 entries"):
        read_stage_plan(path)


def test_stages_of_a_world_give_way_to_those_of_the_same_id_and_keep_their_order(tmp_path: Path) -> None:
    world = load_pack(small_world(tmp_path / "world"))  # early in the year 10, late in 20
    assert [s.date for s in merged_stages(world, [stage("late", 30)])][1] == "in 30"
    assert [s.id for s in merged_stages(world, [stage("early", 12), stage("between", 15)])] == [
        "early",
        "between",
        "late",
    ]
    for planned in ([stage("old", 70)], [stage("early", 1850)], [stage("early", 20)], [stage("early", 5, "<late>")]):
        with pytest.raises(PersbenchError, match=r"early \(year 10\), late \(year 20\)"):
            merged_stages(world, planned)


def test_a_persona_may_live_one_stage_of_a_world(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text("stages:\n- {id: late, temporal_label: <now>, year: 1889, date: d, description: t}\n")
    found = inputs(small(), small_world(tmp_path / "world"), stages=path)
    assert [s.id for s in found.stages] == ["early", "late"]
    assert [s.id for s in found.planned] == ["late"]


def test_a_persona_of_the_world_cannot_be_built_over(tmp_path: Path) -> None:
    with pytest.raises(PersbenchError, match="has a persona 'ada' already"):
        inputs(replace(small(), persona="ada"), small_world(tmp_path / "world"))


@drawn(st.lists(st.tuples(st.sampled_from(["early", "late"]), st.booleans()), max_size=40), st.floats(0.05, 0.5))
def test_what_is_held_out_is_a_share_of_each_stage_and_side_whatever_the_order(
    drawn_pieces: list[tuple[str, bool]], share: float
) -> None:
    pieces = [piece(i, stage=s, objective=o) for i, (s, o) in enumerate(drawn_pieces)]
    chosen = held_out(pieces, share)
    assert chosen == held_out(pieces[::-1], share)
    for stratum, size in Counter((p.stage, p.unit.objective) for p in pieces).items():
        held = sum(p.id in chosen for p in pieces if (p.stage, p.unit.objective) == stratum)
        assert held == max(1 if size >= 3 else 0, round(share * size))
        assert held < size or size == 0


@drawn(st.integers(0, 13), st.integers(0, 90))
def test_kinds_and_units_of_induction_take_turns(units: int, most: int) -> None:
    pairs = rotated([piece(i) for i in range(units)], most)
    assert len(pairs) == len(set(pairs)) == min(most, units * len(KINDS))
    for counts in (Counter(p.id for p, _ in pairs), Counter(kind for _, kind in pairs)):
        if pairs:
            assert max(counts.values()) - min(counts.values()) <= 2


def test_foils_rotate_over_stances_and_voices_and_never_are_the_own_stance() -> None:
    world = load_pack(bundled_pack())
    own = [row for row in world.persona("nedda").answers if row.stage == "early"]
    foils = planned_foils(world, own, "early", 24)
    assert len(foils) == 24
    assert all(f.stance != f.own.stance for f in foils)
    voices = Counter(f.voice for f in foils)
    assert len(voices) == len(world.personas)
    assert max(voices.values()) - min(voices.values()) <= 1
    contrasted = {row.question for data in world.personas for row in data.contrast}
    assert {f.own.question for f in foils} <= contrasted
    assert len(common_prompts(world)) > 20
    assert all(row.split == "train" for row in ordinary(world.general, 30))


@drawn(st.lists(st.integers(1, 60), max_size=30), st.integers(1, 400))
def test_leading_material_stays_within_its_words_and_in_order(sizes: list[int], words: int) -> None:
    pieces = [piece(i, words=size) for i, size in enumerate(sizes)]
    taken = leading(pieces, words)
    assert [p.unit.line for p in taken] == sorted(p.unit.line for p in taken)
    assert bool(taken) == bool(pieces)
    if len(taken) > 1:
        assert sum(len(p.text.split()) for p in taken) <= max(words, *sizes)
    if sum(sizes) <= words:
        assert taken == pieces


def test_what_is_said_of_texts_that_cannot_stand_side_by_side() -> None:
    assert same({"a": "One  two", "b": "one TWO"}) == "a and b are the same text"
    assert same({"a": "One", "b": "two"}) is None
    assert "40" in str(lengths({"a": "x" * 40, "b": "x" * 20}, 1.5))
    assert lengths({"a": "x" * 30, "b": "x" * 20}, 1.5) is None
    assert "[response]" in str(unmarked(reply="so [RESPONSE] no")).casefold()


class Word(PackModel):
    word: str


def test_a_check_that_fails_is_told_to_the_annotator_who_may_mend_it() -> None:
    request = Request(
        "classify", "a.txt:1", {"name": "H", "passage": "p"}, Word, lambda a: "not that" if a.word == "x" else None
    )
    backend = Author(lambda messages: '{"word": "y"}' if "not that" in messages[-1]["content"] else '{"word": "x"}')
    asker = Asker(annotator(backend), silent)
    assert asker.ask([request]) == [Word(word="y")]
    assert [call.task for call in backend.asked] == ["classify", "classify:check"]
    stubborn = Asker(annotator(Author(lambda _: '{"word": "x"}')), silent)
    assert stubborn.ask([request]) == [None]
    assert stubborn.drops.rows[0][:3] == ("classify", "a.txt:1", "malformed answer")
    assert "not that; asked again: not that" in stubborn.drops.rows[0].detail


def test_names_and_settings() -> None:
    assert id_of("Édith  Marrow-Lévy") == "edith-marrow-levy"
    assert id_of("李白") == ""
    with pytest.raises(PersbenchError, match="--id ID"):
        BuildSettings(name="李白", persona=id_of("李白"), licence="CC0-1.0")
    with pytest.raises(PersbenchError, match=r"--name 'a\\nb'"):
        BuildSettings(name="a\nb", persona="a", licence="CC0-1.0")
    assert settings().facts()["raised"] == {"question": 2, "opinion": 1, "induced": 1}


def test_a_file_option_takes_several_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.core.TyperCommand.parse_args", lambda _self, _ctx, args: args)
    given = ["--objective", "a", "b", "--name", "N", "--dry-run", "--subjective", "c"]
    told = ManyFiles("build").parse_args(None, given)
    assert told == ["--objective", "a", "--objective", "b", "--name", "N", "--dry-run", "--subjective", "c"]


def test_the_author_of_the_tests_gives_other_answers_to_other_passages() -> None:
    asked = [
        read_prompt("raise-question").render(name="H", date="d", count="2", passage=text) for text in ("one", "two")
    ]
    assert author(asked[0]) == author(asked[0]) != author(asked[1])


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_a_text_on_both_sides_is_held_out_on_both_or_neither(share: float) -> None:
    """Else it would be learnt as speech, and asked for as a memory."""
    pieces = [one for number in range(40) for one in both_sides(number)]
    chosen = held_out(pieces, share)
    assert chosen
    assert {id_.replace("s", "m") for id_ in chosen} == {id_ for id_ in chosen if "m" in id_}
    assert len(chosen) / len(pieces) <= share + 0.1
    assert chosen == held_out(pieces[::-1], share)
