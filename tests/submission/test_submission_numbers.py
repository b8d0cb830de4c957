"""A record whose numbers do not follow from its samples is refused, whichever number it is; an honest one passes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from submission_world import (
    TWINS,
    Content,
    accepted,
    examiner,
    faults,
    messages,
    record,
    refused,
    rekey,
    words_embedder,
    write,
)

from persbench.errors import PersbenchError
from persbench.harness.documents import BUILDERS
from persbench.harness.twins import put_letters
from persbench.models.adapter_card import AdapterCard
from persbench.records import load_record
from persbench.report.cells import load_cells
from persbench.submission.board import Standing, check_against, prompted_alike
from persbench.submission.findings import BOUNDS, COPIES, DOCUMENTS, METRICS, SETTINGS, Findings
from persbench.submission.form import record_of
from persbench.submission.stock import STOCK
from persbench.submission.submit import submit
from persbench.systems.trained import RECIPES, Trained

TASKS = sorted(set(BUILDERS) | set(TWINS))


@pytest.fixture(autouse=True, scope="module")
def _words() -> Iterator[None]:
    with words_embedder():
        yield


def rows(content: Content, task: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = content["tasks"][task]["samples"]
    return found


def test_honest_records_are_stored_whole_once_and_can_be_read(tmp_path: Path) -> None:
    names = ("prompt__ada", "vanilla__ada", "sanity-longest__ada", "sanity-longest__bo", "sanity-unigram_fluency__bo")
    for name in names:
        write(tmp_path / "run" / "records" / f"{name}.json", record(name))
    done = accepted(tmp_path / "run", tmp_path / "board")
    assert [path.name for path in done.stored] == sorted(f"{name}.json.gz" for name in names)
    assert all(not one.recount.left_out for one in done.checked)
    told = sum(
        len(row["metrics"]) for name in names for task in record(name)["tasks"].values() for row in task["samples"]
    )
    assert sum(one.recount.same for one in done.checked) == told
    stored = load_record(done.stored[0])
    assert stored.run["submission"]["not_recomputed"] == []
    assert stored.tasks == record("prompt__ada")["tasks"]
    cells, left_out = load_cells(tmp_path / "board")
    assert (len(cells), left_out) == (len(names), [])
    assert "with these settings stands in" in refused(tmp_path / "run", tmp_path / "board")


def test_sanity_records_that_the_board_has_are_left_aside(tmp_path: Path) -> None:
    standing = ("sanity-longest__ada", "sanity-longest__bo")
    for name in standing:
        tasks = ("persbench_costume",) if name.endswith("ada") else ()
        write(tmp_path / "first" / "records" / f"{name}.json", record(name, *tasks))
    accepted(tmp_path / "first", tmp_path / "board")
    # Of some tasks alone, as another's run may be: here the board's, there the submitted one.
    write(tmp_path / "run" / "records" / "sanity-longest__ada.json", record("sanity-longest__ada"))
    with pytest.raises(PersbenchError, match=r"holds sanity systems alone, and .*board has them already"):
        accepted(tmp_path / "run", tmp_path / "board")
    write(tmp_path / "run" / "records" / "sanity-longest__bo.json", record("sanity-longest__bo", "persbench_costume"))
    for name in ("prompt__ada", "sanity-unigram_fluency__bo"):
        write(tmp_path / "run" / "records" / f"{name}.json", record(name))
    write(tmp_path / "run" / "again" / "records" / "s.json", record("sanity-unigram_fluency__bo"))
    told: list[str] = []
    done = submit(tmp_path / "run", tmp_path / "board", examiner(), told.append)
    assert {path.name for path in done.stored} == {"prompt__ada.json.gz", "sanity-unigram_fluency__bo.json.gz"}
    assert len(done.checked) == 2
    assert told[-1] == "2 records of sanity systems left aside: the board has them"


@pytest.mark.parametrize("task", TASKS)
def test_every_metric_of_every_task_changed_by_hand_is_told(task: str) -> None:
    content = record("prompt__ada", task)
    expected = []
    for metric in rows(content, task)[0]["metrics"]:
        scored = [row for row in rows(content, task) if row["metrics"][metric][1]]
        row = (scored or rows(content, task))[-1]
        value = row["metrics"][metric][0]
        changed = 1.0 if value is None else value + (-0.25 if value >= 0.5 else 0.25)
        row["metrics"][metric] = [changed, True]
        was = "unscored" if value is None else f"{value:.12g}"
        where = f"{task.removeprefix('persbench_')}, ada, document {row['id']}"
        expected.append(f"{where}: {metric} is {changed:.12g} in the record and {was} from")
    found = faults(content)
    assert found.number == {METRICS: len(expected)}
    assert all(line in found.text() for line in expected)


@pytest.mark.parametrize("task", sorted(BUILDERS))
def test_a_scored_metric_declared_unscored_is_told(task: str) -> None:
    content = record("prompt__ada", task)
    row, metric = next((r, m) for r in rows(content, task) for m, pair in r["metrics"].items() if pair[1])
    row["metrics"][metric] = [None, False]
    assert f"{metric} is unscored in the record" in messages(content)


def parts_of(row: dict[str, Any]) -> list[dict[str, Any]]:
    """What is changed: one branch, or all where a flip anywhere decides."""
    parts: list[dict[str, Any]] = row.get("branches", [row])
    return parts if "turn_of_flip" in row["metrics"] else parts[:1]


def raise_own(row: dict[str, Any]) -> None:
    for part in parts_of(row):
        part["loglikelihoods"][row["own"]] = 0.0


def lower_anchor(row: dict[str, Any]) -> None:
    for part in parts_of(row):
        part["anchors"][row["own"]] = -90.0


@pytest.mark.parametrize("change", [raise_own, lower_anchor])
@pytest.mark.parametrize(
    "task", ["costume", "attitude", "knowledge", "who_said", "induction", "pressure", "consistency", "stages"]
)
def test_answers_changed_under_their_metrics_are_told(task: str, change: Any) -> None:
    content = record("prompt__ada", f"persbench_{task}")
    change(rows(content, f"persbench_{task}")[0])
    assert set(faults(content).number) == {METRICS}


@pytest.mark.parametrize("task", ["reply", "general_reply", "induction_reply", "distinction"])
def test_replies_changed_under_their_metrics_are_told(task: str) -> None:
    content = record("prompt__ada", f"persbench_{task}")
    row = rows(content, f"persbench_{task}")[0]
    if "reply" in row:
        row["reply"] = "Something else, and longer than it was."
    else:
        row["replies"][0] = "Something else, and longer than it was."
    assert set(faults(content).number) == {METRICS}


def test_letters_are_read_again_in_both_orders() -> None:
    """The own answer's letter under both orders wins both duels; another letter under the same metrics is told."""
    content = record("prompt__ada", "persbench_costume_gen")
    del content["signature"]["anchors"]
    row = rows(rekey(content), "persbench_costume_gen")[0]
    doc = dict(examiner().documents("persbench_costume_gen", "ada")[row["id"]])
    put_letters(doc)
    letters = ["ABC"[order.index(doc["own"])] for order in doc["orders"]]
    row |= {"replies": letters, "chosen": [doc["own"]] * 2}
    row["metrics"] = {"content_acc": [1.0, True], "voice_acc": [1.0, True]}
    assert not faults(content)
    row["replies"] = ["ABC"[order.index((doc["own"] + 1) % 3)] for order in doc["orders"]]
    assert METRICS in faults(content).number


