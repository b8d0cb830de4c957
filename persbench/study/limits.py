"""What a rater may send: texts without control characters, not too long, not too fast."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Final

from persbench.study.refusals import RefusedTextError, TooFastError

if TYPE_CHECKING:
    from collections.abc import Callable

# Control characters and lone surrogates, which no UTF-8 can hold; joiners within emoji and scripts stay.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff]")
# What turns the direction of all that follows it on the page.
_DIRECTION: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
_BREAK: Final = re.compile("\r\n|[\r\x85\u2028\u2029]")
_MINUTE: Final = 60.0
_ROUNDING: Final = 1e-9


def cleaned(text: str, longest: int | None = None) -> str:
    """Take control characters out of a message, and blank ends.

    Args:
        text: As it came.
        longest: Characters it may have; None for any number.

    Raises:
        RefusedTextError: Nothing is left, or too much came; a text is never cut.
    """
    # Breaks first: a form sends two characters for each, and the page has counted one.
    text = _BREAK.sub("\n", text).strip()
    if longest is not None and len(text) > longest:
        raise RefusedTextError(f"That message has {len(text):,} characters; at most {longest:,} are taken.")
    text = _DIRECTION.sub("", _CONTROL.sub("", text)).strip()
    if not text:
        raise RefusedTextError("That message is empty.")
    return text


class MessageRate:
    """A bucket of tokens for each rater: a minute's messages at once, then one as each token comes back.

    Args:
        per_minute: Messages a minute.
        clock: Seconds that never go back.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._size, self._per_second = float(per_minute), per_minute / _MINUTE
        self._clock = clock
        self._full_at: dict[int, float] = {}
        self._lock = threading.Lock()

    def admit(self, rater: int) -> None:
        """Take one token of a rater.

        Raises:
            TooFastError: There is none; says how long to wait. Nothing is taken.
        """
        with self._lock:
            now = self._clock()
            # One number a bucket: when it is full again. Full ones are forgotten, so that memory stays small.
            self._full_at = {who: full for who, full in self._full_at.items() if full > now}
            full = self._full_at.get(rater, now) + 1 / self._per_second
            wait = full - now - self._size / self._per_second
            if wait > _ROUNDING:
                raise TooFastError(wait)
            self._full_at[rater] = full
