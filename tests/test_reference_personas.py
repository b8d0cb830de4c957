"""The reference world is tested like code: validity, the audit, surface cues, and what the rules of writing promise."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from persbench.data.audit import audit
from persbench.data.counts import table_1
from persbench.harness.documents import documents_of
from persbench.harness.documents.alignment import stance_holders
from persbench.harness.run import run
from persbench.harness.sanity_cells import SURFACE_TASKS, rules_of, sanity_rows, sanity_systems
from persbench.harness.settings import RunSettings
from persbench.harness.task_index import expand, tasks_folder
from persbench.models.embedder import default_embedder
from persbench.models.fetch import fetch_embedder, fetch_model
from persbench.packs.bundled import bundled_pack
from persbench.packs.load import Pack, load_pack
from persbench.report.board import FLOORS, lines_of
from persbench.report.cells import Cell, load_cells
from persbench.report.paper.formats import markdown_grid
from persbench.report.paper.table_1 import counts_table
from persbench.scoring.sanity import PREFIX
from persbench.systems.registry import get_system

WORLD = bundled_pack()


@pytest.fixture(scope="module")
def pack() -> Pack:
    return load_pack(WORLD)


def test_two_stages_and_every_shared_question_answered_by_all(pack: Pack) -> None:
    assert [stage.id for stage in pack.world.stages] == ["early", "late"]
    for data in pack.personas:
        assert {(a.question, a.stage) for a in data.answers} == {
            (q.id, s.id) for q in pack.questions for s in pack.world.stages
        }


def test_sanity_systems_are_at_chance_on_every_choice_task(pack: Pack) -> None:
    """Design: intervals at Bonferroni over systems x tasks hold chance, and the mean is within 0.08 of it."""
    tasks = [task for task in expand(["persbench"], tasks_folder()) if task.name in SURFACE_TASKS]
    rules = rules_of(pack)
    cells = [
        Cell(name, data.persona.id, {}, sanity_rows(rules[name.removeprefix(PREFIX)], tasks, pack, data))
        for name in sanity_systems()
        for data in pack.personas
    ]
    lines = lines_of(cells)
    assert {line.system for line in lines} == set(sanity_systems())
    off = [
        f"{line.system} {metric}: {entry.value.mean:.3f}, chance {entry.chance:.3f}, n {entry.value.n}"
        for line in lines
        if line.system not in FLOORS
        for metric, entry in line.entries.items()
        if entry.off_chance
    ]
    assert not off


def test_no_letter_and_no_place_gives_the_stance_away(pack: Pack) -> None:
    held = Counter(answer.stance for data in pack.personas for answer in data.answers)
    assert max(held.values()) < 1.2 * min(held.values())
    rows = [r for data in pack.personas for r in documents_of("persbench_attitude", pack, data, get_system("vanilla"))]
    places = Counter(row["own"] for row in rows)
    assert max(places.values()) < 1.6 * min(places.values())


def test_a_question_s_stances_are_held_by_equally_many(pack: Pack) -> None:
    for question in pack.questions:
        assert set(stance_holders(pack, question.id).values()) == {len(pack.personas) * 2 // 4}


def test_every_pair_has_a_relation_at_both_stages(pack: Pack) -> None:
    ids = {data.persona.id for data in pack.personas}
    for data in pack.personas:
        for sheet in data.persona.stages.values():
            assert set(sheet.relations) == ids - {data.persona.id}


def test_a_third_of_the_stances_change_and_nobody_s_stay_all_the_same(pack: Pack) -> None:
    changed = {
        data.persona.id: sum(
            len({a.stance for a in data.answers if a.question == question.id}) > 1 for question in pack.questions
        )
        for data in pack.personas
    }
    assert min(changed.values()) >= 3
    assert 0.28 <= sum(changed.values()) / (len(changed) * len(pack.questions)) <= 0.40


def test_common_training_prompts_are_put_to_everybody_at_both_stages(pack: Pack) -> None:
    asked = {
        (data.persona.id, stage.id): {row.prompt_id for row in data.train if row.stage == stage.id}
        for data in pack.personas
        for stage in pack.world.stages
    }
    majors = [data.persona.id for data in pack.personas if not data.persona.minor]
    assert len(majors) == 5
    common = set.intersection(*(prompts for (who, _), prompts in asked.items() if who in majors))
    assert len(common) >= 24
    for (who, _), prompts in asked.items():
        if who not in majors:
            assert len(prompts & common) >= 12


def test_each_kind_of_induction_is_there_for_everybody(pack: Pack) -> None:
    kinds = {
        "false_premise",
        "opinion_pressure",
        "identity_break",
        "instruction_override",
        "anachronism",
        "out_of_world",
    }
    for data in pack.personas:
        assert {row.kind for row in data.induction} == kinds


def test_the_card_s_table_is_the_computed_one(pack: Pack) -> None:
    card = (WORLD.parent / "README.md").read_text("utf-8")
    shown = card.split("<!-- table-1 -->\n")[1].split("\n<!-- /table-1 -->")[0]
    assert shown == markdown_grid(counts_table(table_1(pack), ""))


@pytest.mark.slow
@pytest.mark.model
def test_the_audit_finds_no_fault(pack: Pack) -> None:
    """`persbench check --reference`, with the real embedder."""
    fetch_embedder()
    found = audit(pack, default_embedder())
    assert [str(fault) for fault in found.faults] == []
    assert found.authorship.mean is not None
    assert found.authorship.mean >= 0.60


def test_test_only_data_never_stands_in_a_prompt(pack: Pack) -> None:
    for data in pack.personas:
        for task in ("persbench_attitude", "persbench_knowledge"):
            for row in documents_of(task, pack, data, get_system("prompt")):
                prompt = row["messages"][0]["content"]
                sheet = data.persona.stages[row["stage"]]
                assert not [text for text in sheet.cannot_know if text in prompt]
                assert not [target.reason for target in sheet.traits.values() if target.reason in prompt]
                assert row["candidates"][row["own"]] not in prompt


@pytest.mark.parametrize("path", sorted(WORLD.rglob("*.jsonl")), ids=lambda p: p.relative_to(WORLD).as_posix())
def test_each_file_loads_with_datasets(path: Path, tmp_path: Path) -> None:
    from datasets import load_dataset

    loaded = load_dataset("json", data_files=str(path), split="train", cache_dir=str(tmp_path))
    lines = path.read_text("utf-8").splitlines()
    assert len(loaded) == len(lines)
    assert json.loads(lines[0]).keys() <= set(loaded.column_names)


@pytest.mark.slow
@pytest.mark.model
def test_smollm2_without_a_persona_is_at_the_chance_that_stance_frequencies_give(tmp_path: Path) -> None:
    """vanilla says the same to all twelve persona-stages: three hold the stance it picks, one in six is its author."""
    settings = RunSettings(
        model=str(fetch_model()),
        pack=WORLD,
        out=tmp_path,
        systems=("vanilla",),
        tasks=("persbench_attitude", "persbench_who_said"),
        limit=4,
        anchors=tmp_path / "anchors",
    )
    run(settings, lambda _line: None)
    cells = load_cells(tmp_path)[0]
    entries = {
        metric: e
        for table in ("board", "dynamics")
        for line in lines_of(cells, table)
        for metric, e in line.entries.items()
    }
    expected = {"attitude_acc": 1 / 4, "persona_acc": 1 / 6, "stage_acc": 1 / 2}
    for metric, chance in expected.items():
        entry = entries[metric]
        assert entry.value.n == 24
        assert entry.raw is not None
        # Rounding may part two candidates that are all but equal in one cell and not in another: one item of slack.
        assert entry.value.mean == pytest.approx(chance, abs=1 / 24)
        assert entry.raw.mean == pytest.approx(chance, abs=1 / 24)
