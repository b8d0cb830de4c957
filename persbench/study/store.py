"""Everything that raters send, stored as it happens: one event, one transaction, and never twice.

A page makes an id for each event. The same id again, after a double click, a repeated request or a lost answer, changes
nothing and returns what was stored. What does not belong to the step at which the rater is, is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from persbench.study.limits import cleaned
from persbench.study.raters import Rater, RaterStore, RaterToken
from persbench.study.refusals import EventConflictError, OutOfStepError, StudyRefusalError
from persbench.study.rows import tasks_of
from persbench.study.steps import CHOICES, Choice, Role, StoredMessage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Rater", "RaterToken", "Store"]


class Store(RaterStore):
    """The store of one study; any number of threads and processes may use it at once.

    Args:
        path: The database; created where there is none.
        study: The settings; those of a database must be the same, save limits and consent.
        facts: What else decides what raters meet, such as the pack's hash and the fingerprint of each system.
        clock: Seconds since 1970.

    Raises:
        StudyStoreError: The database is that of another study or format, damaged, or cannot be used. Every method
            raises it where the database cannot be used; then nothing of that event was stored.
    """

    def add_message(
        self,
        rater: Rater,
        position: int,
        turn: int,
        role: Role,
        text: str,
        *,
        event: str | None = None,
        seconds: float | None = None,
    ) -> StoredMessage:
        """Store a rater's message, or the reply to it.

        Args:
            rater: Whose conversation.
            position: Which one.
            turn: From 1.
            role: `user` is the rater.
            text: What was said; control characters are taken out.
            event: The page's id of a rater's message. A reply needs none: a turn has one, and the first is kept.
            seconds: How long it took to make.

        Returns:
            The message as it stands in the store.

        Raises:
            RefusedTextError: The text is empty, or a rater's is too long.
            OutOfStepError: It is not the turn of this message.
            EventConflictError: The id is none, or stands for something else.
        """
        text = cleaned(text, self.study.limits.message_characters if role == "user" else None)
        is_own = role == "assistant"
        key = f":reply-{position}-{turn}" if is_own else (event or "")
        with self._event(rater, key, f"{role}-message", is_own=is_own) as stored:
            if not stored.is_known:
                self._require(rater, "chat", position)
                task = tasks_of(self._database, rater.id)[position - 1]
                if turn != task.turns + 1 or (task.reply_due is None) != (role == "user"):
                    raise OutOfStepError("That message stands in the conversation already, or comes too early.")
                statement = "INSERT INTO messages (event, task, turn, role, text, seconds) VALUES (?, ?, ?, ?, ?, ?)"
                self._database.add(statement, stored.row, self._task(rater, position), turn, role, text, seconds)
            row = self._database.row(
                "SELECT t.position, m.turn, m.role, m.text, e.at, m.seconds FROM messages m "
                "JOIN events e ON e.id = m.event JOIN tasks t ON t.id = m.task WHERE m.event = ?",
                stored.row,
            )
            if row is None:
                raise OutOfStepError("You have withdrawn from this study; what you wrote was erased.")
            if role == "user":
                _agree([row[:4]], [(position, turn, role, text)])
            return StoredMessage(*row[1:])

    def end_chat(self, rater: Rater, position: int, *, event: str) -> None:
        """Store that a rater ends a conversation.

        Raises:
            OutOfStepError: It is not being held, is too short, or a reply is due.
            EventConflictError: The id is none, or stands for something else.
        """
        with self._event(rater, event, "end") as stored:
            if stored.is_known:
                query = "SELECT t.position FROM endings n JOIN tasks t ON t.id = n.task WHERE n.event = ?"
                _agree(self._database.rows(query, stored.row), [(position,)])
                return
            self._require(rater, "chat", position)
            if not tasks_of(self._database, rater.id)[position - 1].may_end(self.study.turns):
                raise OutOfStepError("The conversation cannot be ended yet.")
            statement = "INSERT INTO endings (event, task) VALUES (?, ?)"
            self._database.add(statement, stored.row, self._task(rater, position))

    def add_ratings(self, rater: Rater, position: int, values: Mapping[str, int | None], *, event: str) -> None:
        """Store the ratings of a conversation, all scales at once.

        Args:
            rater: Whose.
            position: Which conversation.
            values: Scale to value from 1; None where the rater cannot say.
            event: The page's id.

        Raises:
            StudyRefusalError: A scale is missing or unknown, or a value is not on it.
            OutOfStepError: This is not what is to be rated now.
            EventConflictError: The id is none, or stands for something else.
        """
        self._check_ratings(values)
        with self._event(rater, event, "rate") as stored:
            if stored.is_known:
                query = (
                    "SELECT t.position, r.scale, r.value FROM ratings r JOIN tasks t ON t.id = r.task WHERE r.event = ?"
                )
                _agree(self._database.rows(query, stored.row), [(position, *item) for item in values.items()])
                return
            self._require(rater, "rate", position)
            task = self._task(rater, position)
            for scale in self.study.scales:
                statement = "INSERT INTO ratings (event, task, scale, value) VALUES (?, ?, ?, ?)"
                self._database.add(statement, stored.row, task, scale, values[scale])
            self._note_done(rater)

    def add_preference(self, rater: Rater, first: int, second: int, choice: Choice, *, event: str) -> None:
        """Store which of two partners a rater prefers.

        Args:
            rater: Whose.
            first: Position of partner `a`.
            second: Position of partner `b`.
            choice: `a`, `b` or `tie`.
            event: The page's id.

        Raises:
            StudyRefusalError: Another choice.
            OutOfStepError: These two are not what is asked now.
            EventConflictError: The id is none, or stands for something else.
        """
        if choice not in CHOICES:
            raise StudyRefusalError(f"A choice is one of {', '.join(CHOICES)}.")
        with self._event(rater, event, "prefer") as stored:
            if stored.is_known:
                query = (
                    "SELECT a.position, b.position, f.choice FROM preferences f JOIN pairs p ON p.id = f.pair "
                    "JOIN tasks a ON a.id = p.first JOIN tasks b ON b.id = p.second WHERE f.event = ?"
                )
                _agree(self._database.rows(query, stored.row), [(first, second, choice)])
                return
            self._require(rater, "prefer")
            if self._step(rater).pair != (first, second):
                raise OutOfStepError("These two are not to be compared now.")
            pair = "SELECT ?, id, ? FROM pairs WHERE first = ? AND second = ?"
            statement = f"INSERT INTO preferences (event, pair, choice) {pair}"
            sides = (self._task(rater, first), self._task(rater, second))
            self._database.add(statement, stored.row, choice, *sides)
            self._note_done(rater)

    def _check_ratings(self, values: Mapping[str, int | None]) -> None:
        scales = self.study.scales
        if missing := [name for name in scales if name not in values]:
            raise StudyRefusalError(f"Not rated yet: {', '.join(missing)}.")
        if len(values) > len(scales):
            raise StudyRefusalError("There is a rating that was not asked for.")
        for name, scale in scales.items():
            value = values[name]
            # A form may send anything, whatever the types say: True and 2.5 are no ratings.
            if value is not None and (type(value) is not int or not 1 <= value <= scale.points):
                raise StudyRefusalError(f"{name}: a rating is a number from 1 to {scale.points}.")


def _agree(stored: Sequence[tuple[object, ...]], sent: Sequence[tuple[object, ...]]) -> None:
    """Refuse an event id that comes again with something else; a withdrawn rater's is gone, and agrees with nothing."""
    if sorted(map(repr, stored)) != sorted(map(repr, sent)):
        raise EventConflictError("This was stored already, with other words or numbers. Reload the page.")
