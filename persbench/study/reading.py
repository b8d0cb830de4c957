"""What a study's database holds at this moment, as plain values for reports and exports; withdrawn raters left out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from persbench.study.database import database_in, snapshot
from persbench.study.identity import limits_in
from persbench.study.refusals import StudyStoreError
from persbench.study.rows import pairs_of, tasks_of
from persbench.study.settings import StudySettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from persbench.study.database import Reader
    from persbench.study.steps import PairState, TaskState


@dataclass(frozen=True)
class RaterData:
    """One rater who has not withdrawn.

    Attributes:
        pseudonym: Number in the study.
        came: Seconds since 1970.
        consented: Likewise; None before the consent.
        seen: When the last event was stored, or they came.
        is_done: Every step is done.
        consent: Version of the text they agreed to.
        tasks: Their conversations, in order.
        pairs: Their preferences, in order.
    """

    pseudonym: str
    came: float
    consented: float | None
    seen: float
    is_done: bool
    consent: str | None
    tasks: tuple[TaskState, ...]
    pairs: tuple[PairState, ...]

    @property
    def seconds(self) -> float | None:
        """From the consent to the last event; None where not all is done."""
        return self.seen - self.consented if self.is_done and self.consented is not None else None


@dataclass(frozen=True)
class StudyData:
    """A study as it stands.

    Attributes:
        settings: As first opened, with the limits that were set last; the consent may have changed since.
        facts: What else decided what raters met.
        version: Of persbench, when it was first opened.
        raters: All who have not withdrawn, in the order in which they came.
        withdrawn: How many have.
        consents: Version to text of every consent that was shown.
    """

    settings: StudySettings
    facts: Mapping[str, str]
    version: str
    raters: Sequence[RaterData]
    withdrawn: int
    consents: Mapping[str, str]

    @property
    def held(self) -> list[tuple[RaterData, TaskState]]:
        """Every conversation in which something was said."""
        return [(rater, task) for rater in self.raters for task in rater.tasks if task.messages]


def read_study(folder: Path) -> StudyData:
    """Read a study, while a server may be writing to it.

    Args:
        folder: What `persbench study serve --out` wrote, or the database itself.

    Raises:
        StudyStoreError: There is no study, or it is damaged or of another format.
    """
    path = database_in(folder)
    with snapshot(path) as reader:
        row = reader.row("SELECT settings, facts, version FROM study")
        try:
            if row is None:
                raise StudyStoreError(f"{path} holds no study yet: `persbench study serve STUDY.yaml --out {folder}`.")
            content = json.loads(row[0])
            settings = StudySettings.model_validate(content | {"limits": limits_in(reader) or content["limits"]})
        except (ValidationError, ValueError, KeyError, TypeError) as error:
            raise StudyStoreError(
                f"{path}: its settings are not those of a study ({str(error).splitlines()[0]}). Use the version of "
                "persbench that wrote it."
            ) from error
        withdrawn = {rater for (rater,) in reader.rows("SELECT DISTINCT rater FROM events WHERE kind = 'withdraw'")}
        people = reader.rows("SELECT id, pseudonym, at FROM raters ORDER BY id")
        return StudyData(
            settings=settings,
            facts=json.loads(row[1]),
            version=row[2],
            raters=tuple(_rater(reader, *found) for found in people if found[0] not in withdrawn),
            withdrawn=len(withdrawn),
            consents=dict(reader.rows("SELECT version, text FROM consents ORDER BY rowid")),
        )


def _rater(reader: Reader, number: int, pseudonym: str, came: float) -> RaterData:
    events = reader.rows("SELECT kind, at FROM events WHERE rater = ? ORDER BY id", number)
    at = dict(reversed(events))  # the first of each kind
    agreed = reader.row("SELECT consent FROM places WHERE rater = ?", number)
    return RaterData(
        pseudonym=pseudonym,
        came=came,
        consented=at.get("consent"),
        seen=max([came, *(when for _, when in events)]),
        is_done="done" in at,
        consent=agreed[0] if agreed else None,
        tasks=tuple(tasks_of(reader, number)),
        pairs=tuple(pairs_of(reader, number)),
    )
