"""The dev pack: cut from training data alone, whole, valid, and good for the ordinary tasks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from toy_world import toy_world
from typer.testing import CliRunner

from persbench.cli import app
from persbench.data.dev_split import dev_split, write_dev_pack
from persbench.data.guard import Learnt, refuse_leaks
from persbench.data.passages import passages
from persbench.errors import PersbenchError
from persbench.harness.run import run
from persbench.harness.settings import RunSettings
from persbench.packs.bundled import bundled_pack, fake_pack
from persbench.packs.load import Pack, load_pack
from persbench.records import load_record

TASKS = ("persbench_who_said", "persbench_stages", "persbench_reply", "persbench_distinction")


@pytest.fixture(scope="module")
def world() -> Pack:
    return load_pack(bundled_pack())


@pytest.fixture(scope="module")
def dev(world: Pack, tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return load_pack(write_dev_pack(world, tmp_path_factory.mktemp("dev") / "pack"))


def test_a_fifth_of_every_kind_of_prompt_is_held_out(world: Pack) -> None:
    split = dev_split(world)
    patterns = {row.prompt_id: row.pattern for data in world.personas for row in data.train}
    assert Counter(patterns[i] for i in split.common) == {"question": 3, "opinion": 2, "induced": 1}
    for data in world.personas:
        if not data.persona.minor:
            held = [row for row in data.train if row.prompt_id in split.own[data.persona.id]]
            assert Counter(row.stage for row in held) == {"early": 6, "late": 6}
    assert len(split.general) == 24
    assert dev_split(world) == split
    assert dev_split(world, 0.4).common > split.common


def test_what_is_held_out_is_not_trained_on(world: Pack, dev: Pack) -> None:
    split = dev_split(world)
    for data in world.personas:
        who = data.persona.id
        kept = {row.id for row in data.train if not split.holds_out(who, row)}
        assert {row.id for row in dev.persona(who).train} == kept
        assert {row.id for row in dev.persona(who).matched} == kept & {row.id for row in data.matched}
        assert 0.78 <= len(kept) / len(data.train) <= 0.88
    refuse_leaks(dev, [Learnt(p.text, f"{p.file}:{p.line}") for p in passages(dev) if p.split == "train"])


def test_items_are_the_held_out_responses(world: Pack, dev: Pack) -> None:
    assert {question.id for question in dev.questions} == dev_split(world).common
    for data in world.personas:
        rows = [row for row in data.train if row.prompt_id in dev_split(world).common]
        answers = {(a.question, a.stage): a.reply for a in dev.persona(data.persona.id).answers}
        assert answers == {(row.prompt_id, row.stage): row.response for row in rows}
        by_item = {item.id: item.replies for item in dev.persona(data.persona.id).stage_items}
        assert by_item == {
            f"{data.persona.id}-{i}": {row.stage: row.response for row in rows if row.prompt_id == i}
            for i in {row.prompt_id for row in rows}
        }


def test_no_test_text_of_the_source_is_in_it(world: Pack, dev: Pack) -> None:
    text = "".join(path.read_text("utf-8") for path in sorted(dev.path.rglob("*.*")))
    tested = {p.text for p in passages(world) if p.split == "test"}
    tested |= {
        note
        for data in world.personas
        for sheet in data.persona.stages.values()
        for note in (*sheet.cannot_know, *(target.reason for target in sheet.traits.values()))
    }
    assert len(tested) > 4000
    # As in JSON: quotes and line breaks inside a text are escaped there.
    held = {t for t in tested if t in text or t.replace('"', '\\"').replace("\n", "\\n") in text}
    assert held == set()
    assert dev.world.id == f"{world.world.id}-dev"
    for stem in ("contrast", "knowledge", "induction", "pressure", "dialogues", "traits"):
        assert not dev.has(stem)


def test_a_toy_dev_pack_runs_through_the_ordinary_tasks(tmp_path: Path) -> None:
    folder = write_dev_pack(load_pack(toy_world(tmp_path / "source", common=15)), tmp_path / "dev")
    lines: list[str] = []
    settings = RunSettings(
        model="fake",
        pack=folder,
        out=tmp_path / "out",
        backend="persbench-fake",
        systems=("vanilla", "prompt"),
        tasks=("persbench",),
        anchors=tmp_path / "anchors",
    )
    for path in run(settings, lines.append):
        record = load_record(path)
        assert set(TASKS) | {"persbench_general"} <= set(record.tasks)
        assert all(record.tasks[name]["samples"] for name in TASKS)
        assert not {"persbench_attitude", "persbench_consistency", "persbench_pressure"} & set(record.tasks)
    skipped = next(line for line in lines if line.startswith("skipping ") and " for ada: " in line)
    assert "persbench_attitude" in skipped
    assert "persbench_costume" in skipped


def test_it_is_written_whole_and_only_into_a_free_place(tmp_path: Path) -> None:
    source = load_pack(toy_world(tmp_path / "source"))
    out = write_dev_pack(source, tmp_path / "deep" / "dev")
    first = load_pack(out).hash
    assert load_pack(write_dev_pack(source, out)).hash == first
    with pytest.raises(PersbenchError, match="holds something else already"):
        write_dev_pack(source, out, share=0.5)
    with pytest.raises(PersbenchError, match="cannot write"):
        write_dev_pack(source, tmp_path / "source" / "world.yaml" / "dev")
    (tmp_path / "file").touch()
    with pytest.raises(PersbenchError, match="cannot write"):
        write_dev_pack(source, tmp_path / "file")
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["dev"]
    assert load_pack(out).hash == first


def test_a_world_without_common_prompts_has_no_dev_pack() -> None:
    with pytest.raises(PersbenchError, match=r"fake: 1 training prompts are common to several personas, too few"):
        dev_split(load_pack(fake_pack()))


def test_the_command(tmp_path: Path) -> None:
    source = toy_world(tmp_path / "source")
    done = CliRunner().invoke(app, ["data", "dev-split", "--pack", str(source), "--out", str(tmp_path / "dev")])
    assert done.exit_code == 0, done.output
    assert load_pack(tmp_path / "dev").world.id == "fake-dev"
