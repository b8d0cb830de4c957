"""Facts told in further dialogues, and items that ask for them: what is told is named, and nothing is copied."""

from __future__ import annotations

import shutil
from functools import partial
from itertools import combinations
from pathlib import Path
from statistics import fmean

import facts
import pytest
import unseen
from made_knowledge import save_made
from word_runs import runs_of_four

from persbench.errors import PersbenchError
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack
from persbench.scoring.words import words

DEV = Path(__file__).parent.parent / "leaderboard" / "dev"
PERSONAS = ("betsin", "fulke", "ivo", "nedda", "osmer", "zilla")
SONG = ("pull", "away", "the", "grey")  # has no other words


def test_each_fact_is_told_on_three_occasions_that_copy_nothing() -> None:
    groups: dict[str, list[dict[str, object]]] = {}
    for row in unseen.written(facts.FACTS).values():
        groups.setdefault(row["id"][:-1], []).append(row)
    pack = load_pack(resolve_pack(None))
    materials = [material.id for name in PERSONAS for material in pack.persona(name).materials]
    assert sorted(groups) == sorted(f"{name}-{number}" for name in materials for number in (1, 2))
    for name, told in groups.items():
        assert [str(row["id"])[-1] for row in told] == ["a", "b", "c"], name
        assert len({str(row["facts"]) for row in told}) == 1, name
        for one, other in combinations(told, 2):
            shared = runs_of_four(str(one["response"])) & runs_of_four(str(other["response"])) - {SONG}
            assert not shared, (one["id"], other["id"])


def test_an_item_names_rows_that_tell_its_fact_and_copies_none_of_them() -> None:
    told = {row["id"]: row["response"] for row in unseen.written(facts.FACTS).values()}
    asked = unseen.written(facts.ITEMS).values()
    assert len(asked) == len(facts.ITEMS.read_text("utf-8").splitlines()) == 256
    for item in asked:
        foils = set.intersection(*map(runs_of_four, item["foils"]))
        for name in item["told"]:  # a reply's own words: those that are not in its foils, too
            assert not (runs_of_four(item["gold"]) - foils) & runs_of_four(told[name]), (item["id"], name)


