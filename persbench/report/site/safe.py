"""Texts and names that others wrote, made harmless before they reach a page or a file name.

Templates escape markup; what is done here is what escaping leaves: characters that turn a line around or cannot be
written at all, texts without an end, and names that would be paths.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from persbench.provenance import digest

LONGEST_TEXT: Final = 4_000
LONGEST_NAME: Final = 80
_SLUG: Final = 32
_SPARED: Final = "\n\t"
# Cc controls, Cf marks that are not seen (they turn lines around, hide text), Cs halves of characters
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs"})
_JOINERS: Final = "\u200c\u200d"  # Persian, Indic scripts and emoji are not written without them


@dataclass(frozen=True)
class Quoted:
    """A text as a page shows it.

    Attributes:
        text: What is shown.
        cut: Length of the whole in characters where only its beginning is shown, else 0.
    """

    text: str
    cut: int = 0


def clean(text: object) -> str:
    """Return a text in which every character that is not seen, or reorders others, is U+FFFD; line ends stay."""
    normal = str(text).replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        "\ufffd" if unicodedata.category(char) in _UNSEEN and char not in _SPARED and char not in _JOINERS else char
        for char in normal
    )


def quoted(text: object, longest: int = LONGEST_TEXT) -> Quoted:
    """Return a text ready to be shown, its beginning alone where it is too long."""
    whole = str(text)
    return Quoted(clean(whole[:longest]), len(whole)) if len(whole) > longest else Quoted(clean(whole))


def name_of(text: object, longest: int = LONGEST_NAME) -> str:
    """Return a name in one line of bounded length, never empty."""
    flat = " ".join(clean(str(text)[: 4 * longest]).split())
    return (flat if len(flat) <= longest else f"{flat[: longest - 1]}…") or "(no name)"


def slug(name: object, *more: object) -> str:
    """Return a file name without its ending for something that others named.

    Args:
        name: What can be read in it.
        more: What else tells it from others: enters the digest alone.

    Returns:
        At most 32 of [a-z0-9-] and a digest: no path, no reserved name, and another one for other parts, on file
        systems that know no capitals too.
    """
    words = re.sub(r"[^a-z0-9]+", "-", str(name)[:200].lower()).strip("-")
    mark = digest([str(part).encode("utf-8", "replace").decode() for part in (name, *more)], 8)
    return f"{words[:_SLUG].strip('-')}-{mark}".lstrip("-")
