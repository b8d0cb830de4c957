"""Figures with their captions as one Markdown page, for whoever looks into the folder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from persbench.records import write_atomic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from persbench.report.figures.save import Drawn

PAGE: Final = "figures.md"
SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#|~&$])")


def write_captions(drawn: Sequence[Drawn], out: Path) -> Path:
    """Write title, picture and caption of each figure into the folder's figures.md, and return its path.

    Raises:
        PersbenchError: It cannot be written.
    """
    parts = []
    for one in drawn:
        pictures = [path.name for path in one.files if path.suffix in {".png", ".svg"}]
        shown = [f"![{_escaped(one.alt)}]({pictures[0]})"] if pictures else []
        files = ", ".join(f"[{path.name}]({path.name})" for path in one.files)
        parts.append("\n\n".join([f"## {_escaped(one.title)}", *shown, _escaped(one.caption), files]))
    path = out / PAGE
    write_atomic(path, ("\n\n".join(parts) + "\n").encode())
    return path


def _escaped(text: str) -> str:
    """Return plain text that Markdown shows as it is: a system's name may hold anything."""
    return SPECIAL.sub(r"\\\1", text)