def test_each_half_tells_every_second_material_and_every_item_is_asked(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    unseen.write_training_rows(plain, lambda _: [])
    learnt = {data.persona.id: {row.id for row in data.train} for data in load_pack(plain).personas}
    rows = {}
    for half in facts.HALVES:
        unseen.write_training_rows(tmp_path / half, partial(facts.dialogues, half=half))
        for data in load_pack(tmp_path / half).personas:
            told = rows[data.persona.id, half] = {row.id for row in data.train} - learnt[data.persona.id]
            assert len(told) == 3 * len(data.materials) == (48 if data.persona.minor else 144)  # of half, two groups
            assert {half} == {facts.half_of(row) for row in told}
            assert len(data.train) == len(learnt[data.persona.id]) + len(told)
    for name in PERSONAS:
        assert not rows[name, "odd"] & rows[name, "even"]
    unseen.write_items(tmp_path / "pack", lambda data, _: facts.items(data))
    asked = load_pack(tmp_path / "pack")
    items = unseen.written(facts.ITEMS).values()
    assert [len(asked.persona(name).knowledge) for name in PERSONAS] == [48, 48, 48, 48, 48, 16]
    assert {row for item in items for row in item["told"]} <= set.union(*rows.values())


def test_the_whole_world_learns_both_halves_and_is_asked_what_it_always_was(tmp_path: Path) -> None:
    facts.write_whole(tmp_path / "all")
    whole, plain = load_pack(tmp_path / "all"), load_pack(resolve_pack(None))
    further = set(unseen.written(facts.FACTS))
    for name in PERSONAS:
        learnt = {row.id for row in plain.persona(name).train}
        assert {row.id for row in whole.persona(name).train} - learnt == {
            row for row in further if row.startswith(name)
        }
        assert whole.persona(name).knowledge == plain.persona(name).knowledge
    with pytest.raises(PersbenchError, match="is there already"):
        facts.write_whole(tmp_path / "all")


def test_a_fact_counts_as_told_to_who_was_told_it(tmp_path: Path) -> None:
    """A system that is right on all that its half tells, and one that never is."""
    items = unseen.written(facts.ITEMS)
    for half in facts.HALVES:
        save_made(tmp_path, f"facts-{half}", {name: half in facts.told_by(item) for name, item in items.items()})
    told = facts.table(tmp_path).splitlines()
    asked = items.values()
    for line, half in zip(told[2:4], ("even", "odd"), strict=True):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        n = sum(half in facts.told_by(item) for item in asked)
        right, wrong = ["1.00 [1.00 1.00]", "+1.0", str(n)], ["0.00 [.00 .00]", "+1.0", str(len(asked) - n)]
        assert cells == [f"facts-{half}", *right, *wrong]
    one_half = [item for item in asked if len(facts.told_by(item)) == 1]
    trained = [item for item in one_half if item["trained"]]
    foils_told = [item for item in one_half if not item["trained"] and "foils_told" in item]
    kinds = {
        facts.ALONE: len(one_half) - len(foils_told) - len(trained),
        facts.FOILS_TOLD: len(foils_told),
        facts.IN_TRAIN: len(trained),
    }
    assert len(told) == 2 + 2 + 1 + 2 + len(kinds)  # two systems, and what telling adds of each kind of fact
    for line, (where, number) in zip(told[-len(kinds) :], kinds.items(), strict=True):
        assert line.startswith(f"| told - not told | {where} | +1.000 [+1.000 +1.000]")
        assert line.endswith(f"| {number} |")


def stems(text: str) -> set[str]:
    """Return its words, of one or many, whoever owns them: `Dunmow's` and `walnuts` as `dunmow` and `walnut`."""
    return {word.removesuffix("'s").rstrip("s") for word in words(text)}


def test_a_false_reply_is_of_words_that_the_same_half_told_of_something_else() -> None:
    responses: dict[str, str] = {}
    for row in unseen.written(facts.FACTS).values():
        responses[row["id"][:-1]] = f"{responses.get(row['id'][:-1], '')} {row['response']} {row['facts']}"
    asked = [item for item in unseen.written(facts.ITEMS).values() if item.get("foils_told")]
    assert len(asked) == 160
    for item in asked:
        frame = set.intersection(*(stems(text) for text in (item["gold"], *item["foils"])))
        for foil, group in zip(item["foils"], item["foils_told"], strict=True):
            own = stems(foil) - frame
            assert 2 * len(own & stems(responses[group])) >= len(own), (item["id"], foil, group)
            assert facts.half_of(group) in facts.told_by(item), (item["id"], group)


def test_the_words_of_a_told_fact_are_no_more_familiar_than_those_of_its_false_replies() -> None:
    items = unseen.written(facts.ITEMS).values()
    names = [item["id"] for item in items if item.get("foils_told") and len(facts.told_by(item)) == 1]
    told, others = facts.words_met(names)
    assert len(told) == len(others) == len(names) > 100
    assert abs(fmean(found.more for found in told)) < 0.03  # of the words of a reply
    assert fmean(found.taken for found in told) < 0.3  # a quarter is chance


def test_the_committed_tables_follow_from_the_committed_records() -> None:
    told = (DEV / "README.md").read_text(encoding="utf-8")
    assert facts.table(DEV / "facts") in told
    assert facts.vocabulary(DEV / "facts") in told
    assert facts.table(DEV / "facts_foils_told") in told
    assert facts.vocabulary(DEV / "facts_foils_told") in told
    assert facts.table(DEV / "facts_without_analysis") in told


def test_records_of_other_items_and_of_too_few_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PersbenchError, match=r"is no item of a pack by facts\.py"):
        facts.table(DEV / "unseen")
    (tmp_path / "records").mkdir()
    shutil.copy(DEV / "facts" / "records" / "vanilla__nedda.json.gz", tmp_path / "records")
    with pytest.raises(PersbenchError, match=r"^0 items in .* were asked of both facts-odd and facts-even"):
        facts.vocabulary(tmp_path)
