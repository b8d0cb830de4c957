"""Who speaks, as a user writes it: SYSTEM:PERSONA[:STAGE], with folders that hold colons."""

from __future__ import annotations

import pytest

from persbench.conversation.asks import Voice, parse_voice, split_voice
from persbench.errors import PersbenchError
from persbench.packs.bundled import fake_pack
from persbench.packs.load import load_pack

PACK = load_pack(fake_pack())


@pytest.mark.parametrize(
    ("text", "voice"),
    [
        ("prompt:ada", Voice("prompt", "ada", "late")),
        ("prompt:ada:early", Voice("prompt", "ada", "early")),
        (" prompt : ada : early ", Voice("prompt", "ada", "early")),
        ("persllm=runs/x:bo:late", Voice("persllm=runs/x", "bo", "late")),
        ("persllm=C:/adapters:bo", Voice("persllm=C:/adapters", "bo", "late")),
        ("persllm=a:b:ada:bo:early", Voice("persllm=a:b:ada", "bo", "early")),
        ("persllm+profile=x:ada", Voice("persllm+profile=x", "ada", "late")),
        ("own=x/ada:bo:ada", Voice("own=x/ada:bo", "ada", "late")),
    ],
)
def test_a_voice_is_read_from_the_right(text: str, voice: Voice) -> None:
    assert parse_voice(text, PACK) == voice


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prompt", "names no persona: write SYSTEM:PERSONA[:STAGE], such as prompt:ada"),
        ("prompt:addda", "unknown persona 'addda'. Did you mean 'ada'?"),
        ("prompt:ada:erly", "unknown stage 'erly'. Did you mean 'early'?"),
        (":ada", "names no system"),
        ("::", "unknown persona ''"),
        ("", "names no system"),
        ("persllm=x:nobody", "names no persona"),
    ],
)
def test_what_is_no_voice_is_told_with_what_would_be(text: str, message: str) -> None:
    with pytest.raises(PersbenchError) as caught:
        parse_voice(text, PACK)
    assert message in str(caught.value)


def test_a_system_alone_leaves_the_persona_to_the_scenario() -> None:
    assert split_voice("prompt", PACK) == ("prompt", "", "")
    assert split_voice("persllm=some:folder", PACK) == ("persllm=some:folder", "", "")


def test_a_voice_knows_its_systems_name_and_is_written_as_it_is_read() -> None:
    voice = Voice("persllm=some:folder", "bo", "early")
    assert voice.name == "persllm"
    assert parse_voice(str(voice), PACK) == voice
