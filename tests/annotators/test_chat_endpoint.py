"""The endpoint annotator against a real server on loopback that answers, fails, stalls and lies."""

from __future__ import annotations

import email.utils
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Fault, ScriptedServer, random_faults

from persbench.annotators.asking import CachedAnnotator
from persbench.annotators.budget import BudgetSpent
from persbench.annotators.cache import CallCache
from persbench.annotators.calls import Answer, Call, Reply, Unanswered
from persbench.annotators.endpoint import EndpointBackend
from persbench.annotators.endpoint_faults import retry_after
from persbench.annotators.rate import RateLimit
from persbench.annotators.settings import EndpointSettings
from persbench.errors import PersbenchError


def annotator(url: str, cache: Path | None = None, **settings: Any) -> CachedAnnotator:
    quick: dict[str, Any] = {"model": "scripted", "base_url": url, "backoff": 0.002} | settings
    return CachedAnnotator(EndpointBackend(EndpointSettings(**quick)), CallCache(cache))


def call(text: str, **more: Any) -> Call:
    return Call("talk", "v1", ({"role": "user", "content": text},), **{"max_tokens": 20} | more)


def echo(messages: list[dict[str, str]]) -> str:
    return f"you said {messages[-1]['content']}"


def texts(replies: list[Reply]) -> list[str]:
    return [reply.text if isinstance(reply, Answer) else reply.kind for reply in replies]


def test_with_a_third_of_all_calls_failing_nothing_is_lost_nor_asked_twice(tmp_path: Path) -> None:
    calls = [call(f"q{i}") for i in range(150)]
    with ScriptedServer(echo, faults=random_faults(0.3, seed=3)) as server:
        asking = annotator(server.url, tmp_path)
        replies = asking.ask(calls)
        requests = len(server.asked)
        annotator(server.url, tmp_path).ask(calls)
        assert len(server.asked) == requests  # all of it was kept
    assert texts(replies) == [f"you said q{i}" for i in range(150)]
    assert set(server.answered.values()) == {1}
    assert sum(server.answered.values()) == 150
    total, sent = asking.tally.total(), server.faults
    assert len(sent) == 9  # every kind came
    assert total.retries == sum(sent.values()) == requests - 150
    assert total.faults == {
        "rate_limit": sent["429"],
        "server_error": sent["500"] + sent["503"],
        "connection": sent["cut"] + sent["cut_body"],
        "malformed_body": sent["empty_body"] + sent["malformed"] + sent["html"],
        "empty": sent["empty_text"],
    }
    assert total.calls == 150
    assert not total.unanswered
    # An empty answer took the tokens of its prompt; bodies that are none say nothing of what they took.
    assert (total.lost_prompt_tokens, total.lost_completion_tokens) == (5 * sent["empty_text"], 0)
    assert asking.budget.spent == total.spent_tokens == 600 + 5 * sent["empty_text"]
    assert (total.prompt_tokens, total.completion_tokens) == (150, 450)  # as the server counts them
    assert 1 < server.most_at_once <= 8


def test_after_the_last_attempt_a_call_stays_unanswered_and_the_others_do_not() -> None:
    def fault(body: dict[str, Any], _: int) -> Fault | None:
        return Fault("500", message="bad luck") if body["messages"][0]["content"] == "q1" else None

    with ScriptedServer(echo, faults=fault) as server:
        replies = annotator(server.url, attempts=3).ask([call("q0"), call("q1"), call("q2")])
    assert texts(replies) == ["you said q0", "server_error", "you said q2"]
    assert isinstance(replies[1], Unanswered)
    assert "bad luck" in replies[1].reason
    assert server.faults["500"] == 3


def test_retry_after_holds_every_thread() -> None:
    def fault(_: dict[str, Any], number: int) -> Fault | None:
        return Fault("429", retry_after="1") if number == 1 else None

    with ScriptedServer(echo, faults=fault, delay=0.2) as server:
        asking = annotator(server.url, concurrency=2)
        asking.ask([call("warm")])
        asking.ask([call(f"q{i}") for i in range(4)])
    # The first and the second of the four were on their way; nothing else was sent within the second.
    assert len(server.asked) == 1 + 4 + 1
    assert min(server.times[3:]) - server.times[1] >= 1.0


