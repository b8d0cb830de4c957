"""JSON lines: chat logs in the shapes that are met in the wild, and rows of plain text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from persbench.build.formats.base import Account, Block, Line, Talk, Turn, UnreadableError, split_blocks
from persbench.build.formats.plain import decoded_lines
from persbench.jsonl import MAX_FAULTS, parse_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LISTS: Final = ("messages", "conversations", "conversation", "dialogue", "dialog", "turns")
SPEAKERS: Final = ("speaker", "role", "from", "name", "author", "sender")
ROW_SPEAKERS: Final = ("speaker", "role", "from", "name", "sender")  # a row with an author may be a document
TEXTS: Final = ("text", "content", "value", "message", "utterance", "body")
TALKS: Final = ("conversation_id", "dialogue_id", "dialog_id", "session_id", "thread_id", "chat_id", "channel")
TITLES: Final = ("title", "heading", "chapter")
STAMPS: Final = ("timestamp", "time", "date", "created_at")
_INSTRUCTIONS: Final = frozenset({"system", "developer", "tool", "function", "tool_call", "observation"})
_LONGEST_NAME: Final = 100
_SHAPES: Final = (
    'a row of text {"text": ...}, a line of talk {"speaker": ..., "text": ...}, or a conversation {"messages": [...]}'
)


class _RowError(ValueError):
    """A row of a shape that nobody knows; args are (what is wrong, what is expected)."""


@dataclass
class _Open:
    """A conversation whose lines stand in rows of their own, until it ends."""

    turns: list[Turn] = field(default_factory=list)
    key: object = None
    heading: str = ""

    def take(self) -> Iterator[Talk]:
        if self.turns:
            yield Talk(tuple(self.turns), self.heading)
        self.turns = []


def read(path: Path, account: Account) -> Iterator[Block | Talk]:
    """Read JSON lines: each row a text, a line of talk, or a conversation (ShareGPT and `messages` lists).

    Rows of talk that follow each other are one conversation, until a conversation id or a title changes or a row of
    another kind comes. Blank lines are skipped. Instructions (system and tool messages) are no talk and are left out
    by name.

    Args:
        path: The file.
        account: Grows by what is left out, and by a fault for each row of no known shape.

    Yields:
        Blocks and talks in order.

    Raises:
        UnreadableError: See `plain.decoded_lines`; or the file has too many faults to go on.
    """
    talk = _Open()
    faults = 0
    for number, line in decoded_lines(path, account.limits.line_characters):
        if not line.strip():
            continue
        try:
            row = parse_object(line.encode())
            found = _contents(row, number, account)
        except ValueError as error:
            account.fault(number, *map(str, error.args[:2]))
            faults += 1
            if faults >= MAX_FAULTS:
                raise UnreadableError(f"{MAX_FAULTS} faults up to here", "JSON lines", number) from error
            continue
        key = (next((row[k] for k in TALKS if k in row), None), _first(row, TITLES))
        if not isinstance(found, Turn) or key != talk.key:
            yield from talk.take()
        if isinstance(found, Turn):
            talk.key, talk.heading = key, _first(row, TITLES)
            talk.turns.append(found)
        else:
            yield from found
    yield from talk.take()


def _contents(row: Mapping[str, object], number: int, account: Account) -> Turn | list[Block | Talk]:
    """Return what a row holds: one line of a conversation, or something whole."""
    heading = account.clean(_first(row, TITLES), number)
    for name in LISTS:
        if name in row:
            messages = row[name]
            if not isinstance(messages, list) or not messages:
                raise _RowError(f"{name}: not a list of messages", _SHAPES)
            turns = [_turn(message, f"{name}[{place}]", number, account) for place, message in enumerate(messages)]
            said = tuple(turn for turn in turns if turn)
            return [Talk(said, heading)] if said else []
    if any(name in row for name in ROW_SPEAKERS) and any(name in row for name in TEXTS):
        turn = _turn(row, "", number, account)
        return turn or []
    text = account.clean(_text(row, ""), number)
    return list(split_blocks([Line(number, text)], heading))


def _turn(message: object, place: str, number: int, account: Account) -> Turn | None:
    """Return one message as a turn, or None if it is an instruction or says nothing."""
    at = f"{place}: " if place else ""
    if not isinstance(message, dict):
        raise _RowError(f"{at}not an object", '{"role": ..., "content": ...}')
    speaker = " ".join(account.clean(_first(message, SPEAKERS), number).split())
    if not speaker:
        raise _RowError(f"{at}no speaker", f"one of {', '.join(SPEAKERS)}, a text")
    if len(speaker) > _LONGEST_NAME:
        raise _RowError(f"{at}a speaker's name of {len(speaker):,} characters", f"at most {_LONGEST_NAME}")
    text = account.clean(_text(message, at), number)
    if speaker.lower() in _INSTRUCTIONS:
        account.leave_out(number, f"a {speaker.lower()} message: instructions, no talk")
        return None
    return Turn(number, speaker, text, _first(message, STAMPS)) if text.strip() else None


def _text(row: Mapping[str, object], at: str) -> str:
    name = next((name for name in TEXTS if name in row), None)
    if name is None:
        keys = ", ".join(sorted(row)[:8]) or "none"
        raise _RowError(f"{at}no text (keys: {keys})", _SHAPES)
    value = row[name]
    if isinstance(value, list):  # content in parts, of which some may be pictures
        parts = [part.get("text", "") for part in value if isinstance(part, dict) and part.get("type") == "text"]
        value = "\n\n".join(part for part in parts if isinstance(part, str))
    if not isinstance(value, str):
        raise _RowError(f"{at}{name}: not a text", "a text")
    return value


def _first(row: Mapping[str, object], names: tuple[str, ...]) -> str:
    value = next((row[name] for name in names if name in row), "")
    return value if isinstance(value, str) else ""
