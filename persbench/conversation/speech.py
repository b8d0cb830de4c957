"""How a reply comes about: thought first where a voice thinks aloud, then said; many at once, or one piece by piece.

A trained turn is `[Analysis] ... [Response] ...`. The analysis is taken greedily and cut, as before everything that the
harness scores: of a small model a sampled one seldom comes to its response. The response alone is sampled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from persbench.conversation.asks import Piece
from persbench.conversation.pieces import Pieces
from persbench.harness import analysis
from persbench.harness.seeded import reply_to, said_in, tried
from persbench.models.trained_form import RESPONSE_MARK, reply_text, split_reply

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from persbench.harness.generation import Reply
    from persbench.harness.rendering import ChatTemplate, Rendered
    from persbench.harness.seeded import Drawn

SHOWN: Final = 160  # characters of a model's words in a fault


class Uttered(NamedTuple):
    """What a model generated.

    Attributes:
        text: What is said; may be empty.
        raw: With the analysis and marks.
        finished: Whether it came to its end rather than to the most tokens.
        analysis: What was thought before; None where the voice does not think aloud.
    """

    text: str
    raw: str
    finished: bool
    analysis: str | None = None

    @property
    def silence(self) -> str:
        """Say why nothing is said, for a record."""
        if self.analysis is None:
            return "empty reply: the model ended its turn, or spoke for the other, at once"
        return f"empty reply: the model ended its turn, or set a further mark, right after {shown(self.raw)}"


def shown(text: str) -> str:
    """Quote a text in one line, without the middle of a long one."""
    words, half = " ".join(text.split()), SHOWN // 2
    return repr(words if len(words) <= SHOWN else f"{words[:half]} ... {words[-half:]}")


@dataclass(frozen=True)
class Speech:
    """A model's way to reply; whoever calls has put the right weights on it.

    Attributes:
        lm: lm-eval model.
        chat_template: Its own, or None.
        settings: Generation settings of what is said.
        thinking: Generation settings of an analysis.
    """

    lm: Any
    chat_template: ChatTemplate | None
    settings: dict[str, Any]
    thinking: dict[str, Any] = field(default_factory=lambda: dict(analysis.SETTINGS))

    def room(self, *, thinks: bool) -> int:
        """Return how many tokens a whole turn may take, with an analysis where one comes first."""
        return int(self.settings["max_gen_toks"]) + (analysis.LONGEST if thinks else 0)

    def replies(self, contexts: Sequence[Rendered], seeds: Sequence[int], *, thinks: bool) -> list[Uttered | Exception]:
        """Reply to many contexts.

        Args:
            contexts: As rendered, with room for a turn.
            seeds: Of the sampling, one a context.
            thinks: Whether an analysis comes before what is said.

        Returns:
            One a context, or what went wrong with it.
        """
        thoughts = self._thoughts(contexts) if thinks else [None] * len(contexts)
        asked = {
            i: _opened(context, thought)
            for i, (context, thought) in enumerate(zip(contexts, thoughts, strict=True))
            if not isinstance(thought, Exception)
        }
        own = [seeds[i] for i in asked]
        drawn = tried(self.lm, [*asked.values()], self._saying(thinks=thinks), own, self.chat_template)
        said = dict(zip(asked, drawn, strict=True))
        return [
            thought if isinstance(thought, Exception) else _uttered(said[i], thought)
            for i, thought in enumerate(thoughts)
        ]

    def stream(self, context: Rendered, seed: int, *, thinks: bool) -> Generator[Piece]:
        """Do what `replies` does for one context, piece by piece.

        Where the model cannot be asked token by token, thought and response come in one piece each.

        Yields:
            What is thought, beginning with an empty piece before anything is computed, and what is said.

        Raises:
            Exception: Whatever the model raises.
        """
        thought = None
        if thinks:
            yield Piece("", is_thought=True)
            thought = yield from self._think(context)
        asked, settings = _opened(context, thought), self._saying(thinks=thinks)
        reply = reply_to(self.lm, asked, settings, seed)
        if reply is not None:
            for text in self._pieces(reply):
                yield Piece(text)
            return
        (drawn,) = tried(self.lm, [asked], settings, [seed], self.chat_template)
        said = _uttered(drawn, thought)
        if isinstance(said, Exception):
            raise said
        if said.text:
            yield Piece(said.text)

    def _saying(self, *, thinks: bool) -> dict[str, Any]:
        """Return generation settings of a response: nothing that comes after a further mark is part of it."""
        return analysis.saying(self.settings) if thinks else self.settings

    def _thoughts(self, contexts: Sequence[Rendered]) -> list[str | Exception | None]:
        """Analyse each context, equal ones once: two seeds of a scenario part only with what is said."""
        opened = {each.context: analysis.opened(each) for each in contexts}
        drawn = tried(self.lm, [*opened.values()], self.thinking, [0] * len(opened), self.chat_template)
        found = dict(zip(opened, drawn, strict=True))
        thoughts = [found[each.context] for each in contexts]
        return [each if isinstance(each, Exception) else analysis.text_of(each.text) for each in thoughts]

    def _think(self, context: Rendered) -> Generator[Piece, None, str]:
        opened = analysis.opened(context)
        reply = reply_to(self.lm, opened, self.thinking, 0)
        if reply is None:
            (drawn,) = tried(self.lm, [opened], self.thinking, [0], self.chat_template)
            if isinstance(drawn, Exception):
                raise drawn
            thought = analysis.text_of(drawn.text)
            yield Piece(thought, is_thought=True)
            return thought
        for text in self._pieces(reply):
            yield Piece(text, is_thought=True)
        return analysis.text_of(said_in(self.lm, reply, self.thinking).text)

    def _pieces(self, reply: Reply) -> Generator[str]:
        """Generate one reply token by token."""
        pieces = Pieces(self.lm.tok_decode, reply.stops)
        tokens = self.lm.stream(reply)
        try:
            for token in tokens:
                if piece := pieces.add(token):
                    yield piece
                if pieces.ended:
                    break
        finally:
            tokens.close()
        if rest := pieces.rest():
            yield rest


def _opened(context: Rendered, thought: str | None) -> Rendered:
    return context if thought is None else analysis.prefilled(context, thought)


def _uttered(drawn: Drawn | Exception, thought: str | None) -> Uttered | Exception:
    if isinstance(drawn, Exception):
        return drawn
    if thought is None:
        return Uttered(drawn.text.strip(), drawn.text, drawn.finished)
    said = split_reply(f"{RESPONSE_MARK}{drawn.text}").response
    return Uttered(said, reply_text(drawn.text.strip(), thought), drawn.finished, thought)
