from __future__ import annotations

import math

import numpy as np
import pytest

from persbench.errors import PersbenchError
from persbench.scoring.voice_odds import VoiceOdds, platt

SUBJECTS = ("debt", "rain", "the mule", "my father", "the bridge", "bread", "salt", "the sea")
ROWS = [
    row
    for subject in SUBJECTS
    for row in (
        (f"With respect to {subject}, one must observe that the regulations are explicit.", "clerk", subject),
        (f"Och, {subject}? Dinna fash, laddie, I'll no' be botherin' ma heid wi' it!", "drover", subject),
    )
]
MIXED = [(f"What I say of {subject}.", author, subject) for subject in SUBJECTS for author in ("x", "y")]


def test_log_odds_tell_two_voices_apart_and_mirror_each_other() -> None:
    odds = VoiceOdds(ROWS)
    assert odds.authors == ("clerk", "drover")
    assert odds.accuracy.mean == 1.0
    assert odds.accuracy.n == 16
    text = "Och, I'll no' be fashin' ma heid, laddie"
    drover = odds.log_odds(text, "drover")
    assert drover is not None
    assert drover > 1
    assert odds.log_odds(text, "clerk") == -drover
    clerk = odds.log_odds("One must observe the regulations with respect to eels.", "clerk")
    assert clerk is not None
    assert clerk > 1


def test_voices_that_do_not_differ_give_no_odds() -> None:
    odds = VoiceOdds(MIXED)
    assert odds.accuracy.mean == pytest.approx(0.5, abs=0.1)
    said = odds.log_odds("What I say of rain.", "x")
    assert said == pytest.approx(0.0, abs=0.2)


def test_blank_texts_are_unscored_and_order_changes_nothing() -> None:
    odds, again = VoiceOdds(ROWS), VoiceOdds(reversed([*ROWS, ("  ", "clerk", "rain")]))
    assert odds.log_odds(" \n", "clerk") is None
    assert odds.log_odds("Och!", "drover") == again.log_odds("Och!", "drover")
    with pytest.raises(ValueError, match="unknown author 'me'"):
        odds.log_odds("Och!", "me")


def test_a_runaway_text_costs_no_more_than_its_beginning() -> None:
    odds = VoiceOdds(ROWS)
    long = "och laddie " * 100_000
    assert odds.log_odds(long, "drover") == odds.log_odds(long[:20_000], "drover")


def test_what_cannot_be_told_apart_is_refused() -> None:
    with pytest.raises(PersbenchError, match="found x in 1 groups, y in 1 groups"):
        VoiceOdds([("a", "x", "q"), ("b", "y", "q")])
    with pytest.raises(PersbenchError, match="no texts"):
        VoiceOdds([])
    with pytest.raises(PersbenchError, match="two people"):
        VoiceOdds([*ROWS, ("Me too", "third", "rain"), ("Me three", "third", "salt")])
    with pytest.raises(ValueError, match="two folds"):
        VoiceOdds(ROWS, folds=1)


def test_platt_by_hand() -> None:
    """One text at +1 of one class and one at -1 of the other: soft targets 2/3 and 1/3, so log-odds of log 2."""
    scale, bias = platt(np.array([1.0, -1.0]), np.array([True, False]))
    assert scale == pytest.approx(math.log(2), abs=1e-4)
    assert bias == pytest.approx(0.0, abs=1e-4)


def test_platt_without_any_distance_is_the_share_of_each() -> None:
    scale, bias = platt(np.zeros(4), np.array([True, True, True, False]))
    # targets 4/5 three times and 1/3 once: mean 41/60, log-odds log(41/19)
    assert bias == pytest.approx(math.log(41 / 19), abs=1e-4)
    assert scale == pytest.approx(1.0)


def test_voices_that_are_told_the_wrong_way_round_give_no_odds() -> None:
    """The two swap their manners from subject to subject: of a subject held out the classifier errs."""
    manners = ("Och {} dinna fash laddie", "With respect to {} one must observe")
    rows = [
        (manners[(number + one) % 2].format(subject), author, subject)
        for number, subject in enumerate(SUBJECTS)
        for one, author in enumerate(("x", "y"))
    ]
    odds = VoiceOdds(rows)
    assert odds.accuracy.high is not None
    assert odds.accuracy.high < 0.5
    assert (odds.scale, odds.bias, odds.tells) == (0.0, 0.0, False)
    assert odds.log_odds("Och dinna fash", "x") == odds.log_odds("Och dinna fash", "y") == 0.0
    assert odds.log_odds(" ", "x") is None
    assert VoiceOdds(ROWS).tells
