"""What a rater's page sends, read with suspicion: plain form fields, and what they ask for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from persbench.study.page import CANNOT_SAY
from persbench.study.refusals import OutOfStepError, StudyRefusalError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from persbench.study.settings import StudySettings

MOST_FIELDS = 100
FORM = "application/x-www-form-urlencoded"
SCALE = "scale-"
_LONGEST_NUMBER = 9  # digits
_EVENT = re.compile(r"[0-9a-f]{24}")


class Form:
    """The fields of one form.

    Args:
        kind: Content type.
        body: As it came.

    Raises:
        StudyRefusalError: It is no form, or one with too many fields.
    """

    def __init__(self, kind: str, body: bytes) -> None:
        if kind.partition(";")[0].strip().lower() != FORM:
            raise StudyRefusalError("That was no form of this page.")
        try:
            text = body.decode("utf-8", "replace")
            pairs = parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=MOST_FIELDS)
        except ValueError as error:
            raise StudyRefusalError("That was no form of this page.") from error
        self.fields: Mapping[str, str] = dict(pairs)

    def text(self, name: str) -> str:
        """Return a field; empty where it is not there."""
        return self.fields.get(name, "")

    def event(self) -> str:
        """Return the page's id of what happens by this form.

        Raises:
            OutOfStepError: It is none that a page of ours has made.
        """
        text = self.text("event")
        if not _EVENT.fullmatch(text):
            raise OutOfStepError("That does not belong to what is asked now.")
        return text

    def number(self, name: str) -> int:
        """Return a field that the page itself has filled with a number.

        Raises:
            OutOfStepError: It is none: the page did not write it.
        """
        text = self.text(name)
        if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
            raise OutOfStepError("That does not belong to what is asked now.")
        return int(text)

    def ratings(self, settings: StudySettings) -> dict[str, int | None]:
        """Return what was rated: each scale that is filled in, None where the rater cannot say.

        A value that is no number stays out, and is missed by the store.
        """
        values: dict[str, int | None] = {}
        for name in settings.scales:
            text = self.text(SCALE + name)
            if text == CANNOT_SAY:
                values[name] = None
            elif text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER:
                values[name] = int(text)
        return values