def test_retry_after_is_a_number_or_a_date() -> None:
    assert retry_after({"retry-after": "2.5"}) == 2.5
    assert retry_after({"retry-after-ms": "50", "retry-after": "9"}) == 0.05
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert 25 < (retry_after({"retry-after": date}) or 0) <= 30
    assert retry_after({"retry-after": email.utils.formatdate(0, usegmt=True)}) == 0
    for strange in ("soon", "-5", "inf", "nan", "", "1e999"):
        assert retry_after({"retry-after": strange}) is None
    assert retry_after({}) is None


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault("401"), r"refuses the key.*\(401\).*environment variable OPENAI_API_KEY.*answered is kept"),
        (Fault("404", message="no such model"), r"knows no model 'scripted'.*no such model.*/v1/models"),
        (Fault("429", retry_after="86400"), r"asks to wait 1,440 minutes"),
        (Fault("429", message="You exceeded your current quota"), r"no credit left"),
    ],
)
def test_what_no_repetition_mends_ends_the_work_at_once(fault: Fault, told: str, tmp_path: Path) -> None:
    with ScriptedServer(echo, faults=lambda _, number: fault if number else None) as server:
        with pytest.raises(PersbenchError, match=f"(?s){told}"):
            annotator(server.url, tmp_path, concurrency=1).ask([call(f"q{i}") for i in range(5)])
        assert len(server.asked) == 2
        with pytest.raises(PersbenchError):
            annotator(server.url, tmp_path, concurrency=1).ask([call(f"q{i}") for i in range(5)])
        assert server.asked[2]["messages"] == [{"role": "user", "content": "q1"}]  # q0 was kept


def test_an_address_where_nobody_answers_is_told_within_seconds() -> None:
    with ScriptedServer(echo) as server:
        url = server.url
    began = time.monotonic()
    with pytest.raises(PersbenchError, match=r"cannot be reached \(ConnectError\)\. Check the address"):
        annotator(url).ask([call("q")])
    assert time.monotonic() - began < 5


def test_one_calls_refusal_is_its_own_and_is_not_repeated() -> None:
    messages = {
        "long": "This model's maximum context length is 10 tokens",
        "filter": "content_filter: no", "odd": "unknown field",
    }  # fmt: skip

    def fault(body: dict[str, Any], _: int) -> Fault | None:
        said = messages.get(body["messages"][0]["content"])
        return Fault("400", message=said) if said else None

    with ScriptedServer(echo, faults=fault) as server:
        replies = annotator(server.url).ask([call("long"), call("filter"), call("odd"), call("fine")])
        assert len(server.asked) == 4
        assert texts(replies) == ["too_long", "filtered", "refused", "you said fine"]
        with pytest.raises(PersbenchError, match=r"10 calls in a row.*unknown field"):
            annotator(server.url, leave_out=("seed",)).ask([call("odd", seed=i) for i in range(30)])
    assert len(server.asked) < 4 + 30


def test_a_slow_answer_is_given_up_and_asked_again() -> None:
    def fault(_: dict[str, Any], number: int) -> Fault | None:
        return Fault("slow", seconds=2.5) if number == 0 else None

    with ScriptedServer(echo, faults=fault) as server:
        asking = annotator(server.url, timeout=1.0)
        assert texts(asking.ask([call("q")])) == ["you said q"]
    assert asking.tally.total().faults == {"timeout": 1}


def test_odd_bodies_are_told_apart() -> None:
    def message(**parts: Any) -> dict[str, Any]:
        return {
            "choices": [{"message": parts, "finish_reason": parts.pop("finish", "stop")}],
            "usage": {"prompt_tokens": -1},
        }

    bodies = {
        "declined": message(content=None, refusal="I cannot"),
        "filtered": message(content="x", finish="content_filter"),
        "thought": message(content="", finish="length"), "half": message(content="a \ud800 b"),
        "none": {"choices": []}, "error": {"error": {"message": "overloaded"}}, "list": message(content=["a"]),
        "cut": message(content="to be continued", finish="length"), "plain": message(content="just so"),
    }  # fmt: skip
    with ScriptedServer(lambda messages: bodies[messages[0]["content"]]) as server:
        asking = annotator(server.url, attempts=2)
        replies = dict(zip(bodies, asking.ask([call(name) for name in bodies]), strict=True))
    kinds = {name: reply.kind for name, reply in replies.items() if isinstance(reply, Unanswered)}
    assert kinds == {
        "declined": "filtered", "filtered": "filtered", "thought": "empty", "half": "malformed_body",
        "none": "malformed_body", "error": "malformed_body", "list": "malformed_body",
    }  # fmt: skip
    assert replies["cut"] == Answer("to be continued", 5, 4, cached=False, truncated=True)
    assert replies["plain"] == Answer("just so", 6, 2, cached=False)  # not counted there, so estimated here


def test_what_is_sent_is_what_was_asked() -> None:
    with ScriptedServer(echo) as server:
        asking = annotator(server.url, parameters={"reasoning_effort": "low"})
        asking.ask([call("a b", temperature=0.5, seed=7, max_tokens=2)])
        assert server.asked[-1] == {
            "model": "scripted", "messages": [{"role": "user", "content": "a b"}], "temperature": 0.5, "seed": 7,
            "max_tokens": 2, "reasoning_effort": "low",
        }  # fmt: skip
        annotator(server.url, leave_out=("seed", "temperature"), token_limit="max_completion_tokens").ask([call("a")])
        assert server.asked[-1].keys() == {"model", "messages", "max_completion_tokens"}
        assert annotator(server.url).id != asking.id
        assert annotator(server.url, concurrency=3, timeout=9.0).id == annotator(server.url).id


