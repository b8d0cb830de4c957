"""Material units: raw text of any format as paragraphs and segments of conversation, in order, each once."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import normalize

from persbench.build.formats.base import Account, Block, LeftOut, Limits
from persbench.build.sources import path_faults, read_source, require_extra, shown
from persbench.errors import Fault, FaultsError
from persbench.packs.texts import folded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from persbench.build.formats.base import Talk

__all__ = ["LeftOut", "Limits", "Unit", "UnitsRead", "read_units"]


@dataclass(frozen=True)
class Unit:
    """A piece of raw text of a useful length.

    Attributes:
        id: The same in every run over the same file; follows from side, file name, place and text.
        text: NFC, LF, no control characters. White space is folded; a line end divides short paragraphs that were
            gathered, and turns.
        source: Name of the file, without folders.
        line: Line (page of a PDF, document of an EPUB) that it begins in, 1-based.
        objective: Whether the file tells about the persona; else it is what the persona said or wrote.
        turns: (speaker, text) of each turn if it is a segment of a conversation.
        heading: The headings above it, outermost first, joined by " > ", and the date or time of a first turn.
    """

    id: str
    text: str
    source: str
    line: int
    objective: bool
    turns: tuple[tuple[str, str], ...] = ()
    heading: str = ""


@dataclass(frozen=True)
class UnitsRead:
    """What files hold.

    Attributes:
        units: In the order of the files and of their text; no text stands twice.
        dropped: (file:line, reason) of all that was read and left out.
        bytes_read: Size of the files together.
    """

    units: tuple[Unit, ...]
    dropped: tuple[LeftOut, ...]
    bytes_read: int


def read_units(paths: Sequence[Path], *, objective: bool, limits: Limits | None = None) -> UnitsRead:
    """Read files of raw text (txt, Markdown, JSON lines, EPUB, PDF) as material units.

    Args:
        paths: The files, whose names differ.
        objective: Whether they tell about the persona, or hold what the persona said and wrote.
        limits: Bounds on reading, and the length of units.

    Returns:
        Units, what was left out and why, bytes.

    Raises:
        FaultsError: All that is wrong with all files, each with its place and what to do.
        PersbenchError: The libraries of the extra `build` are missing.
    """
    require_extra()
    limits = limits or Limits()
    faults: list[Fault] = path_faults(paths)
    units: dict[str, Unit] = {}  # by its text, folded
    dropped: list[LeftOut] = []
    spent = size = 0
    for path in paths:
        account = Account(shown(path), shown(Path(path.name)), limits, spent)
        found = list(_units(read_source(path, account), account, objective=objective))
        spent = account.spent
        if not found and not account.faults:
            account.fault(None, "holds no text", "paragraphs, or lines of talk")
        for unit in found:
            first = units.setdefault(folded(unit.text), unit)
            if first is not unit:
                account.leave_out(unit.line, f"the same text as {first.source}:{first.line}")
        faults += account.faults
        dropped += account.left_out
        size += account.size
    if faults:
        raise FaultsError("raw text that cannot be read", faults)
    return UnitsRead(tuple(units.values()), tuple(dropped), size)


def _units(content: Sequence[Block | Talk], account: Account, *, objective: bool) -> Iterator[Unit]:
    from persbench.build.conversations import find_talks, segments  # noqa: PLC0415 - after `require_extra`
    from persbench.build.paragraphs import paragraphs  # noqa: PLC0415

    def prose() -> Iterator[Unit]:
        for paragraph in paragraphs(blocks, account):
            yield _unit(account, objective, paragraph.marks[0][1], paragraph.text, paragraph.heading)
        blocks.clear()

    blocks: list[Block] = []  # between two talks
    for part in find_talks(content):
        if isinstance(part, Block):
            blocks.append(part)
            continue
        yield from prose()
        for segment in segments(part, account.limits):
            yield _unit(account, objective, segment.number, segment.text, segment.heading, segment.turns)
    yield from prose()


def _unit(
    account: Account, objective: bool, line: int, text: str, heading: str, turns: tuple[tuple[str, str], ...] = ()
) -> Unit:
    text = normalize("NFC", text)  # once more: joining lines may have brought a letter and its accent together
    side = "objective" if objective else "subjective"
    digest = sha256("\0".join((side, account.source, str(line), text)).encode()).hexdigest()[:16]
    said = tuple((normalize("NFC", speaker), normalize("NFC", part)) for speaker, part in turns)
    return Unit(f"{side[0]}-{digest}", text, account.source, line, objective, said, normalize("NFC", heading))
