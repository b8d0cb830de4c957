"""A persona message that a chat template drops is folded back in, or refused: never lost."""

from __future__ import annotations

import json
from collections import namedtuple
from typing import Any

import pytest

from persbench.errors import PersbenchError
from persbench.harness.rendering import render
from persbench.models.chat import Message

MESSAGES: list[Message] = [
    {"role": "system", "content": "You are Ada, a baker."},
    {"role": "user", "content": "What is a debt?"},
]


def chat(messages: list[Message], add_generation_prompt: bool = True) -> str:
    assert add_generation_prompt
    return "".join(f"<{m['role']}>{m['content'].strip()}" for m in messages) + "<assistant>"


def without_system(messages: list[Message], add_generation_prompt: bool = True) -> str:
    return chat([m for m in messages if m["role"] != "system"], add_generation_prompt)


def test_a_template_that_keeps_everything_is_used_as_it_is() -> None:
    assert render(MESSAGES, chat) == ("<system>You are Ada, a baker.<user>What is a debt?<assistant>", "chat", "")


def test_a_dropped_system_message_is_folded_into_the_user_turn() -> None:
    rendered = render(MESSAGES, without_system)
    assert rendered.mode == "folded"
    assert rendered.context == "<user>You are Ada, a baker.\n\nWhat is a debt?<assistant>"


def test_a_template_that_loses_the_user_turn_is_refused() -> None:
    with pytest.raises(PersbenchError, match="drops part of the conversation"):
        render(MESSAGES, lambda messages, add_generation_prompt: "<assistant>")


def test_without_a_template_the_text_is_plain_and_says_so() -> None:
    context, mode, delimiter = render(MESSAGES, None)
    assert (mode, delimiter) == ("plain", " ")
    assert context == "You are Ada, a baker.\n\nUser: What is a debt?\n\nAssistant:"


def test_an_endpoint_s_json_is_looked_into() -> None:
    JsonChatStr = namedtuple("JsonChatStr", ["prompt"])  # noqa: PYI024 - as lm-eval's own

    def endpoint(messages: list[Message], add_generation_prompt: bool = True) -> Any:
        return JsonChatStr(json.dumps(messages if add_generation_prompt else []))

    quoted: list[Message] = [{"role": "system", "content": 'Says "no".\nOften.'}, {"role": "user", "content": "Why?"}]
    assert render(quoted, endpoint).mode == "chat"
