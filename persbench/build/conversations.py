"""Conversations: lines of talk found in a text, and talks cut into segments of a few turns."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from persbench.build.formats.base import Block, Line, Talk, Turn
from persbench.build.paragraphs import cut, joined_lines
from persbench.scoring.words import FUNCTION_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from persbench.build.formats.base import Limits

_DATE: Final = r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}"
_TIME: Final = r"\d{1,2}:\d{2}(?::\d{2})?(?:[ \u202f]?[AaPp]\.?[Mm]\.?)?"
_STAMP: Final = rf"(?:\[?(?P<stamp>{_DATE}(?:,?[ T]{_TIME})?|{_TIME})\]?[ ,-]{{0,4}})?"
_NAME: Final = r"[^\W\d_][\w.'’-]*(?: [\w.'’-]+){0,2}"
_SAID: Final = re.compile(
    rf"{_STAMP}(?:<(?P<nick>[^<>\s]{{1,40}})>|(?P<name>{_NAME})(?P<how> \([^()]{{1,60}}\))? ?[:：](?!//))"
)
_LONGEST_HEAD: Final = 150  # characters: a line is searched for a name no further
_LONGEST_NAME: Final = 40
# What begins a line with a colon and is nobody: heads of letters and messages, notes, title pages.
_NOBODY: Final = frozenset({
    "from", "to", "cc", "bcc", "date", "subject", "re", "fwd", "sent", "received", "reply-to", "note", "notes",
    "nb", "ps", "p.s", "p.p.s", "title", "author", "translator", "editor", "illustrator", "publisher", "language",
    "source", "chapter", "part", "book", "act", "scene", "place", "time", "address", "phone", "tel", "email",
})  # fmt: skip


@dataclass(frozen=True)
class _Lines:
    """A block with lines of talk: what stands before the first of them, and the turns."""

    block: Block
    before: tuple[Line, ...]
    turns: tuple[Turn, ...]


@dataclass(frozen=True)
class Segment:
    """Some turns of a conversation that belong together.

    Attributes:
        number: Line (page, section) of the first turn.
        turns: (speaker, text), in order.
        heading: As in `Block`, or the date and time of the first turn where there is one.
    """

    number: int
    turns: tuple[tuple[str, str], ...]
    heading: str

    @property
    def text(self) -> str:
        """The turns, one below the other."""
        return "\n".join(f"{speaker}: {text}" for speaker, text in self.turns)


def find_talks(blocks: Sequence[Block | Talk]) -> Iterator[Block | Talk]:
    """Find the conversations among blocks of lines.

    A line of talk begins with a name and a colon ("Anna: ..."), with a name in angle brackets, or either after a
    date or time (the first of a segment is kept); lines without a name that follow in its block go on with it.
    Neighbouring blocks of such lines are a conversation if at least two speak, one of them on two lines of the file
    or more; else they stay what they were.

    Args:
        blocks: All of one file.

    Yields:
        The same in order, conversations as talks.
    """
    names = Counter(
        said[0] for block in blocks if isinstance(block, Block) for line in block.lines if (said := _said(line))
    )
    held: list[_Lines] = []
    for block in blocks:
        lines = _split(block) if isinstance(block, Block) else None
        if held and (not lines or lines.before or lines.block.heading != held[0].block.heading):
            yield from _closed(held, names)
            held = []
        if lines:
            held.append(lines)
        else:
            yield block
    yield from _closed(held, names)


def _said(line: Line) -> tuple[str, Turn] | None:
    """Return (name as a key, turn) if a line begins with somebody's name."""
    found = _SAID.match(line.text.lstrip()[:_LONGEST_HEAD])
    if not found:
        return None
    name = found["nick"] or found["name"]
    if len(name) > _LONGEST_NAME or name.casefold().rstrip(".") in _NOBODY:
        return None
    if " " in name and (name[0].islower() or name.casefold().split()[-1] in FUNCTION_WORDS):
        return None  # "as the song goes: ..." and "Write to: ..." are no names; "anna_92: ..." is
    text = f"{found['how'] or ''} {line.text.lstrip()[found.end() :].strip()}".strip()
    return name.casefold(), Turn(line.number, name, text, found["stamp"] or "")


def _split(block: Block) -> _Lines | None:
    """Split a block into prose and the turns from its first line of talk on; None if it has no such line."""
    heads: list[Turn] = []
    parts: list[list[Line]] = [[]]  # before the first turn, then of each turn
    for line in block.lines:
        if said := _said(line):
            heads.append(said[1])
            parts.append([Line(line.number, said[1].text)])
        else:
            parts[-1].append(line)
    turns = [head._replace(text=joined_lines(lines)[0]) for head, lines in zip(heads, parts[1:], strict=True)]
    return _Lines(block, tuple(parts[0]), tuple(turns)) if turns else None


def _closed(held: Sequence[_Lines], names: Counter[str]) -> Iterator[Block | Talk]:
    turns = tuple(turn for lines in held for turn in lines.turns)
    speakers = {turn.speaker.casefold() for turn in turns if turn.text.strip()}  # a bare name says nothing
    if len(speakers) > 1 and any(names[speaker] > 1 for speaker in speakers):
        block, before = held[0].block, held[0].before
        if before:
            yield Block(before, block.heading, block.filled)
        yield Talk(turns, block.heading)
    else:
        yield from (lines.block for lines in held)


def segments(talk: Talk, limits: Limits) -> list[Segment]:
    """Cut a conversation into segments of a few turns.

    What one speaker says in a row is one turn; a turn longer than `limits.longest` words is cut at the ends of
    sentences into several. A last turn left alone joins the segment before it: without what it replies to it says
    little.

    Args:
        talk: The conversation; turns without text are passed over.
        limits: `turns` of a segment and `longest`.

    Returns:
        Segments in order.
    """
    turns: list[Turn] = []
    for _, group in groupby(talk.turns, key=lambda turn: turn.speaker):
        said = list(group)
        lines = (" ".join(line.split()) for turn in said for line in turn.text.split("\n"))
        pieces = cut("\n".join(line for line in lines if line), limits.longest, limits.shortest)
        turns += [said[0]._replace(text=piece.strip()) for piece in pieces if piece.strip()]
    starts = list(range(0, len(turns), limits.turns))
    if len(starts) > 1 and starts[-1] == len(turns) - 1:
        starts.pop()
    return [
        Segment(
            turns[start].number,
            tuple((turn.speaker, turn.text) for turn in turns[start:end]),
            " > ".join(part for part in (talk.heading, turns[start].stamp) if part),
        )
        for start, end in zip(starts, [*starts[1:], len(turns)], strict=True)
    ]
