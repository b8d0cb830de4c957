"""Answers are read strictly, mended once, and otherwise stay without a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import pytest

from persbench.annotators.asking import CachedAnnotator
from persbench.annotators.cache import CallCache
from persbench.annotators.calls import Answer, Call, Reply, Unanswered
from persbench.annotators.parsing import MalformedError, ask_parsed, json_object, one_of, schema_of, sections
from persbench.packs.texts import Many, PackModel, Text


class Verdict(PackModel):
    kind: Literal["speech", "knowledge"]
    score: int
    words: Many[Text] = ()


GOOD = '{"kind": "speech", "score": 3, "words": ["a"]}'


@pytest.mark.parametrize("text", [GOOD, f"\n{GOOD}\n", f"```json\n{GOOD}\n```", f"```\n{GOOD}\n```"])
def test_an_object_may_stand_in_a_fence_and_nowhere_else(text: str) -> None:
    assert json_object(Verdict)(text) == Verdict(kind="speech", score=3, words=("a",))


@pytest.mark.parametrize(
    "text",
    [
        f"Here it is: {GOOD}", f"{GOOD} I hope this helps.", f"```json\n{GOOD}\n```\nDone.", f"[{GOOD}]", "", "null",
        '{"kind": "speech"}', '{"kind": "speech", "score": "3"}', '{"kind": "speech", "score": 3, "more": 1}',
        '{"kind": "song", "score": 3}', '{"kind": "speech", "score": 3, "score": 4}', "{",
        '{"kind": "speech", "score": NaN}', '{"kind": "speech", "score": true}', "```json\n" + GOOD, "{" * 100_000,
        '{"kind": "speech", "score": 1' + "0" * 30 + "}",
        '{"kind": "speech", "score": 3, "words": ["\\ud800"]}', '{"kind": "speech", "score": 3, "words": [" "]}',
    ],
)  # fmt: skip
def test_everything_else_is_malformed_and_says_why(text: str) -> None:
    with pytest.raises(MalformedError) as raised:
        json_object(Verdict)(text)
    assert 10 < len(str(raised.value)) < 500


def test_the_schema_is_as_strict_as_the_parser() -> None:
    schema = schema_of(Verdict)
    assert schema["required"] == ["kind", "score", "words"]
    assert schema["additionalProperties"] is False
    assert "default" not in schema["properties"]["words"]


def test_a_label_stands_alone() -> None:
    parse = one_of(["Experience", "Speech"])
    assert parse(" speech\n") == "Speech"
    for text in ("speech.", "It is speech", "", "speech speech"):
        with pytest.raises(MalformedError, match="nothing else"):
            parse(text)


def test_sections_come_once_in_order_and_with_a_text() -> None:
    parse = sections("Analysis", "Response")
    assert parse("[Analysis] It is false.\n[response] No,\nnever [Response].") == {
        "Analysis": "It is false.", "Response": "No,\nnever [Response].",
    }  # fmt: skip
    bad = ("[Response] a\n[Analysis] b", "[Analysis] a", "Well. [Analysis] a\n[Response] b", "[Analysis]\n[Response] b",
           "[Analysis] a\n[Response] b\n[Response] c", "Sure!\n[Analysis] a\n[Response] b", "")  # fmt: skip
    for text in bad:
        with pytest.raises(MalformedError):
            parse(text)


class Talker:
    """A backend that answers by a function of the messages."""

    workers, batch, id = 2, 1, "talker"

    def __init__(self, say: Callable[[Any], Reply]) -> None:
        self.say, self.asked = say, list[Call]()

    def answer(self, calls: Sequence[Call], **_: Any) -> list[Reply]:
        self.asked += calls
        return [self.say(call.messages) for call in calls]


def said(text: str, **more: Any) -> Answer:
    return Answer(text, 5, 5, cached=False, **more)


def test_a_malformed_answer_is_asked_for_once_more() -> None:
    def say(messages: Any) -> Reply:
        first, again = messages[0]["content"], len(messages) > 1
        if first == "never" or (first == "second" and not again):
            return said("<|im_start|>song")
        if first == "gone":
            return Unanswered("it broke", "timeout")
        if first == "cut" and not again:
            return said("speech", truncated=True)
        return said("speech")

    annotator = CachedAnnotator(talker := Talker(say), CallCache(None))
    calls = [
        Call("sort", "v", ({"role": "user", "content": text},), 9)
        for text in ("first", "second", "never", "gone", "cut")
    ]
    results = ask_parsed(annotator, calls, one_of(["speech"]))
    assert [result.value for result in results] == ["speech", "speech", None, None, "speech"]
    assert [result.repaired for result in results] == [False, True, False, False, True]
    assert [result.kind for result in results] == ["", "", "malformed", "unanswered", ""]
    assert [len(result.answers) for result in results] == [1, 2, 2, 0, 2]
    assert "asked again" in results[2].reason
    assert results[3].reason == "it broke"
    assert len(talker.asked) == 5 + 3
    repair = next(call for call in talker.asked if call.task == "sort:repair")
    assert [message["role"] for message in repair.messages] == ["user", "assistant", "user"]
    assert "<|im_start|>" not in repair.messages[2]["content"]  # the reason quotes the answer, without its marks
    work = annotator.tally.work()
    assert work["sort"]["notes"] == {"malformed": 3, "repaired": 2, "truncated": 1}
    assert work["sort"]["unanswered"] == {"timeout": 1}
    assert work["sort:repair"]["calls"] == 3
