"""The items that ask whether what was learnt carries over: from training files alone, balanced, and told apart."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import thoughts
import unseen

from persbench.data.dev_split import dev_split
from persbench.errors import PersbenchError
from persbench.harness.documents import documents_of
from persbench.harness.fake_lm import FakeLM
from persbench.harness.run import run
from persbench.harness.settings import RunSettings
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack
from persbench.systems.registry import get_system


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unseen") / "pack"
    unseen.write_pack(folder)
    return folder


def test_other_positions_answer_training_prompts_of_which_half_are_held_out() -> None:
    pack = load_pack(resolve_pack(None))
    split = dev_split(pack)
    found = {}
    for line in unseen.POSITIONS.read_text("utf-8").splitlines():
        row = json.loads(line)
        found[row["id"]] = row["reply"]
    counts: Counter[tuple[str, str, bool]] = Counter()
    for data in pack.personas:
        for row in data.train:
            if row.id in found:
                reply = found.pop(row.id)
                assert reply != row.response
                assert 0.9 <= len(reply) / len(row.response) <= 1.1, row.id
                counts[data.persona.id, row.pattern, split.holds_out(data.persona.id, row)] += 1
    assert not found
    assert {persona for persona, _, _ in counts} == {"nedda", "osmer"}
    assert all(number == counts[persona, pattern, not held] for (persona, pattern, held), number in counts.items())


def test_a_model_is_asked_about_learnt_and_unseen_prompts_alike(pack: Path, tmp_path: Path) -> None:
    run(
        RunSettings(
            model="fake", pack=pack, out=tmp_path, backend="persbench-fake", anchors=tmp_path / "anchors",
            systems=("prompt",), tasks=(unseen.TASK,), personas=("nedda",),
        ),
        lambda _: None,
    )  # fmt: skip
    lines = unseen.table(tmp_path).splitlines()
    rows = {cells[1]: cells for cells in ([cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:])}
    patterns = ("all", "question", "opinion", "induced")
    assert set(rows) == {f"{foil}: {pattern}" for foil in ("position", "substance") for pattern in patterns}
    assert [rows["position: all"][place] for place in (4, 7)] == ["24", "24"]
    assert [rows["substance: all"][place] for place in (4, 7)] == ["96", "24"]


def test_the_committed_table_follows_from_the_committed_records() -> None:
    dev = Path(__file__).parent.parent / "leaderboard" / "dev"
    told = [
        line
        for line in (dev / "README.md").read_text(encoding="utf-8").splitlines()
        if "e: all |" in line or "n: all |" in line
    ]
    assert len(told) == 12
    assert set(told) <= set(unseen.table(dev / "unseen").splitlines())


def test_the_committed_differences_follow_from_the_committed_records() -> None:
    dev = Path(__file__).parent.parent / "leaderboard" / "dev"
    found = unseen.apart(dev / "unseen", "persllm-same-voice", "persllm")
    assert len(found.splitlines()) == 6
    assert found in (dev / "README.md").read_text(encoding="utf-8")
    with pytest.raises(PersbenchError, match="no record of nobody in"):
        unseen.apart(dev / "unseen", "persllm", "nobody")


def test_each_thought_is_the_rows_own_or_another_rows_of_its_kind() -> None:
    data = load_pack(resolve_pack(None)).persona("nedda")
    found = thoughts.written_thoughts(data)
    by_analysis = {row.analysis: row for row in data.train}
    assert set(found) == {row.id for row in data.train}
    for row in data.train:
        other = by_analysis[found[row.id][thoughts.ANOTHER]]
        assert found[row.id][thoughts.WRITTEN] == row.analysis
        assert other.id != row.id
        assert (other.stage, other.pattern) == (row.stage, row.pattern)


def test_an_item_names_its_training_row() -> None:
    found = unseen.parts_of("knowledge/unseen-induced-nedda-t053-position")
    assert found == ("unseen", "induced", "nedda-t053", "position")


def test_items_are_scored_after_a_given_thought(pack: Path) -> None:
    world = load_pack(pack)
    items = list(documents_of(unseen.TASK, world, world.persona("nedda"), get_system("vanilla")))[:3]
    anchors = {doc["id"]: [0.0] * len(doc["candidates"]) for doc in items}
    rows, others = (
        thoughts.score(items, {doc["id"]: thought for doc in items}, anchors, FakeLM()) for thought in ("Yes.", "No.")
    )
    assert all(row["loglikelihoods"] != other["loglikelihoods"] for row, other in zip(rows, others, strict=True))
    for doc, row in zip(items, rows, strict=True):
        own, foil = (
            row["loglikelihoods"][place] / len(doc["candidates"][place].encode())
            for place in (doc["own"], 1 - doc["own"])
        )
        assert row["id"] == doc["id"]
        assert row["metrics"]["knowledge_margin"][0] == pytest.approx(own - foil)


def test_the_committed_table_of_thoughts_follows_from_the_committed_scores() -> None:
    dev = Path(__file__).parent.parent / "leaderboard" / "dev"
    scores = dev / "thoughts.jsonl"
    table, gains = thoughts.table(scores).splitlines(), thoughts.gains(scores).splitlines()
    assert (len(table), len(gains)) == (26, 14)
    assert {*table, *gains} <= set((dev / "README.md").read_text(encoding="utf-8").splitlines())
