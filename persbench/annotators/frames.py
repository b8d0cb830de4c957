"""Quoting untrusted text in a prompt: in a frame that it cannot close, and without a chat template's own marks."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NONCE_DIGITS: Final = 10
LONGEST_LINE: Final = 300

# What chat templates open and close turns with. Tokenizers turn these texts into their special tokens.
_TEMPLATE_MARK = re.compile(
    r"<(?=[|\uff5c])"  # <|im_start|>, <|eot_id|>, and those with a full-width bar
    r"|<(?=/?(?:s|bos|eos|pad|unk|mask|think|tool_call|tool_response|start_of_turn|end_of_turn|start_of_role|end_of_role)>)"
    r"|<(?=</?SYS>>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS)\])",
    re.IGNORECASE,
)
# A line that reads as if somebody else began to speak to the model.
_ROLE_MARKER = re.compile(
    r"^(?=[ \t#>*\[(-]*(?:system|user|human|assistant|developer|tool|instructions?|response)"
    r"(?:[ \t]+(?:message|prompt))?(?:\]\(#\w+)?[ \t\])*]*:"
    r"|[ \t]*#+[ \t]*(?:system|user|human|assistant|developer|instructions?|response)\b)",
    re.IGNORECASE | re.MULTILINE,
)
_FRAME = re.compile(rf"<([a-z][a-z0-9_]*)-([0-9a-f]{{{NONCE_DIGITS}}})>")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_LINE_ENDS = re.compile(r"\r\n|[\r\x0b\x0c\x85\u2028\u2029]")


@dataclass(frozen=True)
class Frame:
    """One piece of quoted material, as it stands in a prompt.

    Attributes:
        field: Name of the placeholder that it filled.
        text: The material as the model sees it.
    """

    field: str
    text: str


def neutral(text: str, special: Iterable[str] = ()) -> str:
    """Take from a text what a model could take for the end of a turn.

    A blank is put after the first character of every chat-template mark, a bar before every line that begins like a
    role ("Assistant:"), control characters go, and every kind of line end becomes a line feed. The words stay.

    Args:
        text: Untrusted text.
        special: Further marks to break, such as a tokenizer's special tokens.

    Returns:
        The text, in NFC. Applying it twice changes nothing more.
    """
    text = unicodedata.normalize("NFC", _CONTROL.sub("", _LINE_ENDS.sub("\n", text)))
    text = _TEMPLATE_MARK.sub(lambda mark: f"{mark[0]} ", text)
    text = broken(text, special)
    return _ROLE_MARKER.sub("| ", text)


def broken(text: str, marks: Iterable[str]) -> str:
    """Put a blank into every one of the marks that a text holds, after the first character."""
    for mark in sorted({mark for mark in marks if len(mark) > 1 and mark.strip()}, key=lambda m: (-len(m), m)):
        text = text.replace(mark, f"{mark[0]} {mark[1:]}")
    return text


def one_line(text: str) -> str:
    """Make a text fit to stand inside a sentence: one line of at most `LONGEST_LINE` characters, neutralised."""
    line = " ".join(neutral(text).split())
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 3] + "..."


def nonce_for(texts: Sequence[str]) -> str:
    """Return a tag that occurs in none of the texts: a hash of them all, drawn again until it is absent.

    The same texts always give the same tag, so that a call has the same key in every run.
    """
    for attempt in range(1 << 20):
        seed = "\0".join([str(attempt), *(text.replace("\0", "") for text in texts)])
        nonce = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).hexdigest()[:NONCE_DIGITS]
        if not any(nonce in text.casefold() for text in texts):
            return nonce
    raise AssertionError("a text would need 2**20 given tags in it")


def frame(field: str, text: str, nonce: str) -> str:
    """Quote a neutralised text between an opening and a closing line that bear the nonce."""
    return f"<{field}-{nonce}>\n{text}\n</{field}-{nonce}>"


def frames(text: str) -> list[Frame]:
    """Read the frames of a message from its start, as a careful reader does: inside a frame only its own end counts.

    Args:
        text: Content of a message made by `PromptFile.render`.

    Returns:
        The frames in order; what looks like a frame inside another one is that one's text.
    """
    found: list[Frame] = []
    lines = iter(text.split("\n"))
    for line in lines:
        if opening := _FRAME.fullmatch(line):
            end, inner = f"</{opening[1]}-{opening[2]}>", list[str]()
            for inside in lines:
                if inside == end:
                    found.append(Frame(opening[1], "\n".join(inner)))
                    break
                inner.append(inside)
    return found
