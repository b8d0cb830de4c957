"""From tokens to what may be shown already: no stop or its beginning, no half of a character, no outer white space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BROKEN: Final = "\ufffd"  # what a tokenizer gives for the first bytes of a character


class Pieces:
    """Takes tokens one by one, and gives what of them is sure to be said.

    Args:
        decode: Token ids to text, special tokens left out.
        stops: Texts that end the reply, such as a mark that opens something else.
    """

    def __init__(self, decode: Callable[[list[int]], str], stops: Sequence[str]) -> None:
        self._decode, self._stops = decode, [*filter(None, stops)]
        self._tokens: list[int] = []
        self._given = ""
        self.ended = False

    def add(self, token: int) -> str:
        """Take a token, and return what can be said now; often nothing."""
        self._tokens.append(token)
        return self._give(self._sure(self._text()))

    def rest(self) -> str:
        """Return what was held back, when no token comes any more."""
        return self._give(self._cut(self._text()).rstrip().rstrip(BROKEN))

    def _text(self) -> str:
        return self._decode(self._tokens).lstrip()

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
