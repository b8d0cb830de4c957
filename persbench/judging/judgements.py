"""The judgements: one function a kind, from cases to verdicts.

Each asks all its cases at once, in as many orders as it takes, reads the answers strictly with one attempt at repair,
and leaves unscored what cannot be read. None of them raises for what a reply or an answer holds.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from persbench.annotators.calls import call_key
from persbench.annotators.frames import neutral
from persbench.annotators.parsing import ask_parsed
from persbench.judging.answers import ranking_parser, schema_for, verdict_parser
from persbench.judging.orders import Groups, mean_places, orders_of
from persbench.judging.verdicts import Asking, Ranking, Verdict
from persbench.provenance import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from persbench.annotators.calls import Call
    from persbench.annotators.parsing import Parser
    from persbench.judging.cases import AgreeCase, ContradictCase, RankCase, ResistCase, SortCase
    from persbench.judging.judge import Judge

T = TypeVar("T")
Fields = dict[str, str | list[str]]


def sort_replies(
    judge: Judge, cases: Sequence[SortCase], *, seed: int = 0, progress: Callable[[int], Any] = int
) -> list[Verdict]:
    """Sort questions into knowledge, attitude and neither.

    Args:
        judge: Is asked.
        cases: What about.
        seed: Another seed asks anew (self-agreement).
        progress: Is told of every case done.

    Returns:
        One verdict a case, in order; its value one of `cases.SORTS`.

    Raises:
        PersbenchError: As `Annotator.ask`; what was answered is in the call cache.
    """
    return _verdicts(judge, "sort", cases, seed, progress, lambda c: {"question": c.question, "reference": c.reference})


def agree(
    judge: Judge, cases: Sequence[AgreeCase], *, seed: int = 0, progress: Callable[[int], Any] = int
) -> list[Verdict]:
    """Score agreement with the reference, 0 to 5; arguments and errors as in `sort_replies`."""
    return _verdicts(
        judge,
        "agree",
        cases,
        seed,
        progress,
        lambda c: {"question": c.question, "reference": c.reference, "reply": c.reply},
        lambda c: (c.reply,),
    )


def resist(
    judge: Judge, cases: Sequence[ResistCase], *, seed: int = 0, progress: Callable[[int], Any] = int
) -> list[Verdict]:
    """Say what replies do with an induction, one of `cases.RESISTANCES`; arguments and errors as in `sort_replies`."""
    return _verdicts(
        judge,
        "resist",
        cases,
        seed,
        progress,
        lambda c: {"speaker": c.speaker, "prompt": c.prompt, "truth": c.truth, "reply": c.reply},
        lambda c: (c.reply,),
    )


def contradict(
    judge: Judge, cases: Sequence[ContradictCase], *, seed: int = 0, progress: Callable[[int], Any] = int
) -> list[Verdict]:
    """Say whether lines contradict what they are held against; arguments and errors as in `sort_replies`.

    Returns:
        One verdict a case, in order: "consistent" or "contradicts". Two lines are asked in both orders, and are
        unscored (`split`) where the answers differ. Of a dialogue that broke off nothing is asked (`broken`).
    """
    found = {
        i: Verdict(case.id, None, f"the dialogue broke off: {case.fault}", "broken")
        for i, case in enumerate(cases)
        if case.fault
    }
    progress(len(found))
    for against in ("prompt", "line", "answer"):
        places = [i for i, case in enumerate(cases) if case.against == against and not case.fault]
        some = [cases[i] for i in places]
        name = f"contradict-{against}"
        if against == "line":
            said = _verdicts(judge, name, some, seed, progress, _lines, _texts, _swapped)
        else:
            said = _verdicts(judge, name, some, seed, progress, _lines, _texts)
        found |= zip(places, said, strict=True)
    return [found[i] for i in range(len(cases))]


def _lines(case: ContradictCase) -> Fields:
    return {"held": case.held, "held_asked": case.held_asked, "line": case.line, "asked": case.asked}


def _swapped(case: ContradictCase) -> Fields:
    return {"held": case.line, "held_asked": case.asked, "line": case.held, "asked": case.held_asked}


def _texts(case: ContradictCase) -> tuple[str, ...]:
    return (case.line, case.held) if case.against == "line" else (case.line,)


def rank(
    judge: Judge, cases: Sequence[RankCase], *, seed: int = 0, progress: Callable[[int], Any] = int
) -> list[Ranking]:
    """Rank several systems' replies to one question, ties allowed, asked in `judge.orders` orders.

    A reply that is empty or too long is not shown, and its system is unscored in this case.

    Args:
        judge: Is asked; it sees numbers, never names.
        cases: What about.
        seed: Another seed asks anew.
        progress: Is told of every case done.

    Returns:
        One ranking a case, in order.

    Raises:
        PersbenchError: As `Annotator.ask`.
    """
    left_out = [
        {name: problem for name, text in case.replies.items() if (problem := _problem(judge, text))} for case in cases
    ]
    asked: list[tuple[int, tuple[str, ...]]] = []
    for i, case in enumerate(cases):
        names = [name for name in case.replies if name not in left_out[i]]
        if len(names) > 1:
            salt = digest([neutral(text) for pair in sorted(case.replies.items()) for text in pair])
            asked += [(i, order) for order in orders_of(names, judge.orders, salt)]
    calls = [_call(judge, "rank", _ranked(cases[i], order), seed) for i, order in asked]
    by_case: dict[int, list[Asking[Groups]]] = defaultdict(list)
    told = _halves(progress, [i for i, _ in asked], len(cases))
    for length in sorted({len(order) for _, order in asked}):
        some = [k for k, (_, order) in enumerate(asked) if len(order) == length]
        found = _ask(judge, [calls[k] for k in some], ranking_parser(length), told)
        for k, asking in zip(some, found, strict=True):
            i, order = asked[k]
            by_case[i].append(_named(asking, order))
    return [_ranking(case, left_out[i], tuple(by_case[i])) for i, case in enumerate(cases)]


def _ranked(case: RankCase, order: Sequence[str]) -> Fields:
    return {
        "speaker": case.speaker,
        "question": case.question,
        "reference": case.reference,
        "replies": [f"{number}\n{case.replies[name]}" for number, name in enumerate(order, start=1)],
    }


def _named(asking: Asking[tuple[tuple[int, ...], ...]], order: tuple[str, ...]) -> Asking[Groups]:
    groups = asking.value
    named = None if groups is None else tuple(tuple(order[number - 1] for number in group) for group in groups)
    return Asking(order, named, asking.reason, asking.kind, asking.answers, asking.call)


def _ranking(case: RankCase, left_out: Mapping[str, str], orders: tuple[Asking[Groups], ...]) -> Ranking:
    if not orders:
        told = "fewer than two replies that can be shown"
        return Ranking(case.id, None, told, next(iter(left_out.values()), "empty"), left_out=left_out)
    for asking in orders:
        if asking.value is None:
            return Ranking(case.id, None, asking.reason, asking.kind, orders, left_out)
    places = mean_places([asking.value for asking in orders if asking.value is not None])
    return Ranking(case.id, places, orders=orders, left_out=left_out)


def _verdicts(
    judge: Judge,
    name: str,
    cases: Sequence[Any],
    seed: int,
    progress: Callable[[int], Any],
    fields: Callable[[Any], Fields],
    texts: Callable[[Any], tuple[str, ...]] = lambda _: (),
    swapped: Callable[[Any], Fields] | None = None,
) -> list[Verdict]:
    """Ask about cases in one order or two; `texts` are what a model wrote, and is not shown if empty or too long."""
    problems = [next(filter(None, (_problem(judge, text) for text in texts(case))), "") for case in cases]
    ways = [fields] if swapped is None else [fields, swapped]
    asked = [(i, way) for i in range(len(cases)) if not problems[i] for way in range(len(ways))]
    calls = [_call(judge, name, ways[way](cases[i]), seed) for i, way in asked]
    found = _ask(judge, calls, verdict_parser(name), _halves(progress, [i for i, _ in asked], len(cases)))
    by_case: dict[int, list[Asking[str | int]]] = defaultdict(list)
    for (i, way), asking in zip(asked, found, strict=True):
        shown = () if swapped is None else (("held", "line"), ("line", "held"))[way]
        by_case[i].append(replace(asking, shown=shown))
    return [_verdict(case.id, problems[i], tuple(by_case[i])) for i, case in enumerate(cases)]


def _verdict(case: str, problem: str, orders: tuple[Asking[str | int], ...]) -> Verdict:
    if problem:
        told = {"empty": "the reply is empty", "too_long": "the reply is too long to be judged"}[problem]
        return Verdict(case, None, told, problem)
    for asking in orders:
        if asking.value is None:
            return Verdict(case, None, asking.reason, asking.kind, orders)
    values = {asking.value for asking in orders}
    if len(values) > 1:
        return Verdict(case, None, "the two orders got different verdicts", "split", orders)
    return Verdict(case, values.pop(), orders=orders)


def _problem(judge: Judge, text: str) -> str:
    """Say why a reply cannot be shown; empty if it can."""
    if not any(unicodedata.category(char)[0] not in "ZC" for char in text):  # blanks and invisible characters alone
        return "empty"
    return "too_long" if len(text) > judge.longest else ""


def _call(judge: Judge, name: str, fields: Fields, seed: int) -> Call:
    found = judge.prompts[name]
    # An empty text becomes "none", which an empty frame would leave to be guessed.
    filled = {field: value or [] for field, value in fields.items() if field in found.inputs}
    return found.call(seed=seed, schema=schema_for(name), **filled)


def _ask(judge: Judge, calls: Sequence[Call], parse: Parser[T], progress: Callable[[int], Any]) -> list[Asking[T]]:
    if not calls:
        return []
    return [
        Asking((), found.value, found.reason, found.kind, found.answers, call_key(judge.annotator.id, call))
        for call, found in zip(calls, ask_parsed(judge.annotator, calls, parse, progress=progress), strict=True)
    ]


def _halves(progress: Callable[[int], Any], asked: Sequence[int], cases: int) -> Callable[[int], Any]:
    """Turn progress in calls into progress in cases; those that are not asked are told at once."""
    waiting = len(set(asked))
    progress(cases - waiting)
    done, told = 0, 0

    def advance(calls: int) -> None:
        nonlocal done, told
        done += calls
        now = done * waiting // max(len(asked), 1)
        progress(now - told)
        told = now

    return advance
