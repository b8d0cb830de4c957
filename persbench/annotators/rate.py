"""A limit on requests and tokens a minute that all threads keep together."""

from __future__ import annotations

import threading
import time
from typing import Final

MINUTE: Final = 60.0


class RateLimit:
    """Spaces calls evenly, so that no minute holds more than it may.

    Libraries for this keep an entry for every unit, here for every token; two clocks are enough.

    Args:
        requests: Requests a minute; None for no limit.
        tokens: Tokens a minute, prompt and answer together; None for no limit.
    """

    def __init__(self, requests: float | None = None, tokens: float | None = None) -> None:
        self._per_request = MINUTE / requests if requests else 0.0
        self._per_token = MINUTE / tokens if tokens else 0.0
        self._request_at = self._token_at = self._paused_until = 0.0
        self._lock = threading.Lock()

    def wait(self, tokens: int, stop: threading.Event) -> bool:
        """Wait for the turn of a call.

        Args:
            tokens: What it will take, estimated.
            stop: Ends the waiting.

        Returns:
            False if the waiting was ended.
        """
        with self._lock:
            turn = max(time.monotonic(), self._request_at, self._token_at)
            self._request_at = turn + self._per_request
            self._token_at = turn + tokens * self._per_token
        while (left := max(turn, self._paused_until) - time.monotonic()) > 0:
            if stop.wait(left):
                return False
        return not stop.is_set()

    def correct(self, tokens: int) -> None:
        """Take in that a call took so many tokens more than was estimated (fewer, if negative)."""
        with self._lock:
            self._token_at += tokens * self._per_token

    def pause(self, seconds: float) -> None:
        """Hold all calls for so long: the endpoint asked one of them to wait."""
        with self._lock:
            self._paused_until = max(self._paused_until, time.monotonic() + seconds)
