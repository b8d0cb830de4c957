"""The queue before a backend: order, memory, budget, and nothing lost when it ends early."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from persbench.annotators.asking import PATIENCE, CachedAnnotator
from persbench.annotators.budget import BudgetSpent
from persbench.annotators.cache import CallCache
from persbench.annotators.calls import Answer, Call, Reply, Unanswered, estimated_tokens, most_tokens
from persbench.annotators.dry_run import DryRun
from persbench.annotators.tally import Prices
from persbench.errors import PersbenchError


class Fake:
    """Answers in threads, each call after a moment of its own; `upset` may return another reply or raise."""

    id = "fake"

    def __init__(
        self, *, workers: int = 4, batch: int = 1, upset: Callable[[str], Reply | None] = lambda _: None
    ) -> None:
        self.workers, self.batch, self.upset = workers, batch, upset
        self.asked: list[str] = []
        self.batches: list[int] = []

    def answer(self, calls: Sequence[Call], **_: Any) -> list[Reply]:
        self.batches.append(len(calls))
        replies = []
        for call in calls:
            text = call.messages[-1]["content"]
            time.sleep(len(text) % 3 / 500)
            replies.append(self.upset(text) or Answer(f"to {text}", 10, 5, cached=False))
            self.asked.append(text)
        return replies


def call(text: str, **more: Any) -> Call:
    return Call("talk", "v1", ({"role": "user", "content": text},), **{"max_tokens": 5} | more)


def texts(replies: Sequence[Reply]) -> list[str]:
    return [reply.text if isinstance(reply, Answer) else reply.kind for reply in replies]


QUESTIONS = [call(str(10**i)) for i in range(20)]


@pytest.mark.parametrize(("workers", "batch"), [(1, 1), (8, 1), (1, 7), (3, 4)])
def test_replies_stand_in_the_order_of_the_calls_and_are_remembered(workers: int, batch: int, tmp_path: Path) -> None:
    told: list[int] = []
    annotator = CachedAnnotator(fake := Fake(workers=workers, batch=batch), CallCache(tmp_path))
    replies = annotator.ask([*QUESTIONS, QUESTIONS[3], QUESTIONS[3]], progress=told.append)
    assert texts(replies) == [f"to {10**i}" for i in range(20)] + ["to 1000"] * 2
    assert sorted(fake.asked) == sorted(str(10**i) for i in range(20))
    assert sum(told) == 22
    assert max(fake.batches) == batch
    again = CachedAnnotator(other := Fake(), CallCache(tmp_path))
    assert texts(again.ask(QUESTIONS)) == [f"to {10**i}" for i in range(20)]
    assert not other.asked
    assert all(isinstance(reply, Answer) and reply.cached for reply in again.ask(QUESTIONS))
    # What the work took is the same, whoever paid for it; what this process did is not.
    assert again.tally.work() == annotator.tally.work()
    assert annotator.tally.total().spent_tokens == 20 * 15
    assert again.tally.total().spent_tokens == 0
    assert annotator.ask([]) == []


@pytest.mark.parametrize(
    "other",
    [
        call("1", seed=1), call("1", temperature=0.5), call("1", max_tokens=6), call("1", schema={"type": "object"}),
        Call("talk", "v2", QUESTIONS[0].messages, 5), Call("walk", "v1", QUESTIONS[0].messages, 5),
        Call("talk", "v1", ({"role": "system", "content": "1"},), 5),
    ],
)  # fmt: skip
def test_every_part_of_a_call_is_part_of_its_key(other: Call, tmp_path: Path) -> None:
    annotator = CachedAnnotator(fake := Fake(), CallCache(tmp_path))
    annotator.ask([QUESTIONS[0]])
    annotator.ask([other, other])
    assert len(fake.asked) == 2
    fake.id = "another"
    annotator.ask([other])
    assert len(fake.asked) == 3


def test_what_stayed_unanswered_is_counted_and_asked_again(tmp_path: Path) -> None:
    broken = {"100", "1000"}
    annotator = CachedAnnotator(
        fake := Fake(upset=lambda text: Unanswered("no", "timeout") if text in broken else None), CallCache(tmp_path)
    )
    assert texts(annotator.ask(QUESTIONS[:5])) == ["to 1", "to 10", "timeout", "timeout", "to 10000"]
    assert annotator.tally.work()["talk"]["unanswered"] == {"timeout": 2}
    broken.remove("100")
    assert texts(annotator.ask(QUESTIONS[:5])) == ["to 1", "to 10", "to 100", "timeout", "to 10000"]
    assert annotator.tally.work()["talk"]["unanswered"] == {"timeout": 1}
    assert len(fake.asked) == 7


def test_silence_ends_the_work_and_one_calls_fault_does_not(tmp_path: Path) -> None:
    long = CachedAnnotator(Fake(upset=lambda _: Unanswered("long", "too_long")), CallCache(None))
    assert texts(long.ask(QUESTIONS)) == ["too_long"] * 20
    silent = CachedAnnotator(fake := Fake(workers=1, upset=lambda _: Unanswered("gone.", "timeout")), CallCache(None))
    silent.ask(QUESTIONS[: PATIENCE - 1])
    with pytest.raises(PersbenchError, match=rf"{PATIENCE} calls in a row .* because: gone"):
        silent.ask(QUESTIONS[PATIENCE:])
    assert len(fake.asked) < 20


def test_an_error_or_an_interruption_loses_no_answer(tmp_path: Path) -> None:
    def upset(text: str) -> Reply | None:
        if text == "100000":
            raise PersbenchError("no key")
        return None

    annotator = CachedAnnotator(fake := Fake(upset=upset), CallCache(tmp_path))
    with pytest.raises(PersbenchError, match="no key"):
        annotator.ask(QUESTIONS)
    known = set(fake.asked)
    assert known
    assert "100000" not in known

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    patient = Fake()
    with pytest.raises(KeyboardInterrupt):
        CachedAnnotator(patient, CallCache(tmp_path)).ask(
            [call("200"), call("3000"), call("40000")], progress=interrupt
        )
    known |= set(patient.asked)
    last = Fake()
    CachedAnnotator(last, CallCache(tmp_path)).ask([*QUESTIONS, call("200"), call("3000"), call("40000")])
    assert set(last.asked).isdisjoint(known)
    assert threading.active_count() < 20


def test_a_budget_is_never_overdrawn_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    most = most_tokens(call("1" * 40))
    assert most == 10 + 4 + 5
    calls = [call(f"{i:040}") for i in range(12)]
    annotator = CachedAnnotator(fake := Fake(), CallCache(tmp_path), budget=100)
    with pytest.raises(BudgetSpent, match=r"budget of 100 tokens is spent: 90 are used.*may take 19.*larger budget"):
        annotator.ask(calls)
    assert len(fake.asked) == 6  # each took 15
    # The same budget buys nothing more, since what was paid for counts; a larger one goes on from there.
    with pytest.raises(BudgetSpent):
        CachedAnnotator(same := Fake(), CallCache(tmp_path), budget=100).ask(calls)
    assert not same.asked
    rest = CachedAnnotator(more := Fake(), CallCache(tmp_path), budget=184)
    assert texts(rest.ask(calls)) == [f"to {i:040}" for i in range(12)]
    assert len(more.asked) == 6
    assert rest.budget.spent == 180
    # Known answers cost nothing, so they come however small the budget is.
    assert len(CachedAnnotator(Fake(), CallCache(tmp_path), budget=1).ask(calls)) == 12


def test_a_budget_holds_back_calls_that_might_overdraw_it(tmp_path: Path) -> None:
    at_once, lock = [0, 0], threading.Lock()

    def watch(_: str) -> None:
        with lock:
            at_once[0] += 1
            at_once[1] = max(at_once)
        time.sleep(0.01)
        with lock:
            at_once[0] -= 1

    calls = [call(f"{i:040}") for i in range(4)]
    annotator = CachedAnnotator(Fake(workers=4, upset=watch), CallCache(tmp_path), budget=64)
    assert len(annotator.ask(calls)) == 4  # 3 * 15 + 19 = 64: each fits once the others have taken less than they might
    assert at_once[1] <= 3


def test_a_dry_run_counts_and_asks_nothing(tmp_path: Path) -> None:
    prices = Prices(prompt=1.0, completion=10.0)
    annotator = CachedAnnotator(fake := Fake(), CallCache(tmp_path), prices=prices)
    annotator.ask(QUESTIONS[:2])
    dry = DryRun(annotator)
    assert texts(dry.ask([*QUESTIONS[:4], QUESTIONS[3]])) == ["to 1", "to 10", *["not_asked"] * 3]
    assert len(fake.asked) == 2
    planned = dry.plan["talk"]
    assert (planned.calls, planned.cached, planned.completion_tokens) == (2, 2, 10)
    assert planned.prompt_tokens == 2 * (1 + 4)
    assert dry.cost() == pytest.approx((10 * 1.0 + 10 * 10.0) / 1e6)
    assert annotator.tally.cost() == pytest.approx(2 * (10 * 1.0 + 5 * 10.0) / 1e6)
    assert CachedAnnotator(Fake(), CallCache(None)).tally.cost() is None


def test_tokens_are_estimated_without_a_tokenizer() -> None:
    assert estimated_tokens("") == 0
    assert estimated_tokens("a plain sentence") == 4
    assert estimated_tokens("你好吗") == 3
    assert estimated_tokens("a" * 8, "b" * 8) == 4
