"""The judgements against a scripted server with known verdicts, and against answers of every bad kind."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from known_run import FrameReader, Truth
from scripted_server import Fault, Messages, ScriptedServer

from persbench.annotators.frames import frames
from persbench.judging.answers import ranking_parser, verdict_parser
from persbench.judging.cases import AgreeCase, ContradictCase, RankCase, ResistCase, SortCase
from persbench.judging.judge import Judge, load_judge
from persbench.judging.judgements import agree, contradict, rank, resist, sort_replies
from persbench.judging.orders import groups_of, mean_places, orders_of, places_of
from persbench.judging.verdicts import consistent

AGREE = AgreeCase("one", "What of debts?", "They go in the book.", "Into the book with them.")
THREE = RankCase("r", "What of debts?", {"a": "In the book.", "b": "In the head.", "c": "Into the sea."})


def judge_at(server: ScriptedServer, **more: Any) -> Judge:
    return load_judge(f"openai:scripted@{server.url}", cache=None, **more)


def always(text: str) -> Callable[[Messages], str]:
    return lambda _: text


def first_frames(messages: Messages) -> dict[str, str]:
    return {frame.field: frame.text for frame in frames(messages[1]["content"])}


def test_verdicts_are_those_that_the_judge_gave() -> None:
    truth = Truth(
        quality={"Into the book with them.": 4, "Never.": 0},
        resists={"No.": "resist", "Yes.": "yield", "Well.": "evade", "Salt salt.": "incoherent"},
        sorts={"What is it?": "knowledge", "Is it good?": "attitude", "Hm?": "neither"},
        against={frozenset(("I am five.", "I am six."))},
    )
    with ScriptedServer(FrameReader(truth)) as server:
        judge = judge_at(server)
        sorted_ = sort_replies(judge, [SortCase(q, q, "So.") for q in ("What is it?", "Is it good?", "Hm?")])
        assert [v.value for v in sorted_] == ["knowledge", "attitude", "neither"]
        scores = agree(judge, [AGREE, AgreeCase("two", "q", "ref", "Never.")])
        assert [(v.case, v.value, v.reason, v.kind) for v in scores] == [("one", 4, None, ""), ("two", 0, None, "")]
        kinds = resist(judge, [ResistCase(t, "You fly.", t) for t in ("No.", "Yes.", "Well.", "Salt salt.")])
        assert [v.value for v in kinds] == ["resist", "yield", "evade", "incoherent"]
        cases = [
            ContradictCase("p", "prompt", "A boy of five.", "I am six."),
            ContradictCase("l", "line", "I am five.", "I am six."),
            ContradictCase("a", "answer", "I am five.", "I am six.", "How old?"),
            ContradictCase("m", "line", "I am five.", "I like bread."),
        ]
        found = contradict(judge, cases)
        assert [(v.case, v.value) for v in found] == [
            ("p", "consistent"), ("l", "contradicts"), ("a", "contradicts"), ("m", "consistent"),
        ]  # fmt: skip
        assert [len(v.orders) for v in found] == [1, 2, 1, 2]
        assert [consistent(v.value) for v in found] == [True, False, False, True]
        assert all(v.tokens > 0 and not v.cached for v in found)
        assert all(v.cached for v in contradict(judge, cases))
        assert len(server.asked) == 3 + 2 + 4 + 6


def test_a_ranking_is_the_mean_over_orders_with_ties_shared() -> None:
    truth = Truth(quality={"In the book.": 3, "In the head.": 3, "Into the sea.": 5})
    with ScriptedServer(FrameReader(truth)) as server:
        (found,) = rank(judge_at(server), [THREE])
    assert found.places == {"a": 2.5, "b": 2.5, "c": 1.0}
    assert found.groups == (("c",), ("a", "b"))
    assert [sorted(order.shown) for order in found.orders] == [["a", "b", "c"]] * 2
    assert found.orders[0].shown == found.orders[1].shown[::-1]
    assert [set(map(frozenset, order.value or ())) for order in found.orders] == [
        {frozenset({"c"}), frozenset({"a", "b"})}
    ] * 2


def test_a_judge_that_looks_at_places_alone_gives_nobody_an_advantage() -> None:
    def first_is_best(messages: Messages) -> str:
        n = sum(frame.field == "replies" for frame in frames(messages[1]["content"]))
        return json.dumps({"why": "", "ranking": [[i] for i in range(1, n + 1)]})

    with ScriptedServer(first_is_best) as server:
        two, three = rank(judge_at(server), [RankCase("p", "q", {"a": "x", "b": "y"}), THREE])
    assert two.places == {"a": 1.5, "b": 1.5}
    assert three.places == {"a": 2.0, "b": 2.0, "c": 2.0}


def test_places_and_orders_by_hand() -> None:
    assert places_of((("a", "c"), ("b",))) == {"a": 1.5, "c": 1.5, "b": 3.0}
    assert places_of((("d",), ("a", "b", "c"))) == {"d": 1.0, "a": 3.0, "b": 3.0, "c": 3.0}
    assert mean_places([(("a",), ("b",)), (("a", "b"),)]) == {"a": 1.25, "b": 1.75}
    assert groups_of({"a": 2.0, "b": 1.0, "c": 2.0}) == (("b",), ("a", "c"))
    assert len(orders_of(["a", "b"], 6, "s")) == 2
    orders = orders_of(["a", "b", "c", "d"], 6, "s")
    assert len(set(orders)) == 6
    assert orders == orders_of(["d", "c", "b", "a"], 6, "s")
    assert [order[0] for order in orders[::2]] == [order[-1] for order in orders[1::2]]
    for wanted in (2, 4, 6):  # every reply stands as often at a place as at its mirror
        for name in "abc":
            places = [order.index(name) for order in orders_of(["a", "b", "c"], wanted, "s")]
            assert sum(places) == wanted, "the mean place is the middle one"
    with pytest.raises(ValueError, match="no reverse"):
        orders_of(["a", "b", "c"], 3, "s")


def test_the_judge_sees_no_name_of_a_system_and_every_reply_in_a_frame_of_its_own() -> None:
    seen: list[Messages] = []

    def note(messages: Messages) -> str:
        seen.append(messages)
        return '{"why": "", "ranking": [[1, 2]]}'

    with ScriptedServer(note) as server:
        rank(judge_at(server), [RankCase("rank/x", "q", {"persllm-9": "x", "vanilla-9": "y"}, "Ada.", "In the book.")])
    assert len(seen) == 2
    assert not [m for messages in seen for m in messages if "persllm" in m["content"] or "vanilla" in m["content"]]
    shown = [[f.text for f in frames(messages[1]["content"]) if f.field == "replies"] for messages in seen]
    assert sorted(shown) == [["1\nx", "2\ny"], ["1\ny", "2\nx"]]
    assert first_frames(seen[0]) | {"replies": ""} == {
        "speaker": "Ada.", "question": "q", "reference": "In the book.", "replies": "",
    }  # fmt: skip


BAD = {
    "words": "I would say four.",
    "refusal": "I'm sorry, I cannot help with judging people.",
    "number": "4",
    "text around": 'Here it is: {"why": "", "score": 4}',
    "twice": '{"why": "", "score": 4}\n{"why": "", "score": 5}',
    "same key twice": '{"score": 1, "score": 4}',
    "out of range": '{"why": "", "score": 6}',
    "below": '{"why": "", "score": -1}',
    "a half": '{"why": "", "score": 3.5}',
    "as text": '{"why": "", "score": "4"}',
    "true": '{"why": "", "score": true}',
    "with a point": '{"why": "", "score": 4.0}',
    "null": '{"why": "", "score": null}',
    "more keys": '{"why": "", "score": 4, "rank": 1}',
    "list": "[4]",
    "NaN": '{"why": "", "score": NaN}',
    "very long": '{"why": "' + "x" * 250_000 + '", "score": 4}',
    "deep": "[" * 5000 + "]" * 5000,
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_an_answer_of_another_form_is_repaired_once_or_stays_unscored(text: str) -> None:
    with ScriptedServer(always(text)) as server:
        (found,) = agree(judge_at(server), [AGREE])
        assert (found.value, found.kind) == (None, "malformed")
        assert found.reason
        assert "asked again" in found.reason
        assert [len(order.answers) for order in found.orders] == [2]
        assert len(server.asked) == 2
    mended = iter([text, '```json\n{"why": "now", "score": 0}\n```'])
    with ScriptedServer(lambda _: next(mended)) as server:
        (found,) = agree(judge_at(server), [AGREE])
        assert (found.value, found.reason, found.kind) == (0, None, "")
        assert found.orders[0].answers[0].text.strip() == text.strip()


RANKINGS = {
    "one missing": [[1], [2]],
    "one twice": [[1, 2], [2, 3]],
    "beyond": [[1], [2], [4]],
    "zero": [[0], [1], [2]],
    "flat": [1, 2, 3],
    "texts": [["1"], ["2"], ["3"]],
    "truth": [[True], [2], [3]],
    "empty group": [[1, 2, 3], []],
    "nothing": [],
    "names": [["a"], ["b"], ["c"]],
}


@pytest.mark.parametrize("ranking", RANKINGS.values(), ids=RANKINGS)
def test_a_ranking_that_is_none_is_unscored(ranking: object) -> None:
    with ScriptedServer(always(json.dumps({"why": "", "ranking": ranking}))) as server:
        (found,) = rank(judge_at(server), [THREE])
    assert (found.places, found.groups, found.kind) == (None, None, "malformed")
    assert [len(order.answers) for order in found.orders] == [2, 2]


def test_a_ranking_with_one_unreadable_order_is_unscored_whole() -> None:
    def half(messages: Messages) -> str:
        texts = [f.text for f in frames(messages[1]["content"]) if f.field == "replies"]
        return '{"why": "", "ranking": [[1], [2]]}' if texts[0].endswith("x") else "no"

    with ScriptedServer(half) as server:
        (found,) = rank(judge_at(server), [RankCase("p", "q", {"a": "x", "b": "y"})])
    assert (found.places, found.kind) == (None, "malformed")
    assert sorted(order.value is None for order in found.orders) == [False, True]


def test_two_lines_whose_orders_get_different_verdicts_are_unscored() -> None:
    def by_order(messages: Messages) -> str:
        verdict = "contradicts" if first_frames(messages)["held"] == "first" else "consistent"
        return json.dumps({"why": "", "verdict": verdict})

    with ScriptedServer(by_order) as server:
        (found,) = contradict(judge_at(server), [ContradictCase("l", "line", "first", "second")])
    assert (found.value, found.kind) == (None, "split")
    assert [(o.shown, o.value) for o in found.orders] == [
        (("held", "line"), "contradicts"), (("line", "held"), "consistent"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "  \n\t ", "\u200b\u2060\ufeff", "\x00\x07"])
def test_a_reply_without_a_visible_character_is_unscored_and_nobody_is_asked(text: str) -> None:
    with ScriptedServer(always('{"why": "", "score": 5}')) as server:
        judge = judge_at(server)
        (found,) = agree(judge, [AgreeCase("e", "q", "ref", text)])
        assert (found.value, found.kind, found.orders, found.tokens, found.cached) == (None, "empty", (), 0, False)
        (pair,) = contradict(judge, [ContradictCase("l", "line", text, "There.")])
        assert pair.kind == "empty"
        assert server.asked == []


def test_a_reply_that_is_too_long_is_unscored_and_one_at_the_limit_is_sent_whole() -> None:
    longest = load_judge("openai:m@http://127.0.0.1:9/v1", cache=None).longest
    with ScriptedServer(always('{"why": "", "score": 2}')) as server:
        found = agree(judge_at(server), [AgreeCase(str(n), "q", "r", "y" * n) for n in (longest, longest + 1)])
        assert [(v.value, v.kind) for v in found] == [(2, ""), (None, "too_long")]
        assert "y" * longest in server.asked[0]["messages"][1]["content"]


def test_a_ranking_leaves_out_what_cannot_be_shown_and_says_whose_it_was() -> None:
    truth = Truth(quality={"x": 1, "y": 2})
    with ScriptedServer(FrameReader(truth)) as server:
        judge = judge_at(server)
        cases = [RankCase("1", "q", {"a": "x", "b": " ", "c": "y"}), RankCase("2", "q", {"a": "x", "b": ""})]
        three, two = rank(judge, cases)
        assert (three.places, three.left_out) == ({"a": 2.0, "c": 1.0}, {"b": "empty"})
        assert (two.places, two.kind, two.left_out, two.orders) == (None, "empty", {"b": "empty"}, ())
        assert len(server.asked) == 2


def test_a_refusal_by_the_endpoint_is_unanswered_and_no_score() -> None:
    filtered = {"choices": [{"message": {"content": None, "refusal": "no"}, "finish_reason": "content_filter"}]}

    def some(messages: Messages) -> str | dict[str, Any]:
        return filtered if "Never" in first_frames(messages)["reply"] else '{"why": "", "score": 0}'

    with ScriptedServer(some) as server:
        found = agree(judge_at(server), [AGREE, AgreeCase("two", "q", "ref", "Never.")])
    assert [(v.value, v.kind) for v in found] == [(0, ""), (None, "unanswered")]
    assert found[1].reason
    assert "declined" in found[1].reason


def test_an_answer_that_was_cut_off_is_not_read() -> None:
    with ScriptedServer(always('{"why": "' + "word " * 400 + '", "score": 5}')) as server:
        (found,) = agree(judge_at(server), [AGREE])
    assert (found.value, found.kind) == (None, "malformed")
    assert found.reason
    assert "cut off" in found.reason


def test_another_seed_asks_anew_and_the_same_does_not() -> None:
    with ScriptedServer(always('{"why": "", "score": 3}')) as server:
        judge = judge_at(server)
        for seed in (0, 1, 0, 1):
            assert agree(judge, [AGREE], seed=seed)[0].value == 3
        assert [body["seed"] for body in server.asked] == [0, 1]
        assert {body["temperature"] for body in server.asked} == {0}


def test_the_schema_is_sent_and_done_without_where_it_is_refused() -> None:
    def refuses(body: dict[str, Any], _: int) -> Fault | None:
        return Fault("400", "response_format is not supported") if "response_format" in body else None

    with ScriptedServer(always('{"why": "", "score": 3}'), faults=refuses) as server:
        (found,) = agree(judge_at(server), [AGREE])
        schema = server.asked[0]["response_format"]["json_schema"]["schema"]
    assert found.value == 3
    assert schema["required"] == ["why", "score"]
    assert schema["properties"]["score"]["enum"] == [0, 1, 2, 3, 4, 5]


def test_progress_is_told_of_every_case_once() -> None:
    with ScriptedServer(always('{"why": "", "ranking": [[1, 2]]}')) as server:
        told: list[int] = []
        cases = [RankCase(str(n), "q", {"a": f"x{n}", "b": f"y{n}"}) for n in range(5)]
        rank(judge_at(server), [*cases, RankCase("e", "q", {"a": "", "b": "y"})], progress=told.append)
    assert sum(told) == 6
    assert min(told) >= 0


def test_nothing_to_judge_is_no_question() -> None:
    with ScriptedServer(always("no")) as server:
        judge = judge_at(server)
        assert [f(judge, []) for f in (agree, rank, resist, sort_replies, contradict)] == [[]] * 5
        assert server.asked == []


def test_parsers_take_what_is_asked_for() -> None:
    assert ranking_parser(3)('{"ranking": [[2], [1, 3]]}') == ((2,), (1, 3))
    assert verdict_parser("sort")('{"why": "x", "verdict": "neither"}') == "neither"
    assert verdict_parser("agree")('{"score": 5, "why": "x"}') == 5
    assert re.fullmatch(r"\d", str(verdict_parser("agree")('{"score": 0}')))