def test_other_letters_and_other_classes_are_told() -> None:
    content = record("prompt__ada", "persbench_costume_gen", "persbench_induction_reply")
    rows(content, "persbench_costume_gen")[0]["chosen"] = [0, 1]
    row = rows(content, "persbench_induction_reply")[0]
    row["sorted_as"] = "evade" if row["sorted_as"] != "evade" else "resist"
    told = messages(content)
    assert "chosen is" in told
    assert "sorted_as is" in told


def test_anchors_changed_with_all_their_metrics_still_miss_their_hash() -> None:
    """General loss hangs on one anchor alone: the forger changes both by the same."""
    content = record("prompt__ada")
    row = rows(content, "persbench_general")[0]
    row["anchors"][0] += 0.01
    row["metrics"]["general_loss"][0] += 0.01
    found = faults(content)
    assert set(found.number) == {SETTINGS}
    assert "the anchors of its samples have the hash" in found.text()


def test_anchors_of_the_same_model_must_agree_with_the_board(tmp_path: Path) -> None:
    write(tmp_path / "a" / "records" / "a.json", record("vanilla__ada"))
    accepted(tmp_path / "a", tmp_path / "board")
    content = record("prompt__ada", "persbench_general")
    del content["signature"]["anchors"]
    for row in rows(content, "persbench_general"):
        row["anchors"][0] += 0.5
        row["metrics"]["general_loss"][0] += 0.5
    told = refused(write(tmp_path / "b.json", rekey(content)), tmp_path / "board")
    assert "the anchors of persbench_general lie up to 0.500 nats per byte from those of the same untuned model" in told


def test_documents_lacking_twice_or_of_elsewhere_are_told_together() -> None:
    content = record("prompt__ada", "persbench_attitude", "persbench_costume", "persbench_knowledge")
    del rows(content, "persbench_attitude")[2]
    rows(content, "persbench_costume").append(rows(content, "persbench_costume")[1])
    rows(content, "persbench_knowledge")[0]["id"] = "knowledge/../../etc"
    found = faults(content)
    assert set(found.number) == {DOCUMENTS}
    told = found.text()
    assert "attitude, ada: lacks 1 of 8 documents" in told
    assert "costume, ada: holds twice 1 of 6 documents" in told
    assert "knowledge, ada: lacks 1 of 6" in told
    assert "holds what the pack has not: 1 of 6 documents: 'knowledge/../../etc'" in told


