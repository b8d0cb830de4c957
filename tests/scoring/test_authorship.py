from __future__ import annotations

import pytest

from persbench.errors import PersbenchError
from persbench.scoring.authorship import AuthorshipClassifier, Row, cross_validated_accuracy

SUBJECTS = ("debt", "rain", "the mule", "my father", "the bridge", "bread")
VOICES = {
    "clerk": "With respect to {}, one must observe that the regulations are perfectly explicit.",
    "drover": "Och, {}? Dinna fash, laddie, I'll no' be botherin' ma heid wi' it!",
    "child": "I like {}! I like it so so much and Mama says yes yes yes!",
}
ROWS = [
    Row(voice.format(subject), author, f"q{number}")
    for number, subject in enumerate(SUBJECTS)
    for author, voice in VOICES.items()
]


def _best(scores: dict[str, float] | None) -> str:
    assert scores is not None
    return max(scores, key=scores.__getitem__)


def test_clear_voices_are_told_apart_on_unseen_questions() -> None:
    accuracy = cross_validated_accuracy(ROWS)
    assert (accuracy.mean, accuracy.low, accuracy.high) == (1.0, 1.0, 1.0)
    assert (accuracy.n, accuracy.clusters, accuracy.unscored) == (18, 6, 0)


def test_a_new_reply_is_given_to_its_voice() -> None:
    classifier = AuthorshipClassifier(ROWS)
    assert classifier.authors == ("child", "clerk", "drover")
    assert _best(classifier.predict("I'll no' be fashin' ma heid, laddie", "q0")) == "drover"
    assert classifier.credit("One must observe the regulations.", "q0", "clerk") == 1.0
    assert classifier.credit("One must observe the regulations.", "q0", "child") == 0.0


def test_the_question_tested_is_never_trained_on() -> None:
    """Whatever is said under a question, even under false names, its own predictions stay the same to the last bit."""
    swapped = {"clerk": "drover", "drover": "child", "child": "clerk"}
    poisoned = [
        Row(row.text + " zq xj", swapped[row.author], row.question) if row.question == "q2" else row for row in ROWS
    ]
    text = "Och, zq xj the mule, it is perfectly explicit!"
    assert AuthorshipClassifier(poisoned).predict(text, "q2") == AuthorshipClassifier(ROWS).predict(text, "q2")
    assert AuthorshipClassifier(poisoned).predict(text, "q3") != AuthorshipClassifier(ROWS).predict(text, "q3")


def test_chance_when_voices_do_not_differ() -> None:
    # the same sentence from all authors: nothing to learn, and what remains is a tie or a guess, not a win for all
    rows = [Row(f"What I say of {subject}.", author, subject) for subject in SUBJECTS for author in "abcd"]
    assert cross_validated_accuracy(rows).mean == pytest.approx(1 / 4)


def test_order_of_rows_and_repetition_change_nothing() -> None:
    first, second = AuthorshipClassifier(ROWS), AuthorshipClassifier(reversed(ROWS))
    assert first.predict("Och, bread", "q5") == second.predict("Och, bread", "q5") == first.predict("Och, bread", "q5")


def test_one_model_a_held_out_question() -> None:
    classifier = AuthorshipClassifier(ROWS)
    for question in ("q0", "q1", "q0", "unknown", "another unknown"):
        classifier.predict("Och", question)
    assert set(classifier._fitted) == {"q0", "q1", None}


def test_two_authors_have_opposite_scores() -> None:
    scores = AuthorshipClassifier([row for row in ROWS if row.author != "child"]).predict("Och, laddie", "q0")
    assert _best(scores) == "drover"
    assert scores is not None
    assert scores["clerk"] == -scores["drover"]


@pytest.mark.parametrize("text", ["", " \n"])
def test_a_blank_reply_is_unscored(text: str) -> None:
    classifier = AuthorshipClassifier(ROWS)
    assert classifier.predict(text, "q0") is None
    assert classifier.credit(text, "q0", "clerk") is None


def test_too_little_to_learn_from_is_said() -> None:
    with pytest.raises(PersbenchError, match="found authors: 0"):
        AuthorshipClassifier([])
    with pytest.raises(PersbenchError, match="found authors: 1"):
        AuthorshipClassifier([("x", "a", "q1"), ("y", "a", "q2")])
    with pytest.raises(PersbenchError, match="one question only from b"):
        AuthorshipClassifier([("x", "a", "q1"), ("y", "a", "q2"), ("z", "b", "q1")])
    with pytest.raises(ValueError, match="unknown author 'nobody'; known: child, clerk, drover"):
        AuthorshipClassifier(ROWS).credit("x", "q0", "nobody")
