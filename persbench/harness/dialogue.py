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

from lm_eval.api.instance import Instance

from persbench.errors import PersbenchError
from persbench.harness.anchors import quiet, request_key, require_untuned
from persbench.harness.ranks import most, world_size
from persbench.harness.rendering import ChatTemplate, Rendered, render

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persbench.harness.anchors import AnchorStore
    from persbench.models.chat import Message

LONGEST = 20_000  # characters; no limit in tokens that we set gives as many


@dataclass
class Talk:
    """One live conversation.

    Attributes:
        compose: Puts the system's own messages before a conversation.
        turns: The user's turns.
        exchanges: What was said so far, as {"user", "reply"}.
        fault: Why it ended early; empty while all is well.
        dropped: Oldest exchanges that no longer fit the model's context.
    """

    compose: Callable[[list[Message]], list[Message]]
    turns: Sequence[str]
    exchanges: list[dict[str, str]] = field(default_factory=list)
    fault: str = ""
    dropped: int = 0

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
        settings: Generation settings of a reply.
        store: Replies of the untuned model without a persona, looked up first and added to; None for none.
    """

    def __init__(
        self, lm: Any, chat_template: ChatTemplate | None, settings: dict[str, Any], store: AnchorStore | None = None
    ) -> None:
        self.lm, self.chat_template, self.settings, self.store = lm, chat_template, settings, store

    def play(self, talks: list[Talk]) -> None:
        """Play all conversations to their end, or to their fault.

        Raises:
            PersbenchError: Not one reply could be had in the first turn: that is no fault of a dialogue.
        """
        for turn in range(most(self.lm, max((len(talk.turns) for talk in talks), default=0))):
            alive = [talk for talk in talks if not talk.fault and turn < len(talk.turns)]
            asked: list[tuple[Talk, Rendered]] = []
            for talk in alive:
                rendered = self.fitting(talk, turn, talk.turns[turn], int(self.settings["max_gen_toks"]))
                if rendered is not None:
                    asked.append((talk, rendered))
            replies = self._replies([rendered for _, rendered in asked])
            if turn == 0 and replies and all(isinstance(reply, Exception) for reply in replies):
                raise PersbenchError(f"the model gives no reply in live dialogue: {replies[0]}") from replies[0]  # type: ignore[misc]
            for (talk, _), reply in zip(asked, replies, strict=True):
                talk.fault = self._fault(reply)
                if not talk.fault:
                    talk.exchanges.append({"user": talk.turns[turn], "reply": str(reply).strip()})

    def fitting(self, talk: Talk, length: int, ask: str, room: int) -> Rendered | None:
        """Render a conversation of `length` exchanges and one more user turn so that it fits the model's context.

        Whole oldest exchanges are dropped, and never the persona's message.

        Returns:
            None where even the last turn alone does not fit; the conversation then has a fault.
        """
        for dropped in range(min(talk.dropped, length), length + 1):
            messages = talk.compose([*talk.history(length, dropped), {"role": "user", "content": ask}])
            rendered = render(messages, self.chat_template)
            if self._tokens(rendered) + room <= self._window:
                talk.dropped = max(talk.dropped, dropped)
                return rendered
        talk.fault = f"its persona and one turn take more than the model's {self._window} tokens"
        return None

    @property
    def _window(self) -> int:
        return int(getattr(self.lm, "max_length", 2**31)) if hasattr(self.lm, "tok_encode") else 2**31

    def _tokens(self, rendered: Rendered) -> int:
        """Count tokens; a chat endpoint, which gets messages, counts them itself."""
        known = isinstance(rendered.context, str) and hasattr(self.lm, "tok_encode")
        return len(self.lm.tok_encode(rendered.context)) if known else 0

    def _replies(self, contexts: list[Rendered]) -> list[str | Exception]:
        """Generate a reply to each context; equal contexts, as where two conversations have not parted yet, once."""
        rest = json.dumps(self.settings, sort_keys=True)
        keys = [request_key(rendered, rest) for rendered in contexts]
        found: dict[str, str | Exception] = {}
        if self.store is not None:
            found |= {key: reply for key in keys if (reply := self.store.get_reply(key)) is not None}
        missing = {key: rendered for key, rendered in zip(keys, contexts, strict=True) if key not in found}
        if most(self.lm, len(missing)):
            fresh = self._generate(list(missing.values()))
            found |= zip(missing, fresh, strict=True)
            if self.store is not None:
                self.store.add([(k, r) for k, r in zip(missing, fresh, strict=True) if isinstance(r, str)])
        return [found[key] for key in keys]

    def _generate(self, contexts: list[Rendered]) -> Sequence[str | Exception]:
        if self.store is not None and contexts:
            require_untuned(self.lm)
        try:
            return self._ask(contexts)
        except Exception as error:  # noqa: BLE001 - whatever a model or an endpoint may raise
            if world_size(self.lm) > 1 or len(contexts) == 1:
                return [error] * len(contexts)
        # One of them is at fault: each by itself, so that the others are not lost.
        return [self._generate([rendered])[0] for rendered in contexts]

    def _ask(self, contexts: list[Rendered]) -> list[str]:
        """Call the model, with as many requests on every rank, since some models compute in lockstep."""
        padding = most(self.lm, len(contexts)) - len(contexts)
        texts = [rendered.context for rendered in contexts]
        if padding:
            filler = texts[0] if texts else render([{"role": "user", "content": "Hello."}], self.chat_template).context
            texts += [filler] * padding
        requests = [
            Instance("generate_until", {}, (text, dict(self.settings)), i, ("dialogue", i, 1))
            for i, text in enumerate(texts)
        ]
        replies: list[str] = self.lm.generate_until(requests, **quiet(self.lm.generate_until))
        if len(replies) != len(texts):
            raise PersbenchError(f"the model gave {len(replies)} replies to {len(texts)} requests")
        return replies[: len(contexts)]

    def _fault(self, reply: str | Exception) -> str:
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
