"""Why a study does not take something: each says what to do, and none leaves half of an event behind."""

from __future__ import annotations

from persbench.errors import PersbenchError


class StudyRefusalError(PersbenchError):
    """Something that a rater's page sent is not taken; the message may be shown to the rater."""


class UnknownRaterError(StudyRefusalError):
    """A token that no rater has: forged, mistyped, or of another study."""

    def __init__(self) -> None:
        super().__init__("This link or code is not known here. Check it, or begin anew from the first page.")


class OutOfStepError(StudyRefusalError):
    """What was sent does not belong to the step at which the rater is: a second tab, or the back button."""


class EventConflictError(StudyRefusalError):
    """An event id that already stands for something else; the page must make a new id for each event."""


class RefusedTextError(StudyRefusalError):
    """A message that is empty or too long."""


class TooFastError(StudyRefusalError):
    """More messages than a rater may send.

    Attributes:
        seconds: After so long the next one is taken.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"That was fast. Please wait {max(1, round(seconds))} s and send it again.")


class StudyFullError(StudyRefusalError):
    """No place is free."""


class StudyStoreError(PersbenchError):
    """The database cannot be used; nothing of the event at hand was stored."""


class StudyBusyError(StudyStoreError):
    """Another process holds the database; the same event may be sent again."""
