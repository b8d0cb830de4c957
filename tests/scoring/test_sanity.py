from __future__ import annotations

import hashlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persbench.scoring import sanity
from persbench.scoring.choice import credit
from persbench.scoring.sanity import FLOORS, RULES, ChoiceContext, UnigramFluency, at_chance, question_echo, rules
from persbench.scoring.stats import Interval, cluster_interval


def context(*candidates: str, prompt: str = "", profile: str = "", holders: list[float] | None = None) -> ChoiceContext:
    return ChoiceContext("item-1", prompt, candidates, profile, holders)


def test_longest_and_shortest_count_bytes() -> None:
    item = context("abc", "éé", "水")
    assert RULES["longest"](item) == [3.0, 4.0, 3.0]
    assert RULES["shortest"](item) == [-3.0, -4.0, -3.0]


def test_negations_are_counted_as_words() -> None:
    item = context(
        "I note that nothing is known.",  # nothing
        "No, I can't and I won’t; nor cannot she.",  # no, can't, won't, nor, cannot
        "It ain't so, I dinnae ken, I seen nowt.",  # ain't, dinnae, nowt
        "Knots, a nottle, another want.",
    )
    assert RULES["most_negations"](item) == [1.0, 5.0, 3.0, 0.0]


def test_unigram_fluency_by_hand() -> None:
    # corpus: a twice, b once; add-one over two known words and one cell for the unknown: 6 in all
    rule = UnigramFluency(["A b", "a"])
    log = math.log
    assert rule(context("a", "b", "a b", "c", "...")) == pytest.approx(
        [log(3 / 6), log(2 / 6), (log(3 / 6) + log(2 / 6)) / 2, log(1 / 6), log(1 / 6)]
    )


def test_unigram_fluency_reads_a_stream_once_and_survives_an_empty_corpus() -> None:
    assert UnigramFluency(text for text in ["a a"])(context("a")) == [pytest.approx(math.log(3 / 4))]
    assert UnigramFluency([])(context("a", "b c")) == [0.0, 0.0]


def test_random_is_the_same_everywhere() -> None:
    # printf '20260\nitem-1\n0' | sha256sum starts with the twelve digits below
    assert hashlib.sha256(b"20260\nitem-1\n0").hexdigest()[:12] == "5f32a05d16a3"
    assert RULES["random"](context("x", "y"))[0] == 0x5F32A05D16A3 / 2**48


def test_random_looks_at_no_text_and_earns_chance() -> None:
    assert RULES["random"](context("x", "y")) == RULES["random"](context("long text", "another"))
    credits_ = [credit(sanity.random(ChoiceContext(f"i{n}", "", "abcd", "")), {0}) for n in range(2000)]
    assert at_chance(cluster_interval(credits_, range(2000)), 0.25, tolerance=0.03)


def test_prompt_overlap_by_hand() -> None:
    item = context(
        "The mule cost nine.",  # mule, cost, nine: two in the prompt
        "The mule, the mule!",  # all
        "It was not.",  # no content words
        "Prices rise.",
        prompt="What did the mule cost?",
    )
    assert RULES["prompt_overlap"](item) == [pytest.approx(2 / 3), 1.0, 0.0, 0.0]


def test_profile_overlap_reads_the_profile_alone() -> None:
    item = context("salt roads", "mule tracks", prompt="mule tracks", profile="She hauls salt.")
    assert FLOORS["profile_overlap"](item) == [0.5, 0.0]


def test_majority_stance() -> None:
    assert RULES["majority_stance"](context("x", "y", holders=[4, 2])) == [4.0, 2.0]
    assert credit(RULES["majority_stance"](context("x", "y", "z")), {0}) == pytest.approx(1 / 3)


def test_question_echo() -> None:
    assert question_echo("What did the mule cost?") == "What did the mule cost?"


def test_a_context_must_fit_together() -> None:
    with pytest.raises(ValueError, match="item-1: no candidates"):
        context()
    with pytest.raises(ValueError, match="item-1: 1 stance counts for 2 candidates"):
        context("x", "y", holders=[1])


def test_names() -> None:
    expected = {
        "longest",
        "shortest",
        "most_negations",
        "unigram_fluency",
        "random",
        "prompt_overlap",
        "majority_stance",
    }
    assert set(rules(["a"])) == expected
    assert set(rules(["a"])) - set(RULES) == {"unigram_fluency"}
    assert not set(FLOORS) & expected


@given(st.lists(st.text(), min_size=1, max_size=5), st.text(), st.text())
def test_every_rule_scores_every_candidate_finitely(candidates: list[str], prompt: str, profile: str) -> None:
    item = ChoiceContext("i", prompt, candidates, profile)
    for rule in [*rules(candidates).values(), *FLOORS.values()]:
        scores = rule(item)
        assert len(scores) == len(candidates)
        assert all(math.isfinite(score) for score in scores)


@given(st.text(), st.integers(2, 5))
def test_equal_candidates_tie_under_every_rule_but_random(text: str, k: int) -> None:
    item = ChoiceContext("i", text, [text] * k, text)
    for name, rule in {**rules([text]), **FLOORS}.items():
        if name != "random":
            assert credit(rule(item), {0}) == pytest.approx(1 / k)


@pytest.mark.parametrize(
    ("mean", "low", "high", "expected"),
    [
        (0.25, 0.20, 0.30, True),
        (0.32, 0.24, 0.40, True),
        (0.34, 0.20, 0.48, False),  # holds chance, but too far from it
        (0.30, 0.26, 0.34, False),  # near, but surely not chance
        (0.33, 0.25, 0.41, True),  # both limits are inside
        (0.17, 0.10, 0.25, True),
        (0.25, 0.25, 0.25, True),
        (None, None, None, False),
        (0.25, None, None, False),
    ],
)
def test_at_chance(mean: float | None, low: float | None, high: float | None, expected: bool) -> None:
    assert at_chance(Interval(mean, low, high, 40, 20, 0), 0.25) is expected


def test_a_planted_length_cue_is_caught() -> None:
    items = [ChoiceContext(f"i{n}", "", ["short", "the longest of them", "medium one"], "") for n in range(40)]
    for name, expected in [("longest", False), ("shortest", False), ("majority_stance", True)]:
        credits_ = [credit(RULES[name](item), {1}) for item in items]
        assert at_chance(cluster_interval(credits_, range(40)), 1 / 3) is expected, name
