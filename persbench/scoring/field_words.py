"""Which words are typical of whom: the field that a persona talks from, told apart from everybody else's.

The weighted log-odds ratio with an informative Dirichlet prior (Monroe, Colaresi and Quinn 2008,
doi:10.1093/pan/mpn018, equations 15 to 22): rare words cannot win by chance, and common ones not by being common.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Final

from persbench.scoring.words import content_words, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LEAST_Z: Final = 1.645
"""One-sided 5% of the standard normal."""
LEAST_COUNT: Final = 2
LEAST_LETTERS: Final = 3
"""Shorter ones are abbreviations and clipped function words, as a rule, and no matter of anybody's field."""


def field_words(texts: Mapping[str, Sequence[str]], *, names: Iterable[str] = ()) -> dict[str, frozenset[str]]:
    """Find each one's typical content words.

    With y counts in one's own texts and x in all others', n and m their sums, and a prior of a_w = a_0 p_w, p_w the
    word's share in all texts and a_0 the mean number of words of one: a word is typical if z >= 1.645, where
    d = log[(y_w + a_w) / (n + a_0 - y_w - a_w)] - log[(x_w + a_w) / (m + a_0 - x_w - a_w)] and
    z = d / sqrt(1 / (y_w + a_w) + 1 / (x_w + a_w)). The prior weighs as much as one person's texts.

    Args:
        texts: Person -> texts; of two people at least, or nobody can be told from others.
        names: Names of people, whose words are nobody's field: to call somebody by name says nothing of a matter.

    Returns:
        Person -> content words of three letters or more that it has at least twice; empty without other people's words.
    """
    left_out = frozenset(word for name in names for word in words(name))
    counts = {who: Counter(w for text in own for w in subject_words(text, left_out)) for who, own in texts.items()}
    everybody = sum(counts.values(), Counter[str]())
    total = everybody.total()
    prior = total / max(len(counts), 1)
    found: dict[str, frozenset[str]] = {}
    for who, own in counts.items():
        n, m = own.total(), total - own.total()
        typical = [
            word
            for word, count in own.items()
            if count >= LEAST_COUNT and m and _z(count, everybody[word] - count, n, m, prior, total) >= LEAST_Z
        ]
        found[who] = frozenset(typical)
    return found


def subject_words(text: str, left_out: frozenset[str] = frozenset()) -> list[str]:
    """Content words that can belong to a field: of three letters or more, with no name among them, repeats kept.

    Args:
        text: Any.
        left_out: Words of names; "Nedda's" goes with "Nedda".
    """
    return [
        word
        for word in content_words(text)
        if sum(map(str.isalpha, word)) >= LEAST_LETTERS and word.removesuffix("'s") not in left_out
    ]


def _z(own: int, others: int, n: int, m: int, prior: float, total: int) -> float:
    a = prior * (own + others) / total
    mine = math.log(own + a) - math.log(n + prior - own - a)
    theirs = math.log(others + a) - math.log(m + prior - others - a)
    return (mine - theirs) / math.sqrt(1 / (own + a) + 1 / (others + a))
