"""From tokens to what may be said aloud already: no analysis, no mark or stop, no half of a character."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from persbench.models.trained_form import ANALYSIS_MARK, RESPONSE_MARK, split_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BROKEN: Final = "\ufffd"  # what a tokenizer gives for the first bytes of a character


class Pieces:
    """Takes tokens one by one, and gives what of them is sure to be said.

    Args:
        decode: Token ids to text, special tokens left out.
        stops: Texts that end the reply.
        thinks: Whether the reply opens with an analysis, which is not said.
        most: Most tokens that are said.
    """

    def __init__(self, decode: Callable[[list[int]], str], stops: Sequence[str], *, thinks: bool, most: int) -> None:
        self._decode, self._thinks, self._most = decode, thinks, most
        self._stops = [*filter(None, stops), *((RESPONSE_MARK, ANALYSIS_MARK) if thinks else ())]
        self._tokens: list[int] = []
        self._before = 0  # tokens up to the response
        self._given = ""
        self.ended = False

    def add(self, token: int) -> str:
        """Take a token, and return what can be said now; often nothing."""
        self._tokens.append(token)
        text = self._spoken()
        if text is None:
            self._before = len(self._tokens)
            return ""
        if len(self._tokens) - self._before >= self._most:
            self.ended = True
        return self._give(self._sure(text))

    def rest(self) -> str:
        """Return what was held back, when no token comes any more."""
        text = self._spoken()
        if text is None:  # no response came; what only looked like an analysis is one after all, or speech
            text = split_reply(self._decode(self._tokens)).response
        return self._give(self._cut(text).rstrip().rstrip(BROKEN))

    def _spoken(self) -> str | None:
        """Return what follows the analysis; None while it lasts, or may yet begin."""
        text = self._decode(self._tokens)
        if not self._thinks:
            return text.lstrip()
        before, mark, after = text.partition(RESPONSE_MARK)
        if mark:
            return after.lstrip()
        start = before.lstrip()
        if start.startswith(ANALYSIS_MARK) or ANALYSIS_MARK.startswith(start) or RESPONSE_MARK.startswith(start):
            return None
        return start

    def _cut(self, text: str) -> str:
        """Return the text up to the first stop, and note that it has come."""
        places = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if places:
            self.ended = True
        return text[: min(places)] if places else text

    def _sure(self, text: str) -> str:
        """Return what no further token can change: no beginning of a stop, no white space at the end."""
        text = self._cut(text).rstrip().rstrip(BROKEN) if self.ended else self._cut(text).rstrip(BROKEN)
        if not self.ended:
            longest = max((len(stop) for stop in self._stops), default=0)
            for length in range(min(longest, len(text)), 0, -1):
                if any(stop.startswith(text[-length:]) for stop in self._stops):
                    text = text[:-length]
                    break
        return text.rstrip()

    def _give(self, text: str) -> str:
        piece = text[len(self._given) :] if text.startswith(self._given) else ""
        self._given += piece
        return piece
