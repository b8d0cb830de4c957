"""Who takes part in a study: tokens, consent and a place, withdrawal, and where each rater stands."""

from __future__ import annotations

import hmac
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from persbench.study.assignment import plan
from persbench.study.database import Database
from persbench.study.identity import enter, new_token, token_hash
from persbench.study.refusals import EventConflictError, OutOfStepError, StudyFullError, UnknownRaterError
from persbench.study.rows import free_place, pairs_of, tasks_of
from persbench.study.steps import PairState, Step, StepKind, TaskState, step_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from persbench.study.settings import StudySettings

_EVENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Rater:
    """A rater, known by a number alone."""

    id: int
    pseudonym: str


@dataclass(frozen=True)
class RaterToken:
    """A new rater with the one secret by which the study knows them again; the store keeps its hash alone."""

    rater: Rater
    token: str


@dataclass(frozen=True)
class Event:
    """An event being stored: its row, and whether it was stored before."""

    row: int
    is_known: bool


class RaterStore:
    """The part of a store that knows raters (see `persbench.study.store.Store`)."""

    def __init__(
        self,
        path: Path,
        study: StudySettings,
        *,
        facts: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.study, self._clock = study, clock
        self._database = Database(path)
        try:
            with self._database.writing():
                enter(self._database, study, facts or {}, clock())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the database; everything acknowledged is in it already."""
        self._database.close()

    def new_rater(self) -> RaterToken:
        """Make a rater, who has no place before the consent.

        Raises:
            StudyFullError: As many have opened the study as may.
        """
        token = new_token()
        with self._database.writing():
            count = (self._database.row("SELECT count(*) FROM raters") or (0,))[0]
            if count >= self.study.limits.starts:
                raise StudyFullError("This study takes nobody new. Thank you for coming.")
            name = f"R{count + 1:04d}"
            statement = "INSERT INTO raters (pseudonym, token_hash, at) VALUES (?, ?, ?)"
            row = self._database.add(statement, name, token_hash(token), self._clock())
        return RaterToken(Rater(row, name), token)

    def rater(self, token: str) -> Rater:
        """Find who holds a token; capitals, blanks and dashes do not count.

        Raises:
            UnknownRaterError: Nobody.
        """
        wanted = token_hash(token)
        with self._database.reading():
            row = self._database.row("SELECT id, pseudonym, token_hash FROM raters WHERE token_hash = ?", wanted)
        if row is None or not hmac.compare_digest(row[2], wanted):
            raise UnknownRaterError
        return Rater(row[0], row[1])

    def tasks(self, rater: Rater) -> list[TaskState]:
        """Return the conversations of a rater in order; none before the consent, no words after a withdrawal."""
        with self._database.reading():
            return tasks_of(self._database, rater.id)

    def pairs(self, rater: Rater) -> list[PairState]:
        """Return the preferences asked of a rater, in order."""
        with self._database.reading():
            return pairs_of(self._database, rater.id)

    def state(self, rater: Rater) -> Step:
        """Return where a rater goes on."""
        with self._database.reading():
            return self._step(rater)

    def consent(self, rater: Rater, version: str, *, event: str) -> None:
        """Store that a rater agrees, and give a place: from now on `tasks` has conversations.

        Args:
            rater: Who.
            version: `consent_version` of the text that was shown.
            event: The page's id of this event.

        Raises:
            OutOfStepError: The text has changed since it was shown, or this rater has consented or withdrawn before.
            StudyFullError: No place is free.
            EventConflictError: The id stands for something else.
        """
        with self._event(rater, event, "consent") as stored:
            if stored.is_known:
                return
            self._require(rater, "consent")
            if version != self.study.consent_version:
                raise OutOfStepError("The text was changed while you read it. Please read it again.")
            place, holder = free_place(self._database, self.study.limits, self._clock())
            statement = "INSERT INTO places (event, rater, consent, place, holder) VALUES (?, ?, ?, ?, ?)"
            self._database.add(statement, stored.row, rater.id, version, place, holder)
            self._give(rater, place)

    def withdraw(self, rater: Rater, *, event: str) -> None:
        """Store that a rater withdraws, and erase what they wrote, rated and preferred; that they were here is kept.

        Raises:
            EventConflictError: The id stands for something else.
        """
        with self._event(rater, event, "withdraw"):
            pairs = "SELECT p.id FROM pairs p JOIN tasks t ON t.id = p.first WHERE t.rater = ?"
            self._database.add(f"DELETE FROM preferences WHERE pair IN ({pairs})", rater.id)  # noqa: S608 (from above)
            self._database.add("DELETE FROM ratings WHERE task IN (SELECT id FROM tasks WHERE rater = ?)", rater.id)
            self._database.add("DELETE FROM messages WHERE task IN (SELECT id FROM tasks WHERE rater = ?)", rater.id)
        self._database.empty_log()

    @contextmanager
    def _event(self, rater: Rater, event: str, kind: str, *, is_own: bool = False) -> Iterator[Event]:
        """Store an event with all that is written within; an exception takes it back.

        Args:
            rater: Whose.
            event: Its id.
            kind: What it is.
            is_own: The id was made here; those have a colon, which no page may use.

        Raises:
            EventConflictError: The id stands for something of another kind, or is none.
        """
        if not is_own and not _EVENT.fullmatch(event):
            raise EventConflictError("An event id has 1 to 64 letters, digits, '-' and '_'.")
        with self._database.writing():
            known = self._database.row("SELECT id, kind FROM events WHERE rater = ? AND event = ?", rater.id, event)
            if known is None:
                statement = "INSERT INTO events (rater, event, kind, at) VALUES (?, ?, ?, ?)"
                yield Event(self._database.add(statement, rater.id, event, kind, self._clock()), is_known=False)
            elif known[1] != kind:
                raise EventConflictError(f"This event id stands for something else ({known[1]}).")
            else:
                yield Event(known[0], is_known=True)

    def _note_done(self, rater: Rater) -> None:
        """Add the event that a rater has finished, if that is so."""
        if self._step(rater).kind == "done":
            statement = "INSERT INTO events (rater, event, kind, at) VALUES (?, ':done', 'done', ?)"
            self._database.add(statement, rater.id, self._clock())

    def _step(self, rater: Rater) -> Step:
        query = "SELECT 1 FROM events WHERE rater = ? AND kind = 'withdraw'"
        if self._database.row(query, rater.id) is not None:
            return Step("withdrawn")
        return step_of(tasks_of(self._database, rater.id), pairs_of(self._database, rater.id), self.study)

    def _require(self, rater: Rater, kind: StepKind, position: int | None = None) -> None:
        """Refuse what does not belong to the step at which a rater is."""
        step = self._step(rater)
        if step.kind == "withdrawn":
            raise OutOfStepError("You have withdrawn from this study; nothing more is stored.")
        if step.kind != kind or (position is not None and step.position != position):
            raise OutOfStepError("That belongs to another step of the study. Reload the page to go on where you were.")

    def _task(self, rater: Rater, position: int) -> int:
        row = self._database.row("SELECT id FROM tasks WHERE rater = ? AND position = ?", rater.id, position)
        if row is None:
            raise OutOfStepError("There is no such conversation.")
        return int(row[0])

    def _give(self, rater: Rater, place: int) -> None:
        """Write down what awaits the rater at a place."""
        planned = plan(self.study, place)
        statement = "INSERT INTO tasks (rater, position, persona, stage, system, label) VALUES (?, ?, ?, ?, ?, ?)"
        tasks = [
            self._database.add(statement, rater.id, i + 1, planned.persona, planned.stage, system, chr(ord("A") + i))
            for i, system in enumerate(planned.systems)
        ]
        for first, second in planned.pairs:
            statement = "INSERT INTO pairs (first, second) VALUES (?, ?)"
            self._database.add(statement, tasks[first - 1], tasks[second - 1])
