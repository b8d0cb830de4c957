from __future__ import annotations

import pytest

from persbench.scoring.conversation import Contribution, Repetition, Utterance, contributions, repetitions
from persbench.scoring.field_words import field_words, subject_words


def test_repetition_by_hand() -> None:
    talk = [
        Utterance("a", "the oven is hot today", authored=True),  # 4-grams: the-oven-is-hot, oven-is-hot-today
        Utterance("b", "I say the oven is hot"),  # i-say-the-oven, say-the-oven-is, the-oven-is-hot
        Utterance("a", "The oven is hot, today and I say the oven is cold"),  # nine of twelve words
        Utterance("b", "I say: the oven is hot!"),
    ]
    first, second, third, fourth = repetitions(talk)
    assert first is None  # nobody generated it
    assert second == Repetition(None, 1 / 3, False, 0, 1)
    # own: the two of the opening; the other's: the-oven-is-hot, i-say-the-oven, say-the-oven-is
    assert third == Repetition(2 / 9, 3 / 9, False, 1, 1)
    # own: word for word; the other's: the-oven-is-hot of the opening, and the two of its second utterance
    assert fourth == Repetition(1.0, 3 / 3, True, 1, 2)


def test_repetition_knows_what_does_not_arise_and_what_is_unscored() -> None:
    alone, short, blank, after = repetitions(
        [
            Utterance(who, text)
            for who, text in zip("abbb", ("one two three four", "one two", " \n", "one two"), strict=True)
        ]
    )
    assert alone == Repetition(None, None, None, 0, 0)
    assert short == Repetition(None, None, False, 0, 1)
    assert blank == Repetition(None, None, None, 1, 1)
    assert after == Repetition(None, None, True, 1, 1)  # the blank one is nothing that could be repeated
    assert repetitions([]) == []


def test_repeats_within_an_utterance_are_not_of_others() -> None:
    _, second = repetitions([Utterance("a", "quite another matter here"), Utterance("b", "la la la la la la")])
    assert second == Repetition(None, 0.0, False, 0, 1)


def test_contribution_by_hand() -> None:
    fields = {"a": frozenset({"oven", "flour", "dough"}), "b": frozenset({"lamp", "fog"})}
    talk = [
        Utterance("a", "Good day, the oven smokes.", authored=True),
        Utterance("b", "The oven? My lamp smokes in fog, and the lamp is old."),
        Utterance("a", "Flour and dough and oven and fog!"),
        Utterance("b", "I know no dough."),
        Utterance("a", "Flour, then."),
    ]
    found = contributions(talk, fields, told="Two stand in the fog.")
    assert found == [
        None,
        Contribution(("lamp",), (), 12),  # fog was told to both; the oven is no matter of b's
        Contribution(("dough", "flour"), ("dough",), 7),  # oven was said in the opening
        Contribution((), (), 4),
        Contribution((), None, 2),  # nobody speaks after it
    ]


def test_a_blank_utterance_contributes_nothing_that_could_be_scored() -> None:
    fields = {"a": frozenset({"oven"}), "b": frozenset({"lamp"})}
    found = contributions([Utterance("a", "An oven."), Utterance("b", "...")], fields)
    assert found == [Contribution(("oven",), None, 2), Contribution(None, None, 0)]
    assert contributions([], fields) == []
    with pytest.raises(KeyError):
        contributions([Utterance("c", "Who am I?")], fields)


def test_field_words_by_hand() -> None:
    """Own count y = 3 of n = 4, x = 0 of m = 4 with the other, a prior of four words."""
    texts = {"ada": ["oven oven oven bread"], "bo": ["lamp lamp lamp bread"]}
    # a = 4 * 3/8 = 1.5: d = log(4.5/3.5) - log(1.5/6.5) = 0.2513 + 1.4663, z = 1.7177 / sqrt(1/4.5 + 1/1.5) = 1.822
    assert field_words(texts) == {"ada": frozenset({"oven"}), "bo": frozenset({"lamp"})}
    # two of three: a = 3 * 2/6 = 1: d = log(3/3) - log(1/5) = 1.6094, z = 1.6094 / sqrt(1/3 + 1) = 1.394, below 1.645
    twice = field_words({"ada": ["oven oven bread"], "bo": ["lamp lamp bread"]})
    assert twice == {"ada": frozenset(), "bo": frozenset()}


def test_field_words_leave_out_names_short_words_and_figures() -> None:
    texts = {"ada": ["Bo Bo's Bo th' th' th' 1912 1912 1912 1912"] * 3, "bo": ["a lamp and the lamp"] * 3}
    found = field_words(texts, names=["Bo Tidewell"])
    assert found["ada"] == frozenset()
    assert subject_words("Bo's lamp, o' 12 eels", frozenset({"bo"})) == ["lamp", "eels"]


def test_field_words_of_nobody_and_of_one() -> None:
    assert field_words({}) == {}
    assert field_words({"ada": ["oven oven oven"]}) == {"ada": frozenset()}
    assert field_words({"ada": ["oven oven oven"], "bo": [""]}) == {"ada": frozenset(), "bo": frozenset()}


def test_a_megabyte_is_measured_without_pain() -> None:
    talk = [Utterance("a", "oven " * 200_000), Utterance("b", "x" * 1_000_000)]
    first, second = repetitions(talk)
    assert first == Repetition(None, None, None, 0, 0)
    assert second == Repetition(None, None, False, 0, 1)
    found = contributions(talk, {"a": frozenset({"oven"}), "b": frozenset({"lamp"})})
    assert found == [Contribution(("oven",), (), 200_000), Contribution((), None, 1)]
