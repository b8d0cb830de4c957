"""Systems that must fail: rules that choose a candidate by its surface, without any model.

Each of `rules` must come out at chance on every choice task. One that does not has found a cue that gives the gold
away, and the data are at fault. `FLOORS` are shown beside them, not held to chance: they see what a system may see.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from persbench.scoring.words import content_words, words

if TYPE_CHECKING:
    from persbench.scoring.stats import Interval

CHANCE_TOLERANCE = 0.08
PREFIX = "sanity:"
"""What the board puts before a rule's name."""

NEGATIONS = frozenset(
    words("""
    no not nor neither never none nobody nothing nowhere cannot without
    nay nae nary nowt naught nought nothin nuthin nuffin nowise noways
    cannae canna dinnae dinna didnae didna doesnae winna wouldnae isnae wasnae wasna
    dont doesnt didnt isnt arent wasnt werent hasnt havent hadnt wouldnt couldnt shouldnt aint
    """),
)
"""Negation words besides those that end in n't. Contractions without apostrophe only where they spell no other word."""


@dataclass(frozen=True)
class ChoiceContext:
    """All that a rule may look at in one choice.

    Attributes:
        item_id: The item's id, unique in its pack.
        prompt: The question as the user puts it.
        candidates: The texts to choose among.
        profile: The persona's prompt text (for the floors).
        stance_holders: How many persona-stages of the pack hold each candidate's stance; None where there are none.
    """

    item_id: str
    prompt: str
    candidates: Sequence[str]
    profile: str
    stance_holders: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if not self.candidates:
            raise ValueError(f"{self.item_id}: no candidates to choose among")
        if self.stance_holders is not None and len(self.stance_holders) != len(self.candidates):
            raise ValueError(
                f"{self.item_id}: {len(self.stance_holders)} stance counts for {len(self.candidates)} candidates",
            )


Rule = Callable[[ChoiceContext], list[float]]
"""One score a candidate, higher is preferred, always finite; to be read by `choice.credit`."""


def longest(context: ChoiceContext) -> list[float]:
    """Length in UTF-8 bytes."""
    return [float(len(candidate.encode("utf-8"))) for candidate in context.candidates]


def shortest(context: ChoiceContext) -> list[float]:
    """Minus the length in UTF-8 bytes."""
    return [-length for length in longest(context)]


def most_negations(context: ChoiceContext) -> list[float]:
    """Number of English negation words, contractions and dialect forms included."""
    return [
        float(sum(word in NEGATIONS or word.endswith("n't") for word in words(candidate)))
        for candidate in context.candidates
    ]


def random(context: ChoiceContext, seed: int = 20_260) -> list[float]:
    """A number in [0, 1) from a hash of item and place: the same on every machine, in every process."""
    return [
        int.from_bytes(hashlib.sha256(f"{seed}\n{context.item_id}\n{place}".encode()).digest()[:6]) / 2**48
        for place in range(len(context.candidates))
    ]


def prompt_overlap(context: ChoiceContext) -> list[float]:
    """Share of each candidate's content words that occur in the prompt; 0 for a candidate without content words."""
    return _shares_within(context.candidates, context.prompt)


def majority_stance(context: ChoiceContext) -> list[float]:
    """How many hold the candidate's stance; without stances all are alike, a tie at exactly chance."""
    if context.stance_holders is None:
        return [0.0] * len(context.candidates)
    return [float(holders) for holders in context.stance_holders]


def profile_overlap(context: ChoiceContext) -> list[float]:
    """Share of each candidate's content words that occur in the profile; 0 for a candidate without content words."""
    return _shares_within(context.candidates, context.profile)


class UnigramFluency:
    """Mean log relative frequency of a candidate's words: prefers what is made of common words.

    Add-one smoothing with one cell for all unknown words. A candidate without words scores as one unknown word.
    """

    def __init__(self, corpus: Iterable[str]) -> None:
        """Count the words of a corpus.

        Args:
            corpus: Texts, as a rule all candidates of the pack.
        """
        self._counts = Counter(word for text in corpus for word in words(text))
        self._log_total = math.log(self._counts.total() + len(self._counts) + 1)

    def __call__(self, context: ChoiceContext) -> list[float]:
        """Nats per word, one a candidate."""
        return [self._mean_log_frequency(candidate) for candidate in context.candidates]

    def _mean_log_frequency(self, text: str) -> float:
        counts = [self._counts[word] for word in words(text)] or [0]
        return math.fsum(math.log(count + 1) for count in counts) / len(counts) - self._log_total


RULES: dict[str, Rule] = {
    "longest": longest,
    "shortest": shortest,
    "most_negations": most_negations,
    "random": random,
    "prompt_overlap": prompt_overlap,
    "majority_stance": majority_stance,
}
"""The rules that need nothing but the item; `rules` adds the one that needs the pack."""

FLOORS: dict[str, Rule] = {"profile_overlap": profile_overlap}


def rules(corpus: Iterable[str]) -> dict[str, Rule]:
    """All rules that must be at chance, `unigram_fluency` among them.

    Args:
        corpus: All candidates of the pack.
    """
    return {**RULES, "unigram_fluency": UnigramFluency(corpus)}


def question_echo(prompt: str) -> str:
    """The floor for generation: a system that says the question back."""
    return prompt


def at_chance(interval: Interval, chance: float, tolerance: float = CHANCE_TOLERANCE) -> bool:
    """Whether a sanity system is where it must be: its interval holds chance, and its mean is within `tolerance` of it.

    Few items could hide a large cue in a wide interval (the second test), many could show a small one (the first).

    Args:
        interval: Of the system's credits, already widened by `stats.bonferroni` over systems times tasks.
        chance: Expected credit of a blind choice: the mean over items of 1 / candidates.
        tolerance: Largest distance of the mean from chance.

    Returns:
        False also where the interval has no ends (no scored item, or a single cluster): nothing is shown then.
    """
    if interval.mean is None or interval.low is None or interval.high is None:
        return False
    rounding = 1e-9
    contains = interval.low - rounding <= chance <= interval.high + rounding
    return contains and abs(interval.mean - chance) <= tolerance + rounding


def _shares_within(candidates: Sequence[str], text: str) -> list[float]:
    known = set(content_words(text))
    shares = []
    for candidate in candidates:
        found = [word in known for word in content_words(candidate)]
        shares.append(sum(found) / len(found) if found else 0.0)
    return shares
