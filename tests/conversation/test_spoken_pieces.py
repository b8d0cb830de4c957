"""What is shown piece by piece is what would be said whole: no stop, no mark, no half character."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persbench.conversation.pieces import Pieces
from persbench.models.trained_form import ANALYSIS_MARK, RESPONSE_MARK, split_reply

STOP = "\nUser:"
MARKS = (RESPONSE_MARK, ANALYSIS_MARK)


def heard(text: str, *stops: str) -> tuple[list[str], bool]:
    """Say a text a character a token, and return the pieces."""
    pieces = Pieces(lambda tokens: "".join(map(chr, tokens)), [STOP, "", *stops])
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
        (" I know.", "I know."),
        (" One. [Response] Two.", "One."),
        (" One. [Analysis] Two.", "One."),
        (" One [sic] [Res", "One [sic] [Res"),
        (" [Response] Two.", ""),
        ("", ""),
    ],
)
def test_a_response_ends_at_a_further_mark(text: str, said: str) -> None:
    assert "".join(heard(text, *MARKS)[0]) == said == split_reply(f"[Response]{text}").response


def test_half_a_character_waits_for_its_other_half() -> None:
    raw = list("Grüße".encode())
    pieces = Pieces(lambda t: bytes(t).decode(errors="replace"), [])
    said = [pieces.add(byte) for byte in raw]
    assert not any("\ufffd" in piece for piece in said)
    assert "".join([*said, pieces.rest()]) == "Grüße"


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(["[Analysis]", "[Response]", " ", "\n", "User:", "\nUser:", "word", "[", "Res", "é", "\t"]),
        max_size=9,
    ).map("".join),
    st.booleans(),
)
def test_pieces_joined_are_what_is_said_whole(text: str, marks: bool) -> None:
    whole = split_reply(f"[Response]{text}").response if marks else text.lstrip()
    stops = MARKS if marks else ()
    assert "".join(heard(text, *stops)[0]) == whole.partition(STOP)[0].strip()
