"""Where a rater stands, as pages: what is asked now, how far a reply has come, and the code to come back with."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from persbench.study.conversations import Conversations
from persbench.study.limits import MessageRate
from persbench.study.page import Pages, Seat, partner, waiting_words
from persbench.study.refusals import OutOfStepError, UnknownRaterError
from persbench.study.steps import step_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from persbench.packs.pack import Pack
    from persbench.study.conversations import Speak
    from persbench.study.steps import TaskState
    from persbench.study.store import Rater, RaterToken, Store

_BEGINNINGS: Final = 10_000  # first pages that are remembered, so that a double click begins once
_PART: Final = 8


@dataclass(frozen=True)
class Outcome:
    """What a request leads to.

    Attributes:
        page: HTML; empty where the browser is sent on.
        status: Of the page.
        go: Where the browser is sent.
        token: A rater's to be remembered by the browser; empty to forget it, None to leave it.
    """

    page: str = ""
    status: int = 200
    go: str = "/"
    token: str | None = None


def readable(token: str) -> str:
    """Write a token in the one form in which it is shown and remembered: small letters and digits, in groups."""
    plain = "".join(char for char in token.lower() if char.isascii() and char.isalnum())
    return "-".join(plain[i : i + _PART] for i in range(0, len(plain), _PART))


class Desk:
    """Takes what raters send, and says what they see.

    Args:
        store: Where everything goes.
        pack: The world of the study.
        speak: Speaks one reply piece by piece.
        complain: Is told in one line why a reply could not be had.
    """

    def __init__(self, store: Store, pack: Pack, speak: Speak, complain: Callable[[str], None]) -> None:
        self.store, self.pages = store, Pages(store.study, pack)
        self.conversations = Conversations(store, speak, complain)
        self.rate_limit = MessageRate(store.study.limits.messages_per_minute)
        self._begun: OrderedDict[str, RaterToken] = OrderedDict()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Stop speaking."""
        self.conversations.close()

    def here(self, token: str, *, rating: str = "", notice: str = "", status: int = 200) -> Outcome:
        """Show where a rater stands.

        Args:
            token: The rater's; empty for somebody new.
            rating: Position of the conversation that the rater has read to its end.
            notice: What is said above.
            status: Of the page.
        """
        if not token:
            return Outcome(self.pages.welcome(notice=notice), status)
        try:
            rater = self.store.rater(token)
        except UnknownRaterError as error:
            return Outcome(self.pages.welcome(notice=str(error), returning=True), 403, token="")
        kind = self.store.state(rater).kind
        if kind == "consent":
            return Outcome(self.pages.welcome(notice=notice), status)
        if kind == "withdrawn":
            return Outcome(self.pages.withdrawn(rater.pseudonym), status)
        return Outcome(self._step(self.seat(rater), readable(token), rating, notice), status)

    def _step(self, seat: Seat, code: str, rating: str, notice: str) -> str:
        """Render what a rater does next."""
        step = step_of(seat.tasks, seat.pairs, self.store.study)
        if step.kind == "prefer" and step.pair is not None:
            first, second = (seat.tasks[position - 1] for position in step.pair)
            return self.pages.prefer(seat, first, second, notice=notice)
        if step.position is None:
            return self.pages.done(seat, code, notice=notice)
        task = seat.tasks[step.position - 1]
        # A conversation of full length ends with its last reply, which wants to be read before the page changes.
        if step.kind == "rate" and (task.is_ended or rating == str(task.position)):
            return self.pages.rate(seat, task, notice=notice)
        return self.talk(seat, task, notice=notice)

    def talk(self, seat: Seat, task: TaskState, *, typed: str = "", notice: str = "") -> str:
        """Render a conversation; a reply that is due is asked for."""
        progress = self.conversations.reply(seat.rater, task)
        if progress is None and task.reply_due is not None:  # it came just now
            seat = self.seat(seat.rater)
            task = seat.tasks[task.position - 1]
        words = "" if progress is None else waiting_words(partner(task.label), progress.ahead)
        is_failed = progress is not None and progress.state == "failed"
        waiting = {"url": "/reply", "words": words} if progress is not None and not is_failed else None
        return self.pages.chat(seat, task, waiting=waiting, failed=is_failed, typed=typed, notice=notice)

    def reply(self, token: str) -> Mapping[str, str]:
        """Say how far the reply has come that a rater waits for.

        Returns:
            `state` (waiting, speaking, failed, or said where none is due), `text` so far, `words` until there is any.

        Raises:
            UnknownRaterError: Nobody holds that token.
        """
        rater = self.store.rater(token)
        due = [task for task in self.store.tasks(rater) if task.reply_due is not None]
        progress = self.conversations.reply(rater, due[0]) if due else None
        if progress is None:
            return {"state": "said", "text": "", "words": ""}
        words = waiting_words(partner(due[0].label), progress.ahead)
        return {"state": progress.state, "text": progress.text, "words": words}

    def code(self, token: str) -> Outcome:
        """Show a rater's code."""
        try:
            rater = self.store.rater(token)
        except UnknownRaterError:
            return Outcome(go="/")
        return Outcome(self.pages.code(self.seat(rater), readable(token)))

    def seat(self, rater: Rater) -> Seat:
        """Return a rater with all that was said, rated and preferred."""
        return Seat(rater, self.store.tasks(rater), self.store.pairs(rater))

    def task(self, rater: Rater, position: int) -> TaskState:
        """Return a conversation that a form names.

        Raises:
            OutOfStepError: The rater has no such conversation.
        """
        tasks = self.store.tasks(rater)
        if not 1 <= position <= len(tasks):
            raise OutOfStepError("There is no such conversation.")
        return tasks[position - 1]

    def beginner(self, event: str) -> RaterToken:
        """Return the new rater of a first page; the same one where it is sent twice.

        Raises:
            StudyFullError: As many have begun as may.
        """
        with self._lock:
            if event not in self._begun:
                self._begun[event] = self.store.new_rater()
                while len(self._begun) > _BEGINNINGS:
                    self._begun.popitem(last=False)
            return self._begun[event]