STATEMENT = {"id": "x", "domain": "O", "keyed": 1, "target": 1.0}
MISFITS: list[tuple[str, str, Any]] = [
    ("costume", "bytes", [1, 2, 3]),
    ("costume", "own", 2),
    ("costume", "system", "vanilla"),
    ("costume", "rendering", "none"),
    ("costume", "labels", ["own", "own", "own"]),
    ("costume", "reply", "I am not asked to speak."),
    ("attitude", "chance", {"attitude_acc": 0.1}),
    ("who_said", "cluster", "q99"),
    ("induction", "kind", "other"),
    ("traits", "statement", STATEMENT),
    ("pressure", "target", "zz"),
    ("consistency", "probes", {"talk": []}),
    ("reply", "pack_hash", "ab" * 32),
]


@pytest.mark.parametrize(("task", "field", "value"), MISFITS)
def test_bookkeeping_must_be_that_of_the_pack(task: str, field: str, value: Any) -> None:
    content = record("prompt__ada", f"persbench_{task}")
    rows(content, f"persbench_{task}")[0][field] = value
    found = faults(content)
    assert set(found.number) == {DOCUMENTS}
    assert field in found.text()


def test_numbers_and_texts_out_of_bounds_are_told() -> None:
    content = record("prompt__ada")
    rows(content, "persbench_costume")[0]["loglikelihoods"][0] = 0.5
    rows(content, "persbench_attitude")[0]["loglikelihoods"][0] = -1e7
    rows(content, "persbench_knowledge")[0]["anchors"][0] = 0.1
    rows(content, "persbench_who_said")[0]["loglikelihoods"].append(-3.0)
    rows(content, "persbench_reply")[0]["reply"] = "word " * 10_000
    rows(content, "persbench_distinction")[0]["replies"] = ["one alone"]
    rows(content, "persbench_stages")[0]["branches"].pop()
    found = faults(content)
    assert found.number == {BOUNDS: 7}


def test_dialogues_must_follow_their_script_to_the_end_or_say_why_not() -> None:
    content = record("prompt__ada", "persbench_pressure", "persbench_consistency", "persbench_pressure_gen")
    rows(content, "persbench_pressure")[0]["transcripts"]["control"].pop()
    rows(content, "persbench_consistency")[0]["transcripts"]["talk"][1]["user"] = "And now for something else."
    rows(content, "persbench_pressure_gen")[0]["transcripts"]["pressure"][0]["reply"] = " "
    found = faults(content)
    assert found.number == {BOUNDS: 3}
    assert "ends after" in found.text()
    assert "turn 2 of the user is 'And now for something else.'" in found.text()


def test_a_probe_that_was_reached_cannot_be_left_out() -> None:
    content = record("prompt__ada", "persbench_pressure")
    rows(content, "persbench_pressure")[0]["branches"].pop(0)
    assert "its dialogues reached" in messages(content)


def test_losing_the_numbers_of_lost_items_is_no_way_out() -> None:
    """Unscored is never zero, so what one would lose could be made unscored: up to one item in twenty is believed."""
    content = record("prompt__ada", "persbench_knowledge")
    for row in rows(content, "persbench_knowledge")[:3]:
        row["loglikelihoods"] = [None] * len(row["loglikelihoods"])
        row["metrics"] = {name: [None, False] for name in row["metrics"]}
    assert "knowledge: 3 of 6 samples lack a log-likelihood" in messages(content)
    content = record("prompt__ada", "persbench_knowledge")
    del content["signature"]["anchors"]
    samples = rows(rekey(content), "persbench_knowledge")
    for number, row in enumerate(samples, start=1):
        row["anchors"] = None
        row["metrics"] |= {name: [None, False] for name in row["metrics"] if not name.endswith("_raw")}
        found = messages(content)
        assert ("lack an anchor" in found) == (number < len(samples)), number  # without any it is raw, and says so


def test_scores_of_a_rule_are_made_again_from_nothing() -> None:
    content = record("sanity-longest__bo")
    rows(content, "persbench_costume")[0]["scores"][0] += 100
    rows(content, "persbench_attitude")[0]["metrics"]["attitude_acc"] = [1.0, True]
    found = faults(content)
    assert found.number == {METRICS: 2}
    content = record("sanity-longest__bo")
    content["system"] = content["signature"]["system"] = "sanity:cleverest"
    assert "is no sanity system" in messages(rekey(content))


