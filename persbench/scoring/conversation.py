"""What two speakers do to each other over the turns of a talk: repetition, and matter brought in and taken up.

Pure functions on utterances in order. What cannot be scored is None; where a question does not arise, as for what was
said before the first utterance, the counts beside it say so. Opinions kept are `consistency.all_own`, a voice lost
`voice_odds` and `consistency.slope`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from persbench.scoring.field_words import subject_words
from persbench.scoring.words import words

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

GRAM: Final = 4


class Utterance(NamedTuple):
    """What one speaker said at one turn.

    Attributes:
        speaker: Whose it is; a talk has two.
        text: What was said.
        authored: It was written, not generated: others may repeat it, but it is not scored itself.
    """

    speaker: str
    text: str
    authored: bool = False


@dataclass(frozen=True)
class Repetition:
    """How much of an utterance had been said before.

    Attributes:
        own: Share of its 4-grams of words that stand in an earlier utterance of the same speaker, 0 to 1; None where
            it has fewer than four words, or nothing went before.
        other: The same for the other's earlier utterances.
        exact: Whether its words are, in the same order, those of an earlier utterance of either; None where it has no
            words, or nothing went before.
        before_own: Utterances of the same speaker that went before; with 0, `own` does not arise.
        before_other: Likewise of the other.
    """

    own: float | None
    other: float | None
    exact: bool | None
    before_own: int
    before_other: int


@dataclass(frozen=True)
class Contribution:
    """What an utterance brought to the talk.

    Attributes:
        new: Words of the speaker's own field that nobody had said before, sorted; None where it has no words.
        taken: Those of them that the other says later; None where the other does not speak again, or `new` is None.
        length: Words in all.
    """

    new: tuple[str, ...] | None
    taken: tuple[str, ...] | None
    length: int


def repetitions(talk: Sequence[Utterance], gram: int = GRAM) -> list[Repetition | None]:
    """Compare every utterance with all that was said before it.

    Word n-grams are counted with their repeats: an utterance that says a thing twice that was said before counts it
    twice. What an utterance repeats of itself counts for nothing here.

    Args:
        talk: In order.
        gram: Words in a row.

    Returns:
        One an utterance; None for those that are authored.
    """
    before: dict[str, set[tuple[str, ...]]] = {}
    counts: dict[str, int] = {}
    whole: set[tuple[str, ...]] = set()
    found: list[Repetition | None] = []
    for said in talk:
        tokens = tuple(words(said.text))
        grams = [tokens[i : i + gram] for i in range(len(tokens) - gram + 1)]
        mine = counts.get(said.speaker, 0)
        theirs = sum(counts.values()) - mine
        others = set[tuple[str, ...]]().union(*(grams for name, grams in before.items() if name != said.speaker))
        own = _share(grams, before.get(said.speaker, set())) if mine else None
        other = _share(grams, others) if theirs else None
        exact = tokens in whole if tokens and whole else None
        found.append(None if said.authored else Repetition(own, other, exact, mine, theirs))
        if tokens:
            before.setdefault(said.speaker, set()).update(grams)
            counts[said.speaker] = mine + 1
            whole.add(tokens)
    return found


def _share(grams: Sequence[tuple[str, ...]], earlier: Collection[tuple[str, ...]]) -> float | None:
    return sum(gram in earlier for gram in grams) / len(grams) if grams else None


def contributions(
    talk: Sequence[Utterance],
    fields: Mapping[str, frozenset[str]],
    *,
    told: str = "",
    left_out: frozenset[str] = frozenset(),
) -> list[Contribution | None]:
    """Find what each utterance brings of its speaker's own field, and what of it the other takes up.

    A word is new at its first utterance, whoever says it; what both were told beforehand is known already. It is taken
    up if the other says it at any later turn.

    Args:
        talk: In order.
        fields: Speaker -> words of the own field (`field_words`).
        told: What both knew before the talk, such as where they are.
        left_out: Words of names.

    Returns:
        One an utterance; None for those that are authored.

    Raises:
        KeyError: A speaker without a field.
    """
    subjects = [frozenset(subject_words(said.text, left_out)) for said in talk]
    lengths = [len(words(said.text)) for said in talk]
    known = set(subject_words(told, left_out))
    found: list[Contribution | None] = []
    for i, said in enumerate(talk):
        new = (subjects[i] & fields[said.speaker]) - known
        known |= subjects[i]
        later = [subjects[j] for j in range(i + 1, len(talk)) if talk[j].speaker != said.speaker and lengths[j]]
        taken = new & frozenset().union(*later) if later else None
        if said.authored:
            found.append(None)
        elif not lengths[i]:
            found.append(Contribution(None, None, 0))
        else:
            found.append(Contribution(tuple(sorted(new)), None if taken is None else tuple(sorted(taken)), lengths[i]))
    return found
