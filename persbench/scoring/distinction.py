"""Do replies differ more between stages than within one, and more between personas still?

Three sentence-BLEU overlaps of sampled replies, after table 2 of PersLLM (arXiv:2407.12393): Intra within a persona's
stage, Stage between its stages, Inter between personas. Distinct personas have Intra above Stage above Inter. All three
grow where replies are short or all alike: read them beside distinct-2 and length. The paper does not give its BLEU's
settings, so compare the order with its table, not the numbers.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations, product
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from sacrebleu.metrics.bleu import BLEU

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# the setting of `overlap.overlaps`, which would also compute chrF and ROUGE-L: several times the time, thrown away
_BLEU = BLEU(effective_order=True)


class SampledReply(NamedTuple):
    """Two replies of one system to one item, sampled apart.

    Attributes:
        persona: Who speaks.
        stage: At which stage of its life; personas of a world share the stages' names.
        question: What is answered; the cluster of everything computed from it.
        texts: The two replies, from two requests with seeds of their own.
    """

    persona: str
    stage: str
    question: str
    texts: tuple[str, str]


class Resemblance(NamedTuple):
    """How much the replies to one question resemble each other.

    One persona's row of the table: keep the entries with that persona among `personas`, and give their values and
    clusters to `stats.cluster_interval`.

    Attributes:
        cluster: The question.
        value: BLEU, 0 to 100, the mean over both directions and all pairs of texts; None if a text is blank.
        personas: Whose replies they are: one name for Intra and Stage, two for Inter.
    """

    cluster: str
    value: float | None
    personas: tuple[str, ...]


def intra(replies: Iterable[SampledReply]) -> list[Resemblance]:
    """Resemblance of the two samples of one item: how steadily a persona speaks at one stage.

    Args:
        replies: n of them, in any order.

    Returns:
        n entries, in the order given.

    Raises:
        ValueError: A persona has two entries for one stage and question.
    """
    return [Resemblance(reply.question, _mean_bleu([reply.texts]), (reply.persona,)) for reply in _checked(replies)]


def stage(replies: Iterable[SampledReply]) -> list[Resemblance]:
    """Resemblance of one persona's replies to one question at two of its stages.

    Args:
        replies: In any order; a persona answers a question at any number of stages.

    Returns:
        One entry for each persona, question and unordered pair of its stages, each the mean over the four pairs of
        texts. A persona with one stage has none.

    Raises:
        ValueError: A persona has two entries for one stage and question.
    """
    return [
        Resemblance(one.question, _mean_bleu(product(one.texts, other.texts)), (one.persona,))
        for one, other in _pairs(replies, lambda reply: (reply.persona, reply.question))
    ]


def inter(replies: Iterable[SampledReply]) -> list[Resemblance]:
    """Resemblance of two personas' replies to one question at one stage.

    Args:
        replies: In any order, of any number of personas.

    Returns:
        One entry for each question, stage and unordered pair of personas, each the mean over the four pairs of texts.
        A question or stage that only one persona has gives none.

    Raises:
        ValueError: A persona has two entries for one stage and question.
    """
    return [
        Resemblance(one.question, _mean_bleu(product(one.texts, other.texts)), (one.persona, other.persona))
        for one, other in _pairs(replies, lambda reply: (reply.stage, reply.question))
    ]


def symmetric_bleu(one: str, other: str) -> float | None:
    """Sentence BLEU with neither text the reference: the mean of both directions.

    BLEU counts the n-grams of one text that stand in the other, so its two directions differ where lengths do.
    Effective order and exponential smoothing (sacrebleu's default), as in `overlap.overlaps`.

    Args:
        one: A reply.
        other: Another.

    Returns:
        0 to 100; None if either is blank, since silence resembles nothing.
    """
    if not one.strip() or not other.strip():
        return None
    score = fmean([_BLEU.sentence_score(one, [other]).score, _BLEU.sentence_score(other, [one]).score])
    return min(100.0, score)  # sacrebleu's floats may pass 100 by a rounding error


def _mean_bleu(pairs: Iterable[tuple[str, str]]) -> float | None:
    """Mean over pairs of texts; None if one pair is unscored: replies count whole or not at all."""
    scores = [symmetric_bleu(one, other) for one, other in pairs]
    complete = [score for score in scores if score is not None]
    return fmean(complete) if len(complete) == len(scores) else None


def _pairs(
    replies: Iterable[SampledReply],
    key: Callable[[SampledReply], tuple[str, str]],
) -> Iterator[tuple[SampledReply, SampledReply]]:
    """Unordered pairs of replies with the same key; groups and members in the order of their first appearance."""
    groups: defaultdict[tuple[str, str], list[SampledReply]] = defaultdict(list)
    for reply in _checked(replies):
        groups[key(reply)].append(reply)
    for group in groups.values():
        yield from combinations(group, 2)


def _checked(replies: Iterable[SampledReply]) -> list[SampledReply]:
    """The replies as a list; a doubled item would be paired with itself and pass for another stage or persona."""
    listed = list(replies)
    seen: set[tuple[str, str, str]] = set()
    for reply in listed:
        item = (reply.persona, reply.stage, reply.question)
        if item in seen:
            raise ValueError(
                f"{reply.persona} at {reply.stage} has two entries for {reply.question}: give both samples in one"
            )
        seen.add(item)
    return listed
