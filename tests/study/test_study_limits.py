"""What a rater may send: hostile texts come out harmless or are refused whole, and a bucket fills up again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from played_study import Clock

from persbench.study.limits import MessageRate, cleaned
from persbench.study.refusals import RefusedTextError, TooFastError


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("  hello \n", "hello"),
        ("a\x00b\x1b[31mc\x7f\x9bd", "ab[31mcd"),
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour"),
        ("half \ud83d a pair", "half  a pair"),
        ("\u202eturned\u2066", "turned"),
        (
            "\U0001f469\u200d\U0001f680 \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\U0001f469\u200d\U0001f680 \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),  # the page escapes; the store keeps what was said
        ("'; DROP TABLE raters; --", "'; DROP TABLE raters; --"),
    ],
)
def test_what_is_kept(sent: str, kept: str) -> None:
    assert cleaned(sent) == kept


@pytest.mark.parametrize("sent", ["", "   ", "\x00\x01", "\ufeff \u2028"])
def test_nothing_is_refused(sent: str) -> None:
    with pytest.raises(RefusedTextError, match="empty"):
        cleaned(sent)


def test_a_text_is_refused_whole_never_cut() -> None:
    assert cleaned("x" * 2000, 2000) == "x" * 2000
    assert cleaned(" " * 100 + "x" * 2000, 2000) == "x" * 2000
    assert cleaned("a\r\n" * 999 + "a", 1999) == "a\n" * 999 + "a"  # a break counts as the one that the page counted
    with pytest.raises(RefusedTextError, match="1,000,000 characters; at most 2,000"):
        cleaned("x" * 1_000_000, 2000)


@given(st.text(st.characters()))
def test_what_is_kept_can_be_stored_and_stays_as_it_is(text: str) -> None:
    try:
        kept = cleaned(text)
    except RefusedTextError:
        return
    kept.encode("utf-8")
    assert cleaned(kept) == kept
    assert not any(ord(c) < 32 and c not in "\n\t" for c in kept)


def test_a_bucket_gives_a_minutes_messages_at_once_and_then_one_by_one() -> None:
    clock = Clock()
    rate = MessageRate(6, clock)
    for _ in range(6):
        rate.admit(1)
    with pytest.raises(TooFastError, match="wait 10 s") as caught:
        rate.admit(1)
    assert caught.value.seconds == pytest.approx(10)
    rate.admit(2)  # another rater has a bucket of their own
    clock.now += 9.9
    with pytest.raises(TooFastError):
        rate.admit(1)
    clock.now += 0.1
    rate.admit(1)
    with pytest.raises(TooFastError):
        rate.admit(1)
    clock.now += 60
    for _ in range(6):
        rate.admit(1)


def test_full_buckets_are_forgotten() -> None:
    clock = Clock()
    rate = MessageRate(1, clock)
    for rater in range(100):
        rate.admit(rater)
    clock.now += 61
    rate.admit(0)
    assert len(rate._full_at) == 1
