from __future__ import annotations

import math
from collections.abc import Callable
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU

from persbench.scoring.distinction import Resemblance, SampledReply, inter, intra, stage, symmetric_bleu
from persbench.scoring.overlap import overlaps
from persbench.scoring.stats import cluster_interval

SACREBLEU = BLEU(effective_order=True)
TEXT = st.text(alphabet="abc d.", min_size=1).filter(str.strip)
ALL = pytest.mark.parametrize("score", [intra, stage, inter])
# "the cat" in "the cat sat": precisions 1, penalty exp(1 - 3/2); the other way 2/3 and 1/2, and of no 3-gram
# 1 / 2 by smoothing, no penalty: effective order 3 and the cube root of 1/6
CAT = 100 * (math.exp(-0.5) + (2 / 3 * 1 / 2 * 1 / 2) ** (1 / 3)) / 2


def near(number: float) -> Any:
    return pytest.approx(number)


def reply(persona: str, at: str, question: str, one: str, other: str) -> SampledReply:
    return SampledReply(persona, at, question, (one, other))


def test_bleu_both_ways_by_hand() -> None:
    assert symmetric_bleu("the cat", "the cat sat") == near(CAT)
    assert symmetric_bleu("the cat sat", "the cat") == near(CAT)
    assert symmetric_bleu("the cat sat on the mat", "the cat sat on the mat") == near(100.0)
    # same length, so that both ways are alike: 5/6, 3/5, 2/4, 1/3
    assert symmetric_bleu("the cat sat on the mat", "the cat sat on a mat") == near(100 * (1 / 12) ** 0.25)


@given(TEXT, TEXT)
def test_bleu_is_that_of_the_overlaps(one: str, other: str) -> None:
    expected = (overlaps(one, [other])["bleu"][0] + overlaps(other, [one])["bleu"][0]) / 2
    assert symmetric_bleu(one, other) == near(expected)
    both = [SACREBLEU.sentence_score(one, [other]).score, SACREBLEU.sentence_score(other, [one]).score]
    assert symmetric_bleu(one, other) == min(100.0, fmean(both))  # to the bit: committed tables are compared by bytes
    assert symmetric_bleu(one, other) == symmetric_bleu(other, one)


@pytest.mark.parametrize("blank", ["", "  \n"])
def test_silence_is_unscored_even_beside_silence(blank: str) -> None:
    assert symmetric_bleu(blank, "the cat") is None
    assert symmetric_bleu("the cat", blank) is None
    assert symmetric_bleu(blank, blank) is None


def test_intra_is_one_entry_an_item() -> None:
    replies = [
        reply("ada", "early", "q1", "the cat", "the cat sat"),
        reply("ada", "late", "q1", "the cat sat", "the cat sat"),
        reply("ben", "early", "q2", "the cat", ""),
    ]
    assert intra(replies) == [
        Resemblance("q1", near(CAT), ("ada",)),
        Resemblance("q1", near(100.0), ("ada",)),
        Resemblance("q2", None, ("ben",)),
    ]


def test_stage_averages_the_four_pairs_of_texts() -> None:
    replies = [
        reply("ada", "early", "q1", "the cat", "the cat sat"),
        reply("ada", "late", "q1", "the cat sat", "the cat sat"),
    ]
    assert stage(replies) == [Resemblance("q1", near((2 * CAT + 200.0) / 4), ("ada",))]
    assert inter(replies) == []


def test_stage_pairs_only_one_persona_and_one_question() -> None:
    replies = [
        reply("ada", "early", "q1", "the cat", "the cat"),
        reply("ben", "late", "q1", "the cat", "the cat"),
        reply("ada", "late", "q2", "the cat", "the cat"),
    ]
    assert stage(replies) == []


