"""Running heads and page numbers: what a page says of itself, and no part of the text."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persbench.build.formats.base import Account, Line

_PAGE_NUMBER: Final = re.compile(r"\W*(?:page\s+)?(?:\d{1,5}|[ivxlc]{1,8})(?:\s*(?:/|of)\s*\d{1,5})?\W*", re.IGNORECASE)
_FEWEST_PAGES: Final = 3
_SHARE: Final = 0.3  # left and right pages often have heads of their own, and chapters too


def without_running_heads(pages: Sequence[tuple[int, Sequence[Line]]], account: Account) -> list[list[Line]]:
    """Leave out page numbers, and first and last lines that many pages share.

    Args:
        pages: (number, lines) of each page with text.
        account: Grows by the lines left out.

    Returns:
        The lines of each page that remain.
    """
    edges = Counter(key for _, lines in pages for key in {_key(lines[place].text) for place in _edges(lines)})
    kept: list[list[Line]] = []
    for number, lines in pages:
        places = {
            place
            for place in _edges(lines)
            if _PAGE_NUMBER.fullmatch(lines[place].text) or _is_head(_key(lines[place].text), edges, len(pages))
        }
        for place in sorted(places):
            account.leave_out(number, f"a running head or page number: {lines[place].text[:80]}")
        kept.append([line for place, line in enumerate(lines) if place not in places])
    return kept


def _edges(lines: Sequence[Line]) -> set[int]:
    """Return the places of the first and the last line with text."""
    places = [place for place, line in enumerate(lines) if line.text]
    return {places[0], places[-1]} if places else set()


def _is_head(key: str, edges: Mapping[str, int], pages: int) -> bool:
    if key.startswith("#") or key.endswith("#"):  # with a page number: a chapter's head may stand on two pages only
        return edges[key] > 1
    return edges[key] >= max(_FEWEST_PAGES, _SHARE * pages)


def _key(text: str) -> str:
    return re.sub(r"\d+", "#", text.casefold())
