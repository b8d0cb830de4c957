"""What a rater sees: every page of a study as HTML, from plain values, with everything escaped."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persbench.packs.pack import Pack
    from persbench.study.settings import StudySettings
    from persbench.study.steps import PairState, StoredMessage, TaskState
    from persbench.study.store import Rater

WEB: Final = Path(__file__).resolve().parent / "web"
CANNOT_SAY: Final = "none"
_ROLES: Final = {"user": "rater", "assistant": "partner"}


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(WEB / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def waiting_words(label: str, ahead: int | None) -> str:
    """Say what a rater waits for.

    Args:
        label: The partner, as the rater knows it.
        ahead: Replies to others that are spoken before; None where this one is being begun.
    """
    if not ahead:
        return f"{label} is thinking …"
    others = "somebody else" if ahead == 1 else f"{ahead} others"
    return f"{label} answers {others} first …"


def partner(label: str) -> str:
    """Return how a rater knows a system."""
    return f"Partner {label}"


@dataclass(frozen=True)
class Seat:
    """A rater with all that was said, rated and preferred."""

    rater: Rater
    tasks: Sequence[TaskState]
    pairs: Sequence[PairState]


class Pages:
    """Renders the pages of one study.

    Args:
        settings: The study.
        pack: Its world, for what stands beside the question of likeness.
    """

    def __init__(self, settings: StudySettings, pack: Pack) -> None:
        self.settings, self.pack = settings, pack

    def notice(self, heading: str, text: str, *, back: str = "Back to the study") -> str:
        """Render a page that says one thing.

        Args:
            heading: What happened.
            text: What to do.
            back: Words of the way back; empty for none.
        """
        return self._render("notice", heading, text=text, back=back, leave=False)

    def withdrawn(self, pseudonym: str) -> str:
        """Render what a rater sees who has withdrawn."""
        text = "You have withdrawn. Nothing that you wrote or judged enters any result. Thank you for your time."
        return self._render("notice", "You have withdrawn", rater={"pseudonym": pseudonym}, text=text, leave=True)

    def welcome(self, *, is_open: bool = True, notice: str = "", returning: bool = False) -> str:
        """Render the first page: what a rater agrees to, and the way back for who has begun before."""
        return self._render(
            "welcome",
            "Welcome",
            notice=notice,
            consent=self.settings.consent,
            consent_version=self.settings.consent_version,
            open=is_open,
            returning=returning,
        )

    def chat(
        self,
        seat: Seat,
        task: TaskState,
        *,
        waiting: Mapping[str, str] | None = None,
        failed: bool = False,
        typed: str = "",
        notice: str = "",
    ) -> str:
        """Render a conversation.

        Args:
            seat: Whose.
            task: The conversation.
            waiting: `url` of the reply's state and `words` to show until it comes; None where none is due.
            failed: Whether the reply that is due could not be had.
            typed: What stays in the field, where it was refused.
            notice: Why.
        """
        turns = self.settings.turns
        is_full = task.is_over(turns)
        return self._seated(
            "chat",
            f"Conversation {task.position} of {self.settings.conversations}: {partner(task.label)}",
            seat,
            notice=notice,
            label=partner(task.label),
            persona=self._portrait(task),
            instructions=self.settings.instructions if task.position == 1 and not task.messages else "",
            messages=_shown(task.messages),
            waiting=waiting,
            failed=failed,
            full=is_full,
            may_finish=is_full or task.may_end(turns),
            task=task.position,
            turn=task.turns + 1,
            least=turns.min,
            most=turns.max,
            longest=self.settings.limits.message_characters,
            typed=typed,
        )

    def rate(
        self, seat: Seat, task: TaskState, *, chosen: Mapping[str, int | None] | None = None, notice: str = ""
    ) -> str:
        """Render the ratings of a conversation, with what was chosen already where something is missing."""
        return self._seated(
            "rate",
            f"How was the conversation with {partner(task.label)}?",
            seat,
            notice=notice,
            label=partner(task.label),
            persona=self._portrait(task),
            messages=_shown(task.messages),
            scales=self.settings.scales,
            chosen=chosen or {},
            cannot_say=CANNOT_SAY,
            task=task.position,
        )

    def prefer(self, seat: Seat, first: TaskState, second: TaskState, *, notice: str = "") -> str:
        """Render a choice between two partners, with both conversations to read again."""
        sides = [(task, partner(task.label)) for task in (first, second)]
        return self._seated(
            "prefer",
            f"{sides[0][1]} or {sides[1][1]}?",
            seat,
            notice=notice,
            persona=self._portrait(second),
            sides=[{"label": label, "messages": _shown(task.messages)} for task, label in sides],
            question=self.settings.preference,
            choices=[("a", sides[0][1]), ("tie", "No difference"), ("b", sides[1][1])],
            first=first.position,
            second=second.position,
        )

    def done(self, seat: Seat, code: str, *, notice: str = "") -> str:
        """Render thanks, the code and the way to withdraw."""
        return self._seated("thanks", "Thank you", seat, notice=notice, code=code, finished=True)

    def code(self, seat: Seat, code: str, *, notice: str = "") -> str:
        """Render the code and the way to withdraw, on the way."""
        return self._seated("thanks", "Your code", seat, notice=notice, code=code, finished=False)

    def _portrait(self, task: TaskState) -> dict[str, str]:
        persona = self.pack.persona(task.persona).persona
        at = persona.stages[task.stage]
        age = f"aged {at.age}, " if at.age is not None else ""
        return {
            "name": persona.name,
            "when": f"{age}{self.pack.stage(task.stage).date}",
            "profile": at.profile or "",
            "voice": at.voice or "",
        }

    def _seated(self, template: str, heading: str, seat: Seat, **values: object) -> str:
        """Render a page for a rater, with how far they have come."""
        turns = self.settings.turns
        done = sum(task.is_over(turns) + bool(task.ratings) for task in seat.tasks)
        done += sum(pair.choice is not None for pair in seat.pairs)
        steps = 2 * self.settings.conversations + self.settings.pairs
        progress = {"steps": steps, "done": done, "share": f"{done / steps:.0%} done"}
        return self._render(template, heading, rater={"pseudonym": seat.rater.pseudonym}, progress=progress, **values)

    def _render(self, template: str, heading: str, **values: object) -> str:
        shown = {"rater": None, "progress": None, "notice": "", "event": secrets.token_hex(12)} | values
        page = _templates().get_template(f"{template}.html")
        return page.render(title=self.settings.title, heading=heading, step=template, **shown)


def _shown(messages: Sequence[StoredMessage]) -> list[dict[str, str]]:
    return [{"role": _ROLES[message.role], "text": message.text} for message in messages]
