"""One model for many raters: the line, what each sees of it, failures, empty replies, and an end in the middle."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from persbench.study.answers import ATTEMPTS, Answers, Progress

Kept = dict[str, str]


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def answers(complaints: list[str]) -> Iterator[Answers]:
    answers = Answers(complaints.append)
    yield answers
    answers.close()


def until(true: Callable[[], bool]) -> None:
    for _ in range(500):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to that")


def keeping(kept: Kept, key: str) -> Callable[[str, float], None]:
    def keep(text: str, seconds: float) -> None:
        assert seconds >= 0
        kept[key] = text

    return keep


def test_replies_are_spoken_one_at_a_time_in_the_order_of_asking(answers: Answers) -> None:
    kept: Kept = {}
    gate, at_once, most = threading.Event(), [0], [0]

    def stream(_: int) -> Iterator[str]:
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        yield "one "
        gate.wait(5)
        yield "two"
        at_once[0] -= 1

    for key in "abc":
        answers.ask(key, stream, keeping(kept, key))
    until(lambda: answers.look("a") == Progress("speaking", "one "))
    assert answers.look("b") == Progress("waiting", "", 1)
    assert answers.look("c") == Progress("waiting", "", 2)
    answers.ask("b", stream, keeping(kept, "b"))  # once more: it is in line already
    assert answers.look("c") == Progress("waiting", "", 2)
    gate.set()
    until(lambda: len(kept) == 3)
    assert list(kept.items()) == [("a", "one two"), ("b", "one two"), ("c", "one two")]
    assert most == [1]
    until(lambda: answers.look("c") is None)


def test_a_failure_is_told_and_holds_nobody_up(answers: Answers, complaints: list[str]) -> None:
    kept: Kept = {}
    tries: list[int] = []

    def broken(attempt: int) -> Iterator[str]:
        tries.append(attempt)
        yield "half "
        if len(tries) == 1:
            raise RuntimeError("out of memory")
        yield "whole"

    answers.ask("broken", broken, keeping(kept, "broken"))
    answers.ask("fine", lambda _: iter(["fine"]), keeping(kept, "fine"))
    until(lambda: "fine" in kept)
    assert answers.look("broken") == Progress("failed")
    assert complaints == ["a reply could not be had: RuntimeError: out of memory"]
    answers.ask("broken", broken, keeping(kept, "broken"))  # not of itself
    assert answers.look("broken") == Progress("failed")
    answers.forget("broken")
    answers.ask("broken", broken, keeping(kept, "broken"))
    until(lambda: kept.get("broken") == "half whole")
    assert tries == [0, 1]  # another attempt, so another seed


def test_an_empty_reply_is_asked_for_again_and_never_kept(answers: Answers, complaints: list[str]) -> None:
    kept: Kept = {}
    answers.ask(
        "late", lambda attempt: iter([" \n", "word"] if attempt == ATTEMPTS - 1 else ["  "]), keeping(kept, "late")
    )
    answers.ask("never", lambda _: iter(()), keeping(kept, "never"))
    until(lambda: answers.look("never") == Progress("failed"))
    assert kept == {"late": "word"}
    assert complaints == ["a reply could not be had: PersbenchError: the model said nothing, 3 times"]


def test_what_cannot_be_stored_is_a_failure(answers: Answers, complaints: list[str]) -> None:
    def keep(_text: str, _seconds: float) -> None:
        raise OSError("disk full")

    answers.ask("lost", lambda _: iter(["words"]), keep)
    until(lambda: answers.look("lost") == Progress("failed"))
    assert "disk full" in complaints[0]


def test_what_is_cut_short_by_the_end_is_not_kept(complaints: list[str]) -> None:
    kept: Kept = {}
    answers = Answers(complaints.append)

    def endless(_: int) -> Iterator[str]:
        while True:
            time.sleep(0.01)
            yield "on and "

    answers.ask("cut", endless, keeping(kept, "cut"))
    answers.ask("behind", lambda _: iter(["words"]), keeping(kept, "behind"))
    until(lambda: answers.look("cut") != Progress("waiting"))
    answers.close()
    answers.ask("after", lambda _: iter(["words"]), keeping(kept, "after"))
    time.sleep(0.05)
    assert kept == {}
    assert complaints == []