def test_a_persona_without_a_second_stage_has_no_stage_entry() -> None:
    replies = [
        reply("ada", "early", "q1", "the cat", "the cat"),
        reply("ben", "early", "q1", "the cat", "the cat"),
        reply("ben", "late", "q1", "the cat", "the cat"),
    ]
    assert [entry.personas for entry in stage(replies)] == [("ben",)]
    # at the late stage there is nobody to compare ben with
    assert inter(replies) == [Resemblance("q1", near(100.0), ("ada", "ben"))]


def test_three_stages_make_three_pairs() -> None:
    replies = [reply("ada", at, "q1", "the cat", "the cat") for at in ("one", "two", "three")]
    assert len(stage(replies)) == 3


def test_inter_pairs_personas_at_one_stage_and_question() -> None:
    replies = [
        reply("ada", "early", "q1", "the cat", "the cat"),
        reply("ben", "early", "q1", "the cat sat", "the cat"),
        reply("cyd", "early", "q1", "the cat sat", "the cat sat"),
        reply("cyd", "late", "q1", "the cat", "the cat"),
        reply("cyd", "early", "q2", "the cat", "the cat"),
    ]
    half = (CAT + 100.0) / 2
    found = inter(replies)
    assert found == [
        Resemblance("q1", near(half), ("ada", "ben")),
        Resemblance("q1", near(CAT), ("ada", "cyd")),
        Resemblance("q1", near(half), ("ben", "cyd")),
    ]
    # ben's row of the table: its mean against the others
    own = [entry for entry in found if "ben" in entry.personas]
    interval = cluster_interval([entry.value for entry in own], [entry.cluster for entry in own], resamples=10)
    assert (interval.mean, interval.n, interval.clusters) == (near(half), 2, 1)


def test_one_blank_sample_unscores_its_pairs_and_no_others() -> None:
    replies = [
        reply("ada", "early", "q1", "the cat", " "),
        reply("ada", "late", "q1", "the cat", "the cat"),
        reply("ben", "late", "q1", "the cat", "the cat"),
        reply("cyd", "early", "q1", "the cat", "the cat"),
    ]
    assert [entry.value for entry in stage(replies)] == [None]
    assert {entry.personas: entry.value for entry in inter(replies)} == {
        ("ada", "cyd"): None,
        ("ada", "ben"): near(100.0),
    }


@ALL
def test_nothing_gives_nothing(score: Callable[[list[SampledReply]], list[Resemblance]]) -> None:
    assert score([]) == []


@ALL
def test_all_blank_is_all_unscored(score: Callable[[list[SampledReply]], list[Resemblance]]) -> None:
    entries = score([reply(persona, at, "q1", "", "") for persona in ("ada", "ben") for at in ("early", "late")])
    assert entries
    assert {entry.value for entry in entries} == {None}
    interval = cluster_interval([entry.value for entry in entries], [entry.cluster for entry in entries])
    assert (interval.mean, interval.n, interval.unscored) == (None, 0, len(entries))


@ALL
def test_a_doubled_item_is_refused(score: Callable[[list[SampledReply]], list[Resemblance]]) -> None:
    with pytest.raises(ValueError, match="ada at early has two entries for q1"):
        score([reply("ada", "early", "q1", "the cat", "sat"), reply("ada", "early", "q1", "the mat", "sat")])


def test_distinct_personas_stand_in_the_claimed_order() -> None:
    replies = [
        reply("ada", "early", "q1", "I keep bees on the roof", "I keep bees on the high roof"),
        reply("ada", "late", "q1", "I kept bees on a roof once", "I kept bees on a roof"),
        reply("ben", "early", "q1", "Ships are all that I know", "Ships are what I know"),
        reply("ben", "late", "q1", "Ships were all that I knew", "Ships were what I knew"),
    ]
    means = [
        cluster_interval([e.value for e in f(replies)], [e.cluster for e in f(replies)]).mean
        for f in (intra, stage, inter)
    ]
    assert None not in means
    assert means == sorted(means, key=lambda mean: -(mean or 0.0))
