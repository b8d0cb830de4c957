"""What is said aloud piece by piece is what would be said whole: no analysis, no mark, no stop, no half character."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persbench.conversation.pieces import Pieces
from persbench.models.trained_form import split_reply

STOP = "\nUser:"


def heard(text: str, *, thinks: bool = False, most: int = 10_000) -> tuple[list[str], bool]:
    """Say a text a character a token, and return the pieces."""
    pieces = Pieces(lambda tokens: "".join(map(chr, tokens)), [STOP, ""], thinks=thinks, most=most)
    said: list[str] = []
    for char in text:
        said.append(pieces.add(ord(char)))
        if pieces.ended:
            break
    said.append(pieces.rest())
    return [piece for piece in said if piece], pieces.ended


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Good morning.", "Good morning."),
        ("  Good\nmorning.  \n", "Good\nmorning."),
        ("Yes.\nUser: and now?", "Yes."),
        ("Yes.\nUse it well.", "Yes.\nUse it well."),
        ("Yes.\nUser", "Yes.\nUser"),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_plain_speech_ends_at_a_stop_and_is_stripped(text: str, said: str) -> None:
    assert "".join(heard(text)[0]) == said


def test_speech_comes_as_soon_as_it_is_sure() -> None:
    pieces, ended = heard("One two three.")
    assert len(pieces) > 8
    assert not ended
    assert heard("Yes.\nUser: and")[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[Analysis] It is true. [Response] I know.", "I know."),
        ("[Analysis] Not done", ""),
        ("[Ana", "[Ana"),
        ("I know. No marks.", "I know. No marks."),
        ("[Response] At once.", "At once."),
        ("[Analysis] a [Response] One. [Response] Two.", "One."),
        ("[Analysis] a [Response] One. [Analysis] Two.", "One."),
        ("[Analysis] a [Response] One [sic]", "One [sic]"),
        ("[Analysis] a [Response]", ""),
    ],
)
def test_an_analysis_is_thought_and_not_said(text: str, said: str) -> None:
    assert "".join(heard(text, thinks=True)[0]) == said == split_reply(text).response


def test_half_a_character_waits_for_its_other_half() -> None:
    raw = list("Grüße".encode())
    pieces = Pieces(lambda t: bytes(t).decode(errors="replace"), [], thinks=False, most=99)
    said = [pieces.add(byte) for byte in raw]
    assert not any("\ufffd" in piece for piece in said)
    assert "".join([*said, pieces.rest()]) == "Grüße"


def test_no_more_is_said_than_may_be() -> None:
    pieces, ended = heard("[Analysis] " + "a" * 50 + " [Response] " + "b" * 50, thinks=True, most=10)
    assert ended
    assert set("".join(pieces)) == {"b"}
    assert len("".join(pieces)) <= 10


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(["[Analysis]", "[Response]", " ", "\n", "User:", "\nUser:", "word", "[", "Res", "é", "\t"]),
        max_size=9,
    ).map("".join),
    st.booleans(),
)
def test_pieces_joined_are_what_is_said_whole(text: str, thinks: bool) -> None:
    whole = split_reply(text).response if thinks else text.lstrip()
    start = text.lstrip()
    if thinks and "[" in start[1:] and not start.startswith(("[Analysis]", "[Response]")):
        return  # speech first and a mark later: what was said cannot be taken back
    assert "".join(heard(text, thinks=thinks)[0]) == whole.partition(STOP)[0].strip()
