"""How the steps ask: requests in, answers of the right form out, and every drop noted with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from persbench.annotators.frames import one_line
from persbench.annotators.parsing import REPAIR, ask_parsed, json_object, schema_of
from persbench.annotators.prompts import PromptFile, prompt
from persbench.build.drops import Drops, Reason
from persbench.errors import PersbenchError
from persbench.models.trained_form import ANALYSIS_MARK, RESPONSE_MARK
from persbench.packs.texts import PackModel, folded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from persbench.annotators.base import Annotator
    from persbench.annotators.calls import Call
    from persbench.annotators.parsing import Parsed
    from persbench.annotators.progress import Bars

A = TypeVar("A", bound=PackModel)
PROMPTS: Final = Path(__file__).resolve().parent / "prompts"
"""Folder of the prompts: one Markdown file a task."""

SILENT: Final = 0.1  # share of a step's calls left unanswered above which the step is not taken for done
FEW: Final = 3  # unanswered calls that are let pass in any step
RATIO: Final = 1.5
"""How many times the shortest of some candidates the longest may be. The prompts ask for a tenth; an annotator that is
farther off than this gives the right one away by its length."""
SEEDS: Final = 4  # how often what a pack cannot do without is asked for, each time anew


@dataclass(frozen=True)
class Request(Generic[A]):
    """One thing to ask.

    Attributes:
        task: The name of a prompt.
        where: What it is about, for the list of drops.
        fields: What stands in the prompt's places.
        form: What the answer must look like; its JSON schema goes with the call.
        check: Says what is wrong with an answer of the right form, or None.
    """

    task: str
    where: str
    fields: Mapping[str, str | Sequence[str]]
    form: type[A]
    check: Callable[[A], str | None] = field(default=lambda _: None)

    def call(self, seed: int = 0) -> Call:
        """Return it as a call of its prompt."""
        return read_prompt(self.task).call(seed=seed, schema=_schema(self.form), **self.fields)


@cache
def read_prompt(task: str) -> PromptFile:
    """Return the prompt of a task."""
    return prompt(PROMPTS, task)


@cache
def _schema(form: type[PackModel]) -> dict[str, Any]:
    return schema_of(form)


@dataclass(frozen=True)
class Lacking:
    """Why there is no answer."""

    reason: str
    unanswered: bool


@dataclass
class Asker:
    """Asks one annotator, for all steps of a build.

    Attributes:
        annotator: Answers, and remembers its answers.
        bars: Shows progress.
        drops: Grows by what could not be had.
        versions: Version of each prompt asked so far, by its name.
    """

    annotator: Annotator
    bars: Bars
    drops: Drops = field(default_factory=lambda: Drops([]))
    versions: dict[str, str] = field(default_factory=dict)

    def ask(self, requests: Sequence[Request[A]]) -> list[A | None]:
        """Ask, and note what cannot be had: what stays unanswered, or is of the wrong form also when asked again.

        Args:
            requests: All of one task.

        Returns:
            The answers, in the order of the requests; None where there is none.

        Raises:
            PersbenchError: More than a tenth was left unanswered: the annotator is not there, and a pack made of the
                rest would be another one than asked for; or see `Annotator.ask`.
        """
        answers, lacking = self._asked(requests)
        silent = [i for i, why in lacking.items() if why.unanswered]
        if len(silent) > max(FEW, SILENT * len(requests)):
            first = requests[silent[0]]
            raise PersbenchError(
                f"{first.task}: {len(silent)} of {len(requests)} calls were left without an answer, such as the one "
                f"about {first.where}: {lacking[silent[0]].reason}. All answers so far are stored: see to the "
                "annotator and repeat the command, and it goes on from here."
            )
        for i, why in lacking.items():
            kind: Reason = "unanswered" if why.unanswered else "malformed answer"
            self.drops.add(requests[i].task, requests[i].where, kind, why.reason)
        return answers

    def need(self, requests: Sequence[Request[A]]) -> list[A]:
        """Ask for what a pack cannot do without: again with another seed where an answer cannot be used.

        Raises:
            PersbenchError: Something could not be had at the fourth time either.
        """
        found: dict[int, A] = {}
        lacking: dict[int, Lacking] = {}
        for seed in range(SEEDS):
            left = [i for i in range(len(requests)) if i not in found]
            answers, why = self._asked([requests[i] for i in left], seed=seed)
            found |= {i: answer for i, answer in zip(left, answers, strict=True) if answer is not None}
            lacking = {left[i]: reason for i, reason in why.items()}
            if not lacking:
                return [found[i] for i in range(len(requests))]
        lines = "\n".join(f"  {requests[i].task}, {requests[i].where}: {why.reason}" for i, why in lacking.items())
        raise PersbenchError(
            f"the annotator gave no usable answer to what a pack cannot do without, asked {SEEDS} times:\n{lines}\n"
            "All other answers are stored: see to the annotator, or take another one, and repeat the command."
        )

    def _asked(self, requests: Sequence[Request[A]], seed: int = 0) -> tuple[list[A | None], dict[int, Lacking]]:
        """Return the answers, and why there is none where there is none."""
        if not requests:
            return [], {}
        task, parse = requests[0].task, json_object(requests[0].form)
        self.versions[task] = read_prompt(task).version
        calls = [request.call(seed) for request in requests]
        with self.bars(task, len(calls)) as advance:
            parsed = ask_parsed(self.annotator, calls, parse, progress=advance)
        wrong = {i: said for i, result in enumerate(parsed) if (said := _wrong(requests[i], result)) is not None}
        again = ask_parsed(self.annotator, [_again(calls[i], parsed[i], said) for i, said in wrong.items()], parse)
        for (i, said), result in zip(wrong.items(), again, strict=True):
            still = _wrong(requests[i], result)
            if result.value is None or still is not None:
                reason = f"{said}; asked again: {still or result.reason}"
                parsed[i] = replace(result, value=None, reason=reason, kind=result.kind or "malformed")
            else:
                parsed[i] = result
        lacking = {
            i: Lacking(one_line(result.reason), result.kind == "unanswered")
            for i, result in enumerate(parsed)
            if result.value is None
        }
        return [result.value for result in parsed], lacking


def _wrong(request: Request[A], result: Parsed[A]) -> str | None:
    return None if result.value is None else request.check(result.value)


def _again(call: Call, result: Parsed[A], wrong: str) -> Call:
    """Ask once more, with the answer that was of the right form and what is wrong with it."""
    return replace(
        call,
        task=f"{call.task}:check",
        messages=(
            *call.messages,
            {"role": "assistant", "content": result.answers[-1].text},
            {"role": "user", "content": REPAIR.format(reason=one_line(wrong))},
        ),
    )


def unmarked(**texts: str) -> str | None:
    """Complain of a text that holds a mark by which a trained reply is taken apart."""
    for name, text in texts.items():
        for mark in (ANALYSIS_MARK, RESPONSE_MARK):
            if mark.casefold() in text.casefold():
                return f'"{name}" holds {mark}, which must not stand in it'
    return None


def lengths(texts: Mapping[str, str], ratio: float) -> str | None:
    """Complain of texts whose lengths would give one of them away.

    Args:
        texts: By name.
        ratio: The longest may have so many times the characters of the shortest.
    """
    sizes = {name: len(text) for name, text in texts.items()}
    if max(sizes.values()) <= ratio * min(sizes.values()):
        return None
    listed = ", ".join(f'"{name}" {size}' for name, size in sizes.items())
    return f"the lengths differ too much ({listed} characters): bring them all near to each other"


def same(texts: Mapping[str, str]) -> str | None:
    """Complain of two texts that differ at most in case and spacing, as the schema of packs would."""
    first: dict[str, str] = {}
    for name, text in texts.items():
        before = first.setdefault(folded(text), name)
        if before != name:
            return f"{before} and {name} are the same text"
    return None
