"""All families, on the fake pack and on Grettow: nothing of a test leaks into a request, and designs are balanced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from persbench.harness import documents as docs
from persbench.harness.documents import BUILDERS, branches_of, documents_of, stages_of
from persbench.harness.fake_lm import FakeLM
from persbench.harness.rendering import render
from persbench.packs.bundled import bundled_pack, fake_pack
from persbench.packs.load import Pack, PersonaData, load_pack
from persbench.systems.registry import get_system

PACKS = {"fake": fake_pack(), "grettow": bundled_pack("grettow")}
TEMPLATE = FakeLM().apply_chat_template


@cache
def pack_of(name: str) -> Pack:
    return load_pack(PACKS[name])


@pytest.fixture(params=sorted(PACKS))
def pack(request: pytest.FixtureRequest) -> Pack:
    return pack_of(request.param)


def rows_of(pack: Pack, task: str, system: str = "prompt") -> list[dict[str, Any]]:
    return [row for data in pack.personas for row in documents_of(task, pack, data, get_system(system))]


def rendered(row: dict[str, Any]) -> str:
    """All that a model may be sent of a document: its messages, branch by branch, and the turns it is played on."""
    said = [render(branch["messages"], TEMPLATE).context for branch in [row, *branches_of(row)]]
    said += [turn for turns in row.get("scripts", {}).values() for turn in turns]
    said += [probe["ask"] for probes in row.get("probes", {}).values() for probe in probes]
    return "\n".join(said)


def authored(data: PersonaData) -> Iterator[tuple[str, str]]:
    """Yield every text of a persona that is for tests alone, with what it is."""
    for stage in data.persona.stages.values():
        yield from (("cannot_know", text) for text in stage.cannot_know)
        yield from (("trait target", target.reason) for target in stage.traits.values())
    yield from (("answer", answer.reply) for answer in data.answers)
    for contrast in data.contrast:
        yield from (("contrast", text) for text in (contrast.voice_only.reply, contrast.stance_only.reply))
    for known in data.knowledge:
        yield from (("knowledge", text) for text in (known.gold, *known.foils))
    for item in data.induction:
        yield from (("induction", text) for text in (item.resist, item.yield_, item.affirm, item.deny))
    for change in data.stage_items:
        yield from (("stages", text) for text in change.replies.values())


@pytest.mark.parametrize("system", ["vanilla", "prompt"])
def test_no_text_of_a_test_stands_in_any_request(pack: Pack, system: str) -> None:
    """Every text is looked for in the requests of everyone: another persona's gold would tell as much."""
    secret = [(what, text.strip()) for data in pack.personas for what, text in authored(data)]
    assert {what for what, _ in secret} == {
        "cannot_know", "trait target", "answer", "contrast", "knowledge", "induction", "stages",
    }  # fmt: skip
    assert min(len(text) for _, text in secret) > 12
    assert not [text for _, text in secret if "\n" in text]  # below, each line is looked through once
    sent = {line for task in BUILDERS for row in rows_of(pack, task, system) for line in rendered(row).split("\n")}
    everything = "\n".join(sorted(sent))
    assert not [(what, text) for what, text in secret if text in everything]


@pytest.mark.parametrize("task", sorted(set(BUILDERS) - {"persbench_traits"}))
def test_no_candidate_stands_in_its_own_request(pack: Pack, task: str) -> None:
    """Trait statements show their five options; nothing else shows what is chosen among."""
    for row in rows_of(pack, task):
        text = rendered(row)
        assert not [candidate for candidate in row["candidates"] if candidate in text]


def test_requests_do_not_depend_on_trait_targets_or_on_what_cannot_be_known() -> None:
    """Turned round and taken away, they change the targets that documents carry for scoring, and no message."""
    pack = pack_of("fake")
    turned = replace(pack, personas=tuple(map(_turned, pack.personas)))
    for task in BUILDERS:
        before, after = rows_of(pack, task), rows_of(turned, task)
        assert [rendered(row) for row in before] == [rendered(row) for row in after]
    targets = [row["statement"]["target"] for row in rows_of(pack, "persbench_traits")]
    assert [row["statement"]["target"] for row in rows_of(turned, "persbench_traits")] == [6 - t for t in targets]


def _turned(data: PersonaData) -> PersonaData:
    stages = {}
    for name, profile in data.persona.stages.items():
        traits = {
            domain: target.model_copy(update={"score": 6 - target.score, "reason": "Turned."})
            for domain, target in profile.traits.items()
        }
        stages[name] = profile.model_copy(update={"traits": traits, "cannot_know": ()})
    return replace(data, persona=data.persona.model_copy(update={"stages": stages}))


@pytest.mark.parametrize("task", sorted(BUILDERS))
def test_every_id_is_unique_within_task_and_persona(pack: Pack, task: str) -> None:
    rows = rows_of(pack, task)
    assert rows
    assert max(Counter((row["persona"], row["id"]) for row in rows).values()) == 1
    assert max(Counter(row["id"] for row in rows).values()) == 1  # and, on these packs, among all personas


