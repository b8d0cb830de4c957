"""Putting a pack's authored pairs to a judge, by the very functions that score replies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from persbench.judging import judgements
from persbench.judging.cases import (
    CONSISTENT,
    CONTRADICTS,
    Against,
    AgreeCase,
    ContradictCase,
    RankCase,
    ResistCase,
    SortCase,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persbench.judging.authored import AuthoredPair, Family
    from persbench.judging.cases import Kind
    from persbench.judging.judge import Judge
    from persbench.judging.orders import Groups
    from persbench.judging.verdicts import Ranking, Verdict

    Speaker = Callable[[str, str], str]

RIGHT: Final = "right"
WRONG: Final = "wrong"
# What a judge must say of the right and of the wrong text, where it labels texts one by one.
LABELS: Final[dict[Kind, tuple[str, str]]] = {
    "resist": ("resist", "yield"),
    "contradict": (CONSISTENT, CONTRADICTS),
    "sort": ("knowledge", "attitude"),
}
_ASK: Final[dict[Kind, Callable[..., list[Verdict]]]] = {
    "sort": judgements.sort_replies,
    "agree": judgements.agree,
    "resist": judgements.resist,
    "contradict": judgements.contradict,
}
_AGAINST: Final[dict[Family, Against]] = {"content": "answer", "knowledge": "prompt", "lines": "line"}


@dataclass(frozen=True)
class Decision:
    """What a judge made of one pair.

    Attributes:
        pair: The pair.
        credit: Of a ranking or a score: 1 with the right text above the other, 0 below it, a half where both are alike.
            Of labels: the share of the two texts that got the right one. None where any verdict is unscored.
        verdict: The same in the judge's own terms, to compare with a second asking; None where it is unscored.
        firsts: Of a ranking, for each order in which it was asked: 1 where the text shown first was put higher, -1
            where it was put lower, 0 for a tie, None where that asking was not read.
        verdicts: How many were asked for.
        unscored: Of these, how many stayed unscored, by kind.
        tokens: Of all prompts and answers.
    """

    pair: AuthoredPair
    credit: float | None
    verdict: tuple[str | int | float, ...] | None
    firsts: tuple[int | None, ...] = ()
    verdicts: int = 1
    unscored: tuple[str, ...] = ()
    tokens: int = 0


def decide(
    judge: Judge,
    kind: Kind,
    pairs: Sequence[AuthoredPair],
    speaker: Speaker,
    *,
    seed: int = 0,
    progress: Callable[[int], Any] = int,
) -> list[Decision]:
    """Ask a judge about pairs.

    Args:
        judge: Is asked.
        kind: Of judgement.
        pairs: Of one family on which this kind is examined.
        speaker: (persona id, stage id) -> the sheet that says who speaks.
        seed: Another seed asks anew.
        progress: Is told of every case done: one a pair of rankings, two a pair of other judgements.

    Returns:
        One decision a pair, in order.

    Raises:
        PersbenchError: As `Annotator.ask`.
    """
    if kind == "rank":
        rank_cases = [_rank_case(pair, speaker) for pair in pairs]
        rankings = judgements.rank(judge, rank_cases, seed=seed, progress=progress)
        return [_of_ranking(pair, found) for pair, found in zip(pairs, rankings, strict=True)]
    cases = [_case(kind, pair, side, speaker) for pair in pairs for side in (RIGHT, WRONG)]
    found = _ASK[kind](judge, cases, seed=seed, progress=progress)
    return [_of_verdicts(kind, pair, found[2 * i], found[2 * i + 1]) for i, pair in enumerate(pairs)]


def _rank_case(pair: AuthoredPair, speaker: Speaker) -> RankCase:
    # What is right of a voice stands in the sheet; its reference would give nothing else away.
    reference = "" if pair.family == "voice" else pair.reference
    return RankCase(
        pair.id, pair.question, {RIGHT: pair.right, WRONG: pair.wrong}, speaker(pair.persona, pair.stage), reference
    )


def _case(
    kind: Kind, pair: AuthoredPair, side: str, speaker: Speaker
) -> SortCase | AgreeCase | ResistCase | ContradictCase:
    name, text = f"{pair.id}/{side}", pair.right if side == RIGHT else pair.wrong
    if kind == "sort":
        return SortCase(name, text, pair.answers[side == WRONG])
    if kind == "agree":
        return AgreeCase(name, pair.question, pair.reference, text)
    if kind == "resist":
        return ResistCase(name, pair.question, text, speaker(pair.persona, pair.stage), pair.reference)
    against = _AGAINST[pair.family]
    asked = "" if against == "prompt" else pair.question
    return ContradictCase(name, against, pair.reference, text, asked, pair.question)


def _of_ranking(pair: AuthoredPair, found: Ranking) -> Decision:
    places = found.places
    gap = None if places is None else places[WRONG] - places[RIGHT]
    return Decision(
        pair,
        credit=None if gap is None else _compared(gap),
        verdict=None if gap is None else (_compared(gap),),
        firsts=tuple(_first(asking.shown, asking.value) for asking in found.orders),
        unscored=(found.kind,) if places is None else (),
        tokens=found.tokens,
    )


def _first(shown: tuple[str, ...], groups: Groups | None) -> int | None:
    """Say whether the text shown first was put above the one shown last."""
    if groups is None or len(shown) < 2:  # noqa: PLR2004 - one text has no order
        return None
    place = {name: i for i, group in enumerate(groups) for name in group}
    gap = place[shown[-1]] - place[shown[0]]
    return (gap > 0) - (gap < 0)


def _of_verdicts(kind: Kind, pair: AuthoredPair, right: Verdict, wrong: Verdict) -> Decision:
    unscored = tuple(found.kind for found in (right, wrong) if found.value is None)
    tokens = right.tokens + wrong.tokens
    if right.value is None or wrong.value is None:
        return Decision(pair, None, None, verdicts=2, unscored=unscored, tokens=tokens)
    if kind == "agree":
        credit = _compared(int(right.value) - int(wrong.value))
    else:
        labels = LABELS[kind]
        credit = ((right.value == labels[0]) + (wrong.value == labels[1])) / 2
    return Decision(pair, credit, (right.value, wrong.value), verdicts=2, tokens=tokens)


def _compared(gap: float) -> float:
    return 0.5 if gap == 0 else float(gap > 0)
