"""What texts that must not copy each other are held to."""

from __future__ import annotations

from persbench.scoring.words import words


def runs_of_four(text: str) -> set[tuple[str, ...]]:
    """Return each run of four words."""
    found = words(text)
    return set(zip(found, found[1:], found[2:], found[3:], strict=False))