def test_each_wording_is_asked_equally_often_at_each_depth(pack: Pack) -> None:
    for data in pack.personas:
        for stage in stages_of(pack, data):
            rows = documents_of("persbench_consistency", pack, data, get_system("vanilla"))
            counts: Counter[tuple[int, int]] = Counter()
            for row in (row for row in rows if row["stage"] == stage.id):
                question = pack.question(row["cluster"])
                wordings = [question.text, *question.paraphrases]
                asked = [wordings.index(probe["ask"]) for probe in row["probes"]["talk"]]
                assert sorted(asked) == [0, 1, 2]  # each wording once a dialogue
                counts.update(enumerate(asked))
            often = [counts[depth, wording] for depth in range(3) for wording in range(3)]
            assert sum(often) == 3 * len(pack.cross_turn)
            assert max(often) - min(often) <= 1


def test_two_stages_of_a_persona_are_asked_in_different_wordings(pack: Pack) -> None:
    asked: dict[tuple[str, str], list[list[str]]] = {}
    for row in rows_of(pack, "persbench_consistency", "vanilla"):
        script = row["id"].rpartition("/")[2]
        asked.setdefault((row["persona"], script), []).append([p["ask"] for p in row["probes"]["talk"]])
    for early, late in asked.values():
        assert all(one != other for one, other in zip(early, late, strict=True))


def test_pressure_is_never_towards_the_own_stance_and_as_long_as_its_control(pack: Pack) -> None:
    scripts = {(script.question, script.target): list(script.turns) for script in pack.pressure}
    for row in rows_of(pack, "persbench_pressure"):
        answer = pack.persona(row["persona"]).answer(row["cluster"], row["stage"])
        assert answer is not None
        assert row["stances"][row["own"]] == answer.stance
        assert row["target"] in row["stances"]
        assert row["target"] != answer.stance
        question = pack.question(row["cluster"]).text
        assert row["scripts"] == {
            "pressure": [question, *scripts[row["cluster"], row["target"]]],
            "control": [question, *scripts[row["cluster"], None]],
        }
        pressure, control = (row["probes"][name] for name in ("pressure", "control"))
        assert pressure == control  # the same wording after the same turn
        assert [probe["after"] for probe in pressure] == list(range(1, len(row["scripts"]["pressure"]) + 1))


def test_each_rival_stance_is_picked_about_equally_often() -> None:
    """Of 192 dialogues each of three rivals gets 64, each of four stances 48: within three standard deviations."""
    rows = rows_of(pack_of("grettow"), "persbench_pressure", "vanilla")
    assert len(rows) == 192
    rivals: Counter[int] = Counter()
    for row in rows:
        others = sorted(set(row["stances"]) - {row["stances"][row["own"]]})
        rivals[others.index(row["target"])] += 1
    assert all(abs(rivals[place] - 64) <= 3 * (192 * 1 / 3 * 2 / 3) ** 0.5 for place in range(3))
    stances = Counter(row["target"] for row in rows)
    assert len(stances) == 4
    assert all(abs(count - 48) <= 3 * (192 * 1 / 4 * 3 / 4) ** 0.5 for count in stances.values())


def test_induction_is_the_induced_prompt_and_then_its_control(pack: Pack) -> None:
    items = {item.id: item for data in pack.personas for item in data.induction}
    rows = rows_of(pack, "persbench_induction")
    assert len(rows) == len(items)
    for row in rows:
        item = items[row["id"].removeprefix("induction/")]
        assert [branch["label"] for branch in row["branches"]] == ["induced", "control"]
        assert [branch["ask"] for branch in row["branches"]] == [item.induced, item.control]
        assert [branch["messages"][-1]["content"] for branch in row["branches"]] == [item.induced, item.control]
        assert row["branches"][0]["messages"][:-1] == row["branches"][1]["messages"][:-1]
        by_label = dict(zip(row["labels"], row["candidates"], strict=True))
        assert by_label == {"resist": item.resist, "yield": item.yield_, "affirm": item.affirm, "deny": item.deny}


def test_a_scale_of_one_s_own_replaces_the_statements_and_changes_the_hash(tmp_path: Path) -> None:
    scale = tmp_path / "scale.csv"
    scale.write_text(
        "id,domain,facet,keyed,text,paraphrase\n"
        "n1,N,worry,1,I worry a lot.,Worry is my habit.\n"
        "h1,Honesty,fairness,-1,I would keep a purse.,\n"
    )
    asked = {"pack": str(fake_pack()), "persona": "ada", "system": "prompt"}
    own, other = (docs.traits(**asked, **more)["test"] for more in ({}, {"instrument": str(scale)}))
    assert {row["statement"]["id"] for row in own} == {"o01", "c01"}
    assert {row["statement"]["id"] for row in other} == {"n1", "h1"}
    assert {row["pack_hash"] for row in own} == {pack_of("fake").hash}
    assert not {row["pack_hash"] for row in own} & {row["pack_hash"] for row in other}
    found = {(row["stage"], row["statement"]["id"]): row for row in other}
    targets = {key: row["statement"]["target"] for key, row in found.items()}
    assert targets == {("early", "n1"): 3.9, ("late", "n1"): 2.4, ("early", "h1"): None, ("late", "h1"): None}
    assert len(found["early", "n1"]["branches"]) == 3
    assert len(found["early", "h1"]["branches"]) == 2  # no paraphrase
    assert "I would keep a purse." in found["late", "h1"]["branches"][1]["ask"]
    scale.write_text(scale.read_text().replace("a lot", "much"))
    third = docs.traits(**asked, instrument=str(scale))["test"]
    assert third[0]["pack_hash"] != other[0]["pack_hash"]
