"""Ids for a pack out of a stranger's names: safe as file names, stable, and never two for one or one for two."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from persbench.packs.complaints import did_you_mean
from persbench.packs.texts import folded, is_id

if TYPE_CHECKING:
    from collections.abc import Iterable

PERSONA_LENGTH: Final = 36  # leaves room in the 64 characters of an id for what follows the persona's in a row's
ID_LENGTH: Final = 64
_OTHER: Final = re.compile(r"[^a-z0-9]+")


def slug(name: str, most: int = PERSONA_LENGTH) -> str:
    """Write a name in small letters, digits and hyphens.

    Args:
        name: Any text, path tricks and all.
        most: Longest result.

    Returns:
        At most so many characters, the first a letter or digit; empty if nothing of the name is left (a name in
        another script).
    """
    plain = unicodedata.normalize("NFKD", name[:1000]).encode("ascii", "ignore").decode()
    return _OTHER.sub("-", plain.lower()).strip("-")[:most].strip("-")


def persona_ids(names: Iterable[str]) -> dict[str, str]:
    """Give every name an id of its own.

    A name whose slug is empty, was cut, or is another name's too gets six hex digits of its SHA-256 at the end. So the
    id depends on the set of names alone, not on their order.

    Args:
        names: Different names.

    Returns:
        Name to id, in the order given.
    """
    listed = list(dict.fromkeys(names))
    plain = {name: slug(name) for name in listed}
    taken = Counter(plain.values())
    return {
        name: plain[name]
        if plain[name] and taken[plain[name]] == 1 and slug(name, 1000) == plain[name]
        else _marked(name)
        for name in listed
    }


def _marked(name: str) -> str:
    return f"{slug(name, PERSONA_LENGTH - 7) or 'persona'}-{text_digest(name, 6)}"


def row_id(prefix: str, source: object) -> str:
    """Make a row's id of its persona's and the source's own.

    Args:
        prefix: Id of the persona; empty for the source's id alone.
        source: The source's id, as a rule a number or a short text.

    Returns:
        `<prefix>-<source>` wherever that is an id; else what can be kept of it, and eight hex digits of its SHA-256.
    """
    whole = f"{prefix}-{source}" if prefix else f"{source}"
    if is_id(whole):
        return whole
    head = slug(whole, ID_LENGTH - 9)
    return f"{head or 'row'}-{text_digest(whole, 8)}"


@lru_cache(maxsize=1000)
def with_hint(name: str, known: tuple[str, ...]) -> str:
    """Return an unknown name with the nearest known one, if one is near; a name that comes often is looked up once."""
    return f"{name}{did_you_mean(name, known)}"


def text_id(kind: str, text: str) -> str:
    """Return an id for a text that has none: the same wherever the text stands."""
    return f"{kind}-{text_digest(text, 12)}"


def words_digest(*texts: str) -> str:
    """Return a digest by which texts are held against each other: a pack strips blanks, and no reader tells case."""
    return text_digest("\x1f".join(folded(text) for text in texts))


def text_digest(text: str, length: int = 32) -> str:
    """Return the first hex digits of a text's SHA-256; half a surrogate pair counts as it is."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]
