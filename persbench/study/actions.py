"""What a rater may do, one function a form: each goes to the store, and answers with where the rater stands then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, cast

from persbench.study.desk import Desk, Outcome, readable
from persbench.study.posts import Form
from persbench.study.refusals import (
    OutOfStepError,
    RefusedTextError,
    StudyFullError,
    StudyRefusalError,
    TooFastError,
    UnknownRaterError,
)

if TYPE_CHECKING:
    from persbench.study.steps import Choice

Action = Callable[[Desk, str, Form], Outcome]


def begin(desk: Desk, token: str, form: Form) -> Outcome:
    """Take a consent; somebody new becomes a rater by it."""
    if form.text("agree") != "yes":
        return desk.here(token, notice="Please agree first, or close this page.", status=422)
    try:
        rater = desk.store.rater(token)
    except UnknownRaterError:
        new = desk.beginner(form.event())
        rater, token = new.rater, new.token
    try:
        desk.store.consent(rater, form.text("consent"), event=form.event())
    except StudyFullError:
        return Outcome(desk.pages.welcome(is_open=False), 403, token=readable(token))
    except StudyRefusalError as error:
        page = desk.pages.welcome(notice=str(error))
        return Outcome(page, 409, token=readable(token))
    return Outcome(token=readable(token))


def come_back(desk: Desk, _token: str, form: Form) -> Outcome:
    """Take a code."""
    code = readable(form.text("code"))
    try:
        desk.store.rater(code)
    except UnknownRaterError as error:
        return Outcome(desk.pages.welcome(notice=str(error), returning=True), 403)
    return Outcome(token=code)


def say(desk: Desk, token: str, form: Form) -> Outcome:
    """Take a message."""
    rater = desk.store.rater(token)
    task = desk.task(rater, form.number("task"))
    turn = form.number("turn")
    text = form.text("text").replace("\r\n", "\n")  # as browsers send a line break, which they count as one
    try:
        if not any(message.turn == turn and message.role == "user" for message in task.messages):
            desk.rate_limit.admit(rater.id)  # what is sent a second time is no second message
        desk.store.add_message(rater, task.position, turn, "user", text, event=form.event())
    except (RefusedTextError, TooFastError) as error:
        status = 429 if isinstance(error, TooFastError) else 422
        kept = text if len(text) <= 2 * desk.store.study.limits.message_characters else ""
        return Outcome(desk.talk(desk.seat(rater), task, typed=kept, notice=str(error)), status)
    return Outcome()


def again(desk: Desk, token: str, form: Form) -> Outcome:
    """Ask once more for a reply that failed."""
    rater = desk.store.rater(token)
    desk.conversations.reply(rater, desk.task(rater, form.number("task")), again=True)
    return Outcome()


def finish(desk: Desk, token: str, form: Form) -> Outcome:
    """End a conversation, or turn from one of full length to its ratings."""
    rater = desk.store.rater(token)
    task = desk.task(rater, form.number("task"))
    if not task.is_over(desk.store.study.turns) or task.is_ended:
        desk.store.end_chat(rater, task.position, event=form.event())
    return Outcome(go=f"/?rate={task.position}")


def rate(desk: Desk, token: str, form: Form) -> Outcome:
    """Take the ratings of a conversation."""
    rater = desk.store.rater(token)
    task = desk.task(rater, form.number("task"))
    values = form.ratings(desk.store.study)
    try:
        desk.store.add_ratings(rater, task.position, values, event=form.event())
    except OutOfStepError:
        raise
    except StudyRefusalError as error:
        if task.ratings or not task.is_over(desk.store.study.turns):
            raise
        return Outcome(desk.pages.rate(desk.seat(rater), task, chosen=values, notice=str(error)), 422)
    return Outcome()


def prefer(desk: Desk, token: str, form: Form) -> Outcome:
    """Take a choice between two partners."""
    rater = desk.store.rater(token)
    first, second = (desk.task(rater, form.number(side)).position for side in ("first", "second"))
    choice = cast("Choice", form.text("choice"))  # the store refuses every other word
    desk.store.add_preference(rater, first, second, choice, event=form.event())
    return Outcome()


def withdraw(desk: Desk, token: str, form: Form) -> Outcome:
    """Withdraw a rater for good."""
    rater = desk.store.rater(token)
    if form.text("sure") != "yes":
        notice = "Please say first that you are sure."
        return Outcome(desk.pages.code(desk.seat(rater), readable(token), notice=notice), 422)
    desk.store.withdraw(rater, event=form.event())
    return Outcome()


def leave(_desk: Desk, _token: str, _form: Form) -> Outcome:
    """Forget the rater on this device."""
    return Outcome(token="")


ACTIONS: Final[Mapping[str, Action]] = {
    "begin": begin,
    "return": come_back,
    "say": say,
    "again": again,
    "finish": finish,
    "rate": rate,
    "prefer": prefer,
    "withdraw": withdraw,
    "leave": leave,
}
