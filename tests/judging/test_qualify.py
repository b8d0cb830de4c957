"""Examining judges that are known: one that knows everything, one that always takes the first, the longest, a coin."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from table_judge import Fields, constant, judge_that, oracle, ranked_by, texts_of
from word_embedder import WordEmbedder

from persbench.errors import PersbenchError, UnknownNameError
from persbench.judging.authored import EXAMS, FAMILIES, Family, authored_pairs
from persbench.judging.cases import KINDS
from persbench.judging.judge import Judge
from persbench.judging.measures import Exam
from persbench.judging.qualification import Qualification
from persbench.judging.qualify import ExamSettings, qualify
from persbench.judging.trivial import TRIVIAL, trivial_credits
from persbench.packs.bundled import bundled_pack, fake_pack
from persbench.packs.load import load_pack
from persbench.packs.pack import Pack
from persbench.provenance import digest


@cache
def grettow() -> Pack:
    return load_pack(bundled_pack())


@cache
def fake() -> Pack:
    return load_pack(fake_pack())


def silent(_: str, __: int) -> Any:
    return nullcontext(lambda _: None)


def examine(judge: Judge, pack: Pack | None = None, **settings: Any) -> Qualification:
    return qualify(
        judge, pack or grettow(), WordEmbedder(), ExamSettings(**{"limit": 48, "repeat": 12} | settings), silent
    )


def by_name(found: Qualification) -> dict[tuple[str, str], Exam]:
    return {(exam.kind, exam.family): exam for exam in found.exams}


def longest(prompt: str, fields: Fields, seed: int) -> Any:
    return ranked_by(texts_of(fields), len)


def coin(prompt: str, fields: Fields, seed: int) -> Any:
    """Every text has a worth of its own, drawn anew with every seed."""
    return ranked_by(texts_of(fields), lambda text: int(digest([text, seed], 8), 16))


def test_one_that_knows_everything_qualifies_in_every_kind() -> None:
    found = examine(judge_that(oracle(grettow())))
    assert {exam.kind for exam in found.exams} == set(KINDS)
    assert [(exam.kind, exam.family) for exam in found.exams] == [(k, f) for k in KINDS for f in EXAMS[k]]
    for exam in found.exams:
        assert (exam.accuracy.mean, exam.accuracy.n, exam.unscored) == (1.0, 48, {}), exam.family
        assert (exam.length.mean, exam.again and exam.again.mean) == (0.0, 1.0)
        assert exam.failure == ""
        assert exam.position is None or exam.position.mean == 0.0
    assert [found.standing(kind).qualified for kind in KINDS] == [True] * 5
    assert found.tokens > 0
    assert found.signature.startswith("judge:table|prompts:")
    assert f"pack:grettow-{grettow().world.version}@{grettow().hash[:12]}" in found.signature


def test_one_that_always_takes_the_first_is_at_chance_and_its_leaning_is_seen() -> None:
    found = by_name(examine(judge_that(constant)))
    for (kind, family), exam in found.items():
        assert exam.accuracy.mean == 0.5, (kind, family)
        assert exam.failure.startswith("its lead over ")
        assert exam.position is None or (exam.position.mean, exam.position.low) == (1.0, 1.0)
        assert exam.position is not None or kind != "rank"


def test_one_that_always_takes_the_longest_is_seen_through() -> None:
    exam = by_name(examine(judge_that(longest), kinds=("rank",)))["rank", "content"]
    pairs = authored_pairs(grettow(), "content", limit=48)
    unequal = [pair for pair in pairs if len(pair.right) != len(pair.wrong)]
    assert (exam.length.mean, exam.length.n) == (1.0, len(unequal))
    assert exam.position is not None
    assert exam.position.mean == 0.0
    assert exam.accuracy.mean == exam.trivial["longest"].mean
    assert (exam.gaps["longest"].mean, exam.gaps["longest"].low, exam.gaps["longest"].high) == (0.0, 0.0, 0.0)
    assert exam.failure


def test_a_coin_neither_qualifies_nor_agrees_with_itself() -> None:
    found = examine(judge_that(coin), kinds=("rank",), limit=None, repeat=288)
    exam = by_name(found)["rank", "content"]
    assert exam.accuracy.low is not None
    assert exam.accuracy.high is not None
    assert exam.accuracy.low < 0.5 < exam.accuracy.high
    assert exam.again is not None
    assert exam.again.mean == pytest.approx(0.5, abs=0.1)
    assert exam.position is not None
    assert exam.position.mean == 0.0  # it takes the same text in both orders
    assert not found.standing("rank").qualified


def unanswered(share: float) -> Any:
    """Knows everything, and has no answer to that share of questions."""
    knows = oracle(grettow())

    def say(prompt: str, fields: Fields, seed: int) -> Any:
        drawn = int(digest([prompt, fields, "asked"], 8), 16) / 16**8
        return None if drawn < share else knows(prompt, fields, seed)

    return say


def test_what_is_unscored_counts_neither_for_nor_against() -> None:
    exam = by_name(examine(judge_that(unanswered(0.08)), kinds=("agree",)))["agree", "content"]
    lost = sum(exam.unscored.values())
    assert exam.unscored == {"unanswered": lost}
    assert lost > 0
    assert (exam.accuracy.mean, exam.verdicts) == (1.0, 96)
    assert exam.accuracy.n + exam.accuracy.unscored == 48
    assert exam.trivial["longest"].n == exam.accuracy.n  # on the very same pairs
    assert exam.failure == ""


def test_one_that_leaves_too_much_unscored_does_not_qualify_however_right_the_rest_is() -> None:
    found = examine(judge_that(unanswered(0.5)), kinds=("agree",))
    exam = by_name(found)["agree", "content"]
    assert exam.accuracy.mean == 1.0
    assert "of its verdicts are unscored" in exam.failure
    assert not found.standing("agree").qualified
    nothing = by_name(examine(judge_that(lambda *_: "no JSON"), kinds=("agree",), limit=4))["agree", "content"]
    assert (nothing.accuracy.mean, nothing.unscored, nothing.unscored_rate) == (None, {"malformed": 8}, 1.0)
    assert nothing.again is not None
    assert nothing.again.mean is None


def test_a_pack_without_some_files_is_examined_on_the_rest(folder: Path) -> None:
    for path in folder.rglob("contrast.jsonl"):
        path.unlink()
    pack = load_pack(folder)
    found = examine(judge_that(oracle(pack)), pack)
    assert {exam.family for exam in found.exams} == {"knowledge", "induction", "questions"}
    for name in ("knowledge", "induction"):
        for path in folder.rglob(f"{name}.jsonl"):
            path.unlink()
    with pytest.raises(PersbenchError, match="no authored pairs"):
        examine(judge_that(constant), load_pack(folder))


def test_unknown_names_are_named() -> None:
    with pytest.raises(UnknownNameError, match="kind of judgement 'agrees'"):
        examine(judge_that(constant), kinds=("agrees",))
    with pytest.raises(UnknownNameError, match="persona"):
        examine(judge_that(constant), personas=("nobody",))


def credit(pairs: Sequence[Any], name: str) -> float:
    values = trivial_credits(pairs, WordEmbedder())[name]
    return sum(values) / len(values)


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "questions"])
def test_judges_that_read_nothing_are_near_chance_on_the_reference_world(family: Family) -> None:
    """Its texts were written so; a pack of which this does not hold asks more of a judge, not less."""
    pairs = authored_pairs(grettow(), family)
    assert len({pair.id for pair in pairs}) == len(pairs) > 200
    for name in TRIVIAL:
        assert credit(pairs, name) == pytest.approx(0.5, abs=0.12), name


def test_every_prefix_of_the_pairs_is_balanced() -> None:
    pairs = authored_pairs(grettow(), "content", limit=24)
    counted = [(pair.persona, pair.stage) for pair in pairs]
    assert {counted.count(one) for one in counted} == {2}
    assert {pair.persona for pair in authored_pairs(grettow(), "knowledge", personas=["ivo"])} == {"ivo"}


def test_the_pairs_of_the_fake_pack_by_hand() -> None:
    pair = next(p for p in authored_pairs(fake(), "content") if p.id == "content/ada/early/q01")
    answer = fake().persona("ada").answer("q01", "early")
    assert answer is not None
    assert answer.stance is not None
    assert (pair.right, pair.reference) == (answer.reply, fake().question("q01").stance(answer.stance).text)
    assert pair.wrong.startswith("It stays in the head")
    (knowledge,) = [p for p in authored_pairs(fake(), "knowledge") if p.id == "knowledge/ada-k01"]
    assert knowledge.right == "Forty, and the gulls had them all."
    assert knowledge.wrong in fake().persona("ada").knowledge[0].foils
    assert knowledge.reference == fake().persona("ada").material("ada-m01").text
    (induction,) = [p for p in authored_pairs(fake(), "induction") if p.id == "induction/ada-i01"]
    assert induction.question.startswith("Tell me how you sold")
    assert induction.reference.startswith("Tell me how you fed")


def test_trivial_judges_by_hand() -> None:
    pairs = authored_pairs(fake(), "knowledge")
    found = trivial_credits(pairs, WordEmbedder())
    for pair, long, short in zip(pairs, found["longest"], found["shortest"], strict=True):
        gap = len(pair.right) - len(pair.wrong)
        assert (long, short) == ((0.5, 0.5) if gap == 0 else (float(gap > 0), float(gap < 0)))
    assert set(found["random"]) == {0.0, 1.0}
    assert trivial_credits([], WordEmbedder()) == {name: [] for name in TRIVIAL}
