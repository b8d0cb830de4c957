"""Names as they are drawn: printable, in glyphs that a font has, short, and no two alike."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from matplotlib import font_manager

from persbench.report.figures.style import fonts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.ft2font import FT2Font

LONGEST: Final = 30
NO_GLYPH: Final = "\N{WHITE SQUARE}"


def drawn_name(text: str, longest: int = LONGEST) -> str:
    """Return a name on one line, without control and direction marks, cut in the middle where it is too long."""
    shown = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    shown = "".join(char if _has_glyph(char) else NO_GLYPH for char in shown) or NO_GLYPH
    if len(shown) <= longest:
        return shown
    head = (longest - 1) * 2 // 3
    return f"{shown[:head]}…{shown[len(shown) - (longest - 1 - head) :]}"


def drawn_names(texts: Iterable[str], longest: int = LONGEST) -> dict[str, str]:
    """Return a name for each different text, numbered where two would look alike."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for text in texts:
        if text not in found:
            shown, number = drawn_name(text, longest), 1
            while shown in taken:
                number += 1
                shown = f"{drawn_name(text, longest - len(f' #{number}'))} #{number}"
            taken.add(shown)
            found[text] = shown
    return found


def listed(names: Iterable[str]) -> str:
    """Write names as a sentence does: a, b and c."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


@cache
def _has_glyph(char: str) -> bool:
    return any(font.get_char_index(ord(char)) for font in _loaded_fonts())


@cache
def _loaded_fonts() -> list[FT2Font]:
    return [font_manager.get_font(font_manager.findfont(name)) for name in fonts()]
