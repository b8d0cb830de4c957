"""Names that may stand on the board and in file names: no path, no markup, nothing that is not seen, no second look."""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 80
_SYSTEM: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9+:_-]|\.(?!\.))*")
_PLAIN: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff<>]*")
LONGEST_FACT: Final = 300
ALLOWED: Final = f"letters a to z, digits, '.', '_', '+', '-' and ':', at most {LONGEST} characters, without '..'"


def is_system_name(name: str) -> bool:
    """Whether a system's name is of ASCII letters, digits and a few marks: it looks like no other's and is no path."""
    return len(name) <= LONGEST and _SYSTEM.fullmatch(name) is not None


def is_plain_fact(text: str) -> bool:
    """Whether a fact of a signature is a short text in one line, without markup."""
    return len(text) <= LONGEST_FACT and _PLAIN.fullmatch(text) is not None
