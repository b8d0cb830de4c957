"""Do replies differ more between stages than within one, and more between personas still?

Three sentence-BLEU overlaps of sampled replies, after table 2 of PersLLM (arXiv:2407.12393): Intra within a persona's
stage, Stage between its stages, Inter between personas. Distinct personas have Intra above Stage above Inter. All three
grow where replies are short or all alike: read them beside distinct-2 and length. The paper does not give its BLEU's
settings, so compare the order with its table, not the numbers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import lru_cache
from itertools import combinations, product
from statistics import fmean
from typing import TYPE_CHECKING, Final, NamedTuple

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.helpers import extract_all_word_ngrams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# The setting of `overlap.overlaps`, from the same library's parts: its `sentence_score` would count the n-grams of both
# texts anew for every pair and direction, which is most of the time of a large table.
_BLEU = BLEU(effective_order=True)
ORDERS: Final = _BLEU.max_ngram_order


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
    (grams, length), (other_grams, other_length) = _counted(one), _counted(other)
    shared = [0] * ORDERS  # n-grams of one text that stand in the other are the same in both directions
    for gram in grams.keys() & other_grams.keys():
        shared[len(gram) - 1] += min(grams[gram], other_grams[gram])
    score = fmean([_score(shared, length, other_length), _score(shared, other_length, length)])
    return min(100.0, score)  # sacrebleu's floats may pass 100 by a rounding error


@lru_cache(maxsize=1 << 12)
def _counted(text: str) -> tuple[Counter[tuple[str, ...]], int]:
    """Count a text's n-grams of all orders, and its tokens: once, though it is compared with many others."""
    return extract_all_word_ngrams(_BLEU.tokenizer(text.rstrip()), 1, ORDERS)


def _score(shared: list[int], length: int, other: int) -> float:
    """Return sacrebleu's sentence score of a text of `length` tokens against a reference of `other` tokens."""
    totals = [max(length - order, 0) for order in range(ORDERS)]
    found = BLEU.compute_bleu(list(shared), totals, length, other, smooth_method="exp", effective_order=True)
    return float(found.score)


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
