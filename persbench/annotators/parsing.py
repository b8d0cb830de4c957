"""Reading answers strictly: what is asked for or nothing, with one attempt to have it mended."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from persbench.annotators.calls import Answer, Call, call_key
from persbench.annotators.frames import one_line
from persbench.jsonl import parse_object
from persbench.packs.complaints import one_of as listed
from persbench.packs.complaints import quoted, validated
from persbench.packs.texts import PackModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persbench.annotators.base import Annotator
    from persbench.annotators.calls import Reply
    from persbench.errors import Fault

    Parser = Callable[[str], "T"]

T = TypeVar("T")
M = TypeVar("M", bound=PackModel)

LONGEST_ANSWER: Final = 200_000
REPAIR: Final = (
    "Your answer cannot be used: {reason}. Answer the same task again, in the form that was asked for, and write "
    "nothing beside it."
)
_FENCED = re.compile(r"```[A-Za-z]*[ \t]*\n(.*?)\n[ \t]*```", re.DOTALL)
_ANSWER = "the answer"


class MalformedError(ValueError):
    """An answer that is not of the form asked for; its text says why, in a sentence without an end stop."""


@dataclass(frozen=True)
class Parsed(Generic[T]):
    """What was made of an answer.

    Attributes:
        value: The parsed answer, or None: then nothing may be made of it.
        reason: Why there is no value; empty if there is one.
        kind: `unanswered`, `malformed`, or empty if there is a value.
        repaired: The first answer was malformed, and the second was not.
        answers: What was said, the repaired answer last.
    """

    value: T | None
    reason: str = ""
    kind: str = ""
    repaired: bool = False
    answers: tuple[Answer, ...] = ()


def json_object(model: type[M]) -> Parser[M]:
    """Return a parser of one JSON object, alone or in one fenced code block, that fits a model exactly.

    Args:
        model: Its fields; unknown keys, missing ones and other types are refused.

    Returns:
        Text -> model; raises `MalformedError`.
    """

    def parse(text: str) -> M:
        found = _object(text)
        faults: list[Fault] = []
        value = validated(model, found, _ANSWER, faults, lambda _: None)
        if value is None:
            raise MalformedError("; ".join(_sentence(fault) for fault in faults))
        return value

    return parse


def schema_of(model: type[PackModel]) -> dict[str, Any]:
    """Return the JSON schema of a model, for `Call.schema`: every key required, and no other allowed.

    An endpoint's strict mode asks for exactly that, so a field with a default is required all the same, and the
    default, which that mode does not know, is left out.
    """
    schema = model.model_json_schema()
    for part in [schema, *schema.get("$defs", {}).values()]:
        if "properties" in part:
            part["required"] = list(part["properties"])
            part["additionalProperties"] = False
            for field in part["properties"].values():
                field.pop("default", None)
    return schema


def one_of(labels: Sequence[str]) -> Parser[str]:
    """Return a parser of one of the labels and nothing else; case and blanks around it do not count.

    Returns:
        Text -> the label as it stands in `labels`; raises `MalformedError`.
    """
    known = {label.casefold(): label for label in labels}

    def parse(text: str) -> str:
        label = known.get(" ".join(text.split()).casefold())
        if label is None:
            raise MalformedError(f"found {quoted(text.strip())}, expected {listed(labels)} and nothing else")
        return label

    return parse


def sections(*names: str) -> Parser[dict[str, str]]:
    """Return a parser of `[Name] text [Other] text`: each name once, in this order, each with a text, nothing before.

    Returns:
        Text -> name to text; raises `MalformedError`.
    """
    marks = re.compile(rf"^[ \t]*\[({'|'.join(map(re.escape, names))})\]", re.IGNORECASE | re.MULTILINE)
    order = [name.casefold() for name in names]
    wanted = " ... ".join(f"[{name}]" for name in names)

    def parse(text: str) -> dict[str, str]:
        found = list(marks.finditer(text))
        if [mark[1].casefold() for mark in found] != order or text[: found[0].start()].strip():
            raise MalformedError(f"expected {wanted}, each once, each at the start of a line, in this order")
        ends = [mark.start() for mark in found[1:]] + [len(text)]
        parts = {name: text[mark.end() : end].strip() for name, mark, end in zip(names, found, ends, strict=True)}
        if empty := [name for name, part in parts.items() if not part]:
            raise MalformedError(f"nothing stands after {', '.join(f'[{name}]' for name in empty)}")
        return parts

    return parse


def ask_parsed(
    annotator: Annotator, calls: Sequence[Call], parse: Parser[T], *, progress: Callable[[int], Any] = int
) -> list[Parsed[T]]:
    """Ask, parse, and ask once more where the answer was malformed, saying what was wrong with it.

    The second question has the task name of the first with `:repair` added, so that it is counted and cached apart.

    Args:
        annotator: Answers.
        calls: What is asked.
        parse: Turns a text into a value, or raises `MalformedError`.
        progress: Is told of each call that was done the first time.

    Returns:
        One result a call, in order.

    Raises:
        PersbenchError: As `Annotator.ask`.
    """
    parsed = [_parsed(reply, parse) for reply in annotator.ask(calls, progress=progress)]
    broken = [i for i, result in enumerate(parsed) if result.kind == "malformed"]
    repairs = [_repair(calls[i], parsed[i]) for i in broken]
    for i, reply in zip(broken, annotator.ask(repairs) if repairs else [], strict=True):
        key = call_key(annotator.id, calls[i])
        annotator.tally.note(calls[i].task, "malformed", key)
        second = _parsed(reply, parse)
        said = parsed[i].answers + second.answers
        if second.value is not None:
            annotator.tally.note(calls[i].task, "repaired", key)
            parsed[i] = replace(second, repaired=True, answers=said)
        else:
            parsed[i] = replace(parsed[i], reason=f"{parsed[i].reason}; asked again: {second.reason}", answers=said)
    return parsed


def _parsed(reply: Reply, parse: Parser[T]) -> Parsed[T]:
    if not isinstance(reply, Answer):
        return Parsed(None, reply.reason, "unanswered")
    try:
        if reply.truncated:
            raise MalformedError("the answer was cut off at its greatest length: be shorter")  # noqa: TRY301
        if len(reply.text) > LONGEST_ANSWER:
            raise MalformedError(f"longer than {LONGEST_ANSWER:,} characters")  # noqa: TRY301
        return Parsed(parse(reply.text), answers=(reply,))
    except MalformedError as error:
        return Parsed(None, str(error), "malformed", answers=(reply,))


def _repair(call: Call, result: Parsed[T]) -> Call:
    asked = REPAIR.format(reason=one_line(result.reason))
    return replace(
        call,
        task=f"{call.task}:repair",
        messages=(
            *call.messages,
            {"role": "assistant", "content": result.answers[0].text[:LONGEST_ANSWER]},
            {"role": "user", "content": asked},
        ),
    )


def _object(text: str) -> dict[str, object]:
    text = text.strip()
    if fenced := _FENCED.fullmatch(text):
        text = fenced[1]
    try:
        return parse_object(text.encode("utf-8", "surrogatepass"))
    except ValueError as error:
        wrong = error.args[0]
        raise MalformedError(f"{wrong}; expected one JSON object and nothing else") from None


def _sentence(fault: Fault) -> str:
    return f"{fault.message}, expected {fault.expected}" if fault.expected else fault.message