def test_a_trained_system_is_accepted_with_its_card_and_refused_without(tmp_path: Path) -> None:
    card = AdapterCard(
        persona="ada", world="fake", recipe="quick", seed=1, speaks_analysis=False, speaks_temporal=True, labels=(),
        base="b", base_digest="ab" * 32, base_vocab_size=9, pack_hash="cd" * 32, data_hash="ef" * 32,
    )  # fmt: skip
    content = record("prompt__ada", "persbench_costume", "persbench_general_reply")
    content["system"] = "quick"
    content["signature"] |= {
        "system": f"quick@{Trained('quick', RECIPES['quick']).fingerprint}",
        "recipe": "quick", "training_seed": 1, "adapter": "0123456789ab",
    }  # fmt: skip
    del content["signature"]["anchors"]
    for task in content["tasks"]:
        for row in rows(content, task):
            row["system"] = "quick"
    content["provenance"]["adapter"] = json.loads(card.model_dump_json())
    other = json.loads(json.dumps(rekey(content)))
    done = accepted(write(tmp_path / "quick.json", content), tmp_path / "board")
    assert done.stored[0].name == "quick__ada.json.gz"
    other["provenance"]["adapter"]["persona"] = "bo"
    assert "the adapter's persona is 'bo', and the record's 'ada'" in messages(other)
    del other["provenance"]["adapter"]
    assert "provenance holds no card" in messages(other)


@pytest.mark.parametrize("moved", [0.0, 1e-7])
def test_a_copy_under_another_name_is_told(moved: float, tmp_path: Path) -> None:
    write(tmp_path / "run" / "records" / "vanilla.json", record("vanilla__ada"))
    accepted(tmp_path / "run", tmp_path / "board")
    content = record("prompt__ada")
    content["tasks"]["persbench_knowledge"] = record("vanilla__ada")["tasks"]["persbench_knowledge"]
    for row in rows(content, "persbench_knowledge"):
        row["system"] = "prompt"
        row["loglikelihoods"][0] -= moved
    told = refused(write(tmp_path / "copy.json", content), tmp_path / "board")
    assert "the log-likelihoods of 'persbench_knowledge' are those of vanilla in" in told


def test_a_copy_under_another_model_is_told_and_the_same_model_again_is_none(tmp_path: Path) -> None:
    accepted(write(tmp_path / "first.json", record("prompt__ada")), tmp_path / "board")
    again = record("prompt__ada")
    again["signature"]["batch"] = "8"
    assert accepted(write(tmp_path / "again.json", rekey(again)), tmp_path / "board").stored
    again["signature"]["model"] = "Another-7B@0123456789ab"
    told = refused(write(tmp_path / "copy.json", rekey(again)), tmp_path / "board")
    assert "are those of prompt in" in told


def test_systems_that_a_pack_gives_the_same_prompts_may_agree(tmp_path: Path) -> None:
    data = examiner().pack.persona("ada")
    assert prompted_alike(data) == {"prompt"}
    assert prompted_alike(replace(data, train=())) == {"prompt", "icl"}
    assert prompted_alike(replace(data, train=(), materials=())) == {"prompt", "icl", "rag", "rag-paper"}
    one, two = (record_of(record(f"{name}__ada"), Findings()) for name in ("prompt", "prompt"))
    assert one is not None
    assert two is not None
    other = replace(two.record, system="icl")
    first, second = Standing(one.record, "a", one.rows), Standing(other, "b", two.rows)
    for alike, copies in (frozenset({"prompt"}), 1), (frozenset({"prompt", "icl"}), 0):
        check_against(first, second, found := Findings(), alike)
        assert found.number.get(COPIES, 0) == copies


@pytest.mark.parametrize("form", ["card", "stock"])
def test_a_trained_system_is_no_baseline(form: str) -> None:
    content = record("prompt__ada", "persbench_costume")
    content["provenance"] |= {"adapter": {"persona": "ada"}} if form == "card" else {STOCK: {"adapter": "x"}}
    content["signature"] |= {"system": "prompt"} if form == "stock" else {}
    assert "prompt works by prompt alone" in messages(rekey(content))


def test_what_needs_another_embedder_is_refused_or_marked(tmp_path: Path) -> None:
    content = record("prompt__ada", "persbench_reply")
    content["signature"]["embedder"] = "another"
    del content["signature"]["anchors"]
    path = write(tmp_path / "another.json", rekey(content))
    assert "persbench model fetch" in refused(path, tmp_path / "board")
    examiner().without_embedder = True
    try:
        done = accepted(path, tmp_path / "board")
    finally:
        examiner().without_embedder = False
    marked = load_record(done.stored[0])
    assert marked.run["submission"]["not_recomputed"] == ["cosine_lift", "cosine_nearest"]
    assert marked.not_recomputed == ("cosine_lift", "cosine_nearest")
