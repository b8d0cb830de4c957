"""Text that can be shown in one line: what cannot be printed, or would be read as markup, is written as its code."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST: Final = 2000  # no name, note or signature comes near; a text beyond it is a fault or an attack
MARKUP: Final = re.compile(r"([\\`*_|~$]|\](?=[(\[:]))")  # of brackets only those that make a link
ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
FORMULA: Final = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
"""What a spreadsheet reads as the beginning of a formula, in wide letters too."""
TURNING: Final = frozenset({"Cf", "Cc", "Cs", "Co", "Cn", "Zl", "Zp"})


def visible(text: str) -> str:
    r"""Return a text as one printable line.

    Args:
        text: Any text, such as the name of a system from somebody's record.

    Returns:
        The same where it is harmless. Control characters, line ends, marks that turn the direction of writing and
        characters without a meaning stand as `\x1b` or `\u202e`; what is longer than 2,000 characters is cut.
    """
    cut = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return "".join(_shown(char) for char in cut)


def markdown_text(text: str) -> str:
    """Return a text as Markdown that shows it as it is, on one line: a system's name may hold anything."""
    shown = "".join(ENTITIES.get(char, char) for char in visible(text))
    return MARKUP.sub(r"\\\1", shown)


def markdown_code(lines: Iterable[str]) -> str:
    """Return lines as a code block of Markdown, with a fence that none of them ends."""
    shown = "\n".join(map(visible, lines))
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    return f"{fence}\n{shown}\n{fence}"


def spreadsheet_text(text: str) -> str:
    """Return a text as a field of a CSV file: an apostrophe stands before what a spreadsheet would compute."""
    return f"'{text}" if text.lstrip().startswith(FORMULA) or text.startswith(("\t", "\r")) else text


def _shown(char: str) -> str:
    if unicodedata.category(char) in TURNING:
        return char.encode("unicode_escape").decode("ascii")
    return " " if char.isspace() else char