def test_a_schema_is_sent_and_left_out_where_it_is_refused() -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    with ScriptedServer(echo) as server:
        annotator(server.url).ask([call("a", schema=schema), call("b")])
        sent: dict[str, Any] = {body["messages"][0]["content"]: body.get("response_format") for body in server.asked}
        assert sent["a"]["json_schema"] == {"name": "talk", "schema": schema, "strict": True}
        assert sent["b"] is None
        annotator(server.url, structured="never").ask([call("a", schema=schema)])
        assert "response_format" not in server.asked[-1]

    def fault(body: dict[str, Any], _: int) -> Fault | None:
        return Fault("400", message="response_format is not supported") if "response_format" in body else None

    with ScriptedServer(echo, faults=fault) as server:
        asking = annotator(server.url, concurrency=1)
        assert texts(asking.ask([call(f"q{i}", schema=schema) for i in range(4)])) == [
            f"you said q{i}" for i in range(4)
        ]
        assert len(server.asked) == 5  # it is refused once, and then not sent
        assert asking.tally.total().faults == {"schema_refused": 1}


def test_calls_keep_to_the_rate() -> None:
    with ScriptedServer(echo) as server:
        asking = annotator(server.url, requests_per_minute=600.0)
        asking.ask([call("warm")])  # the client is made at the first call
        asking.ask([call(f"q{i}") for i in range(5)])
    assert max(server.times[1:]) - min(server.times[1:]) >= 0.35
    limit, stop = RateLimit(tokens=60_000), threading.Event()
    began = time.monotonic()
    assert limit.wait(2000, stop)
    limit.correct(-1900)  # it took fewer
    assert limit.wait(1, stop)
    assert 0.1 <= time.monotonic() - began < 2
    limit.pause(60)
    threading.Timer(0.05, stop.set).start()
    assert not limit.wait(1, stop)  # a stop ends the waiting


def test_a_stop_cuts_the_waiting_short() -> None:
    stop, began = threading.Event(), time.monotonic()
    with ScriptedServer(echo, faults=lambda _, __: Fault("429", retry_after="500")) as server:
        asking = annotator(server.url)
        threading.Timer(0.3, stop.set).start()
        (reply,) = asking.backend.answer([call("q")], tally=asking.tally, stop=stop)
    assert isinstance(reply, Unanswered)
    assert reply.kind == "stopped"
    assert time.monotonic() - began < 5


def paid(content: str | None, finish: str = "stop", **usage: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"content": content}, "finish_reason": finish}], "usage": usage}


@pytest.mark.parametrize(
    ("body", "lost"),
    [
        (paid("", prompt_tokens=7, completion_tokens=3), (14, 6)),  # twice: it may pass
        (paid(None, "length", prompt_tokens=7, completion_tokens=20), (7, 20)),
        (paid("no", "content_filter", prompt_tokens=7, completion_tokens=1), (7, 1)),
        (paid("half \ud800", prompt_tokens=7, completion_tokens=4), (14, 8)),
        ({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 0}}, (14, 0)),
        ({"error": "overloaded"}, (0, 0)),
        (paid(None, "length"), (5, 20)),  # not told, so estimated
    ],
    ids=range(7),
)
def test_what_comes_to_nothing_is_paid_all_the_same(body: dict[str, Any], lost: tuple[int, int]) -> None:
    with ScriptedServer(lambda _: body) as server:
        asking = annotator(server.url, attempts=2)
        (reply,) = asking.ask([call("ask", max_tokens=20)])
    assert isinstance(reply, Unanswered)
    total = asking.tally.total()
    assert (total.lost_prompt_tokens, total.lost_completion_tokens) == lost
    assert asking.budget.spent == total.spent_tokens == sum(lost)
    assert asking.tally.traffic()["talk"]["lost_tokens"] == sum(lost)
    assert (total.prompt_tokens, total.completion_tokens) == (0, 0)  # of answers: the same however often it broke


def test_no_attempt_is_repeated_that_the_budget_has_no_room_for() -> None:
    with ScriptedServer(lambda _: paid("", prompt_tokens=10, completion_tokens=0)) as server:
        asking = CachedAnnotator(annotator(server.url, attempts=8).backend, CallCache(None), budget=50)
        with pytest.raises(BudgetSpent, match=r"budget of 50 tokens is spent: 30 are used, 30 of them by answers that"):
            asking.ask([call("ask", max_tokens=20)])
        assert len(server.asked) == 3
