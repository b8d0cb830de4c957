from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from persbench.scoring.words import content_words, words


def test_apostrophes_inside_belong_to_the_word() -> None:
    assert words("Don't say 'nothin'', o'er there!") == ["don't", "say", "nothin", "o'er", "there"]
    assert words("I don’t") == ["i", "don't"]


def test_any_script_counts() -> None:
    assert words("Né à l'été, 水 2.5") == ["né", "à", "l'été", "水", "2", "5"]
    assert words(" -- ... ''") == []


def test_content_words_leave_function_words_out() -> None:
    assert content_words("The mule was not in the mine, and the fire burnt.") == ["mule", "fire", "burnt"]


@given(st.text())
def test_splitting_twice_changes_nothing(text: str) -> None:
    assert words(" ".join(words(text))) == words(text)
