"""Live dialogue under the stock `lm_eval` command: replies are generated, fed back, and answered to.

lm-eval has no multi-turn, but the `chat_template` that it hands to a task is the model's own bound method. Turn t of
all conversations goes out as one `generate_until` call. A conversation in which something goes wrong ends there, with
its reason; the others go on.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from persbench.errors import PersbenchError
from persbench.harness import analysis
from persbench.harness.anchors import request_key, require_untuned
from persbench.harness.asking import generated, shown
from persbench.harness.fitting import Fitted, fitted, window
from persbench.harness.ranks import most, world_size
from persbench.harness.rendering import render
from persbench.models.trained_form import reply_text, split_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from persbench.harness.anchors import AnchorStore
    from persbench.harness.rendering import ChatTemplate, Rendered
    from persbench.models.chat import Message

LONGEST = 20_000  # characters; no limit in tokens that we set gives as many


@dataclass
class Talk:
    """One live conversation.

    Attributes:
        compose: Puts the system's own messages before a conversation, without so many of its dispensable pieces.
        turns: The user's turns.
        exchanges: What was said so far, as {"user", "reply"}, and "analysis" where the model thought before it spoke.
        fault: Why it ended early; empty while all is well.
        dropped: Oldest exchanges that no longer fit the model's context.
        less: Pieces of the system's messages that no longer fit.
    """

    compose: Callable[[list[Message], int], list[Message]]
    turns: Sequence[str]
    exchanges: list[dict[str, str]] = field(default_factory=list)
    fault: str = ""
    dropped: int = 0
    less: int = 0

    def history(self, length: int, dropped: int) -> list[Message]:
        """Return the first `length` exchanges as messages, without the oldest `dropped`."""
        messages: list[Message] = []
        for exchange in self.exchanges[dropped:length]:
            messages += [
                {"role": "user", "content": exchange["user"]},
                {"role": "assistant", "content": exchange["reply"]},
            ]
        return messages


class Speaker:
    """Lets a model reply in many conversations at once.

    Args:
        lm: lm-eval model.
        chat_template: Its bound `apply_chat_template`, or None for plain text.
        settings: Generation settings of a reply, without its analysis.
        store: Replies of the untuned model without a persona, looked up first and added to; None for none.
        thinks: How a turn with an analysis is made (see `analysis`), of which the response alone is heard; None where
            the model makes none.
        known: Replies that this model gave before, as `said` of another speaker with the same settings.
    """

    def __init__(
        self,
        lm: Any,
        chat_template: ChatTemplate | None,
        settings: dict[str, Any],
        store: AnchorStore | None = None,
        *,
        thinks: analysis.Variant | None = None,
        known: Mapping[str, str] | None = None,
    ) -> None:
        self.lm, self.chat_template, self.store, self.thinks = lm, chat_template, store, thinks
        self.limit = int(settings["max_gen_toks"])
        self.settings = (
            analysis.saying(settings) if thinks == "greedy" else analysis.with_room(settings, analysis=bool(thinks))
        )
        self.said = dict(known or {})

    def play(self, talks: list[Talk]) -> None:
        """Play all conversations to their end, or to their fault.

        Raises:
            PersbenchError: Not one reply could be had in the first turn: that is no fault of a dialogue.
        """
        room = int(self.settings["max_gen_toks"]) + (analysis.LONGEST if self.thinks == "greedy" else 0)
        turns = range(most(self.lm, max((len(talk.turns) for talk in talks), default=0)))
        for turn in shown(turns, self.lm, f"Turns of {len(talks)} live dialogues"):
            alive = [talk for talk in talks if not talk.fault and turn < len(talk.turns)]
            asked: list[tuple[Talk, Rendered]] = []
            for talk in alive:
                found = self.fitting(talk, turn, talk.turns[turn], room)
                if found is not None:
                    asked.append((talk, found.rendered))
            replies = self._replies([rendered for _, rendered in asked])
            if turn == 0 and replies and all(isinstance(reply, Exception) for reply in replies):
                raise PersbenchError(f"the model gives no reply in live dialogue: {replies[0]}") from replies[0]  # type: ignore[misc]
            for (talk, _), reply in zip(asked, replies, strict=True):
                self._hear(talk, talk.turns[turn], reply)

    def _hear(self, talk: Talk, ask: str, reply: str | Exception) -> None:
        """Add a reply to its conversation, or the reason why it ends there."""
        thought = None
        if self.thinks and isinstance(reply, str):
            thought, reply = split_reply(reply)
            reply = analysis.within(self.lm, reply, self.limit)
        talk.fault = self.fault_in(reply) or self._altered(ask, str(reply).strip())
        if not talk.fault:
            said = {"user": ask, "reply": str(reply).strip()}
            talk.exchanges.append(said if thought is None else said | {"analysis": thought})

    def _altered(self, ask: str, reply: str) -> str:
        """Say whether the chat template would show a reply otherwise than it was said, or nothing.

        Raises:
            PersbenchError: It shows no reply as it was said: that is no fault of a dialogue.
        """
        try:
            self._shown(ask, reply)
        except (PersbenchError, TemplateError):
            self._shown(ask, "Yes.")
            return "a reply that the model's chat template changes"
        return ""

    def _shown(self, ask: str, reply: str) -> None:
        turns: list[Message] = [{"role": "user", "content": ask}, {"role": "assistant", "content": reply}]
        render([*turns, {"role": "user", "content": ask}], self.chat_template)

    def fitting(self, talk: Talk, length: int, ask: str, room: int) -> Fitted | None:
        """Render a conversation of `length` exchanges and one more user turn so that it fits the model's context.

        First pieces that the system can do without are left out, then whole oldest exchanges, and never what makes the
        persona.

        Returns:
            None where even the last turn alone does not fit; the conversation then has a fault.
        """
        for dropped in range(min(talk.dropped, length), length + 1):
            turns: list[Message] = [*talk.history(length, dropped), {"role": "user", "content": ask}]

            def compose(less: int, turns: list[Message] = turns) -> list[Message]:
                return talk.compose(turns, less)

            found = fitted(compose, self.lm, self.chat_template, room, talk.less)
            if found is not None:
                talk.dropped, talk.less = max(talk.dropped, dropped), found.less
                return found
        talk.fault = f"its persona and one turn take more than the model's {window(self.lm)} tokens"
        return None

    def _replies(self, contexts: list[Rendered]) -> list[str | Exception]:
        """Generate a reply to each context; equal contexts, as where two conversations have not parted yet, once."""
        rest = json.dumps(self.settings, sort_keys=True)
        keys = [request_key(rendered, rest) for rendered in contexts]
        found: dict[str, str | Exception] = {key: self.said[key] for key in keys if key in self.said}
        if self.store is not None:
            found |= {key: reply for key in keys if (reply := self.store.get_reply(key)) is not None}
        missing = {key: rendered for key, rendered in zip(keys, contexts, strict=True) if key not in found}
        if most(self.lm, len(missing)):
            fresh = self._generate(list(missing.values()))
            found |= zip(missing, fresh, strict=True)
            # What is at fault may come right next time, and is neither remembered nor stored.
            self.said |= {k: str(r) for k, r in zip(missing, fresh, strict=True) if not self.fault_in(r)}
        if self.store is not None:
            new = [key for key in dict.fromkeys(keys) if key in self.said and self.store.get_reply(key) is None]
            if new:
                self.store.add([(key, self.said[key]) for key in new])
        return [found[key] for key in keys]

    def _generate(self, contexts: list[Rendered]) -> Sequence[str | Exception]:
        if self.store is not None and contexts:
            require_untuned(self.lm)
        try:
            return self._turns(contexts)
        except Exception as error:  # noqa: BLE001 - whatever a model or an endpoint may raise
            if world_size(self.lm) > 1 or len(contexts) == 1:
                return [error] * len(contexts)
        # One of them is at fault: each by itself, so that the others are not lost.
        return [self._generate([rendered])[0] for rendered in contexts]

    def _turns(self, contexts: list[Rendered]) -> list[str]:
        if self.thinks != "greedy":
            return generated(self.lm, [each.context for each in contexts], self.settings, self.chat_template)
        thoughts = analysis.analyses(contexts, self.lm, self.chat_template)
        opened = [analysis.prefilled(*pair).context for pair in zip(contexts, thoughts, strict=True)]
        said = generated(self.lm, opened, self.settings, self.chat_template)
        return [reply_text(*pair) for pair in zip(said, thoughts, strict=True)]

    def fault_in(self, reply: str | Exception) -> str:
        """Say why a reply cannot be gone on from, or nothing."""
        if isinstance(reply, Exception):
            return f"{type(reply).__name__}: {str(reply)[:200]}"
        if not isinstance(reply, str) or not reply.strip():
            return "empty reply"
        if len(reply) > LONGEST:
            return f"reply of {len(reply):,} characters"
        if any(unicodedata.category(char) == "Cc" and char not in "\n\r\t" for char in reply):
            return "control characters in the reply"
        special = getattr(getattr(self.lm, "tokenizer", None), "all_special_tokens", [])
        if any(token in reply for token in special if len(token) > 1):
            return "a special token of the model in the reply"
        return ""
