"""The guard before training: nothing is learnt that stands, or all but stands, in a test file of any persona.

A leak lifts scores for the wrong reason. `persbench check --reference` examines a whole world, also by meaning; this
guard is by words alone, takes about a second, and looks at the very texts that are about to be learnt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy import sparse

from persbench.data.leakage import RUN
from persbench.data.passages import Passage, passages
from persbench.errors import Fault, FaultsError
from persbench.models.trained_form import split_reply
from persbench.scoring.words import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from persbench.packs.pack import Pack

GRAM: Final = 3
LONG: Final = 10  # three-word runs of a text from which `NEAR` of them are proof
SHORT: Final = 3  # of a shorter one `NEARER` are wanted; of one below this, equality
NEAR: Final = 0.45
NEARER: Final = 0.75
SHOWN: Final = 60


class Learnt(NamedTuple):
    """A text that is about to be learnt.

    Attributes:
        text: An assistant's turn, with or without analysis, or a turn that it answers.
        origin: Where it comes from, as file:line.
        what: What it is, for the message; empty for a reply.
    """

    text: str
    origin: str
    what: str = ""


def refuse_leaks(pack: Pack, texts: Iterable[Learnt]) -> None:
    """Refuse to train on test texts.

    A text leaks a test text if, case, spacing and punctuation aside, it is equal to it, or shares eight words in a row
    with it, or holds 45% of its different three-word runs (75% where it has fewer than ten of them). In the reference
    world clean training texts hold 40% at most, and a test text with every sixth word exchanged still holds half.
    Analysis and response of a turn are looked at apart as well. What says the same in other words is not found.

    Args:
        pack: The world: every test text of every persona, also reasons of trait targets and `cannot_know`.
        texts: Completions, chosen and rejected replies, and the turns before them: whoever learns to answer a test
            question has learnt from it, whatever the answer. Repeated ones are looked at once.

    Raises:
        FaultsError: Some leak: every one with its origin and the test text's place.
    """
    learnt = list(dict.fromkeys(part for text in texts for part in _parts(text)))
    tests = passages_under_test(pack)
    found: dict[tuple[str, str], Fault] = {}
    for i, j, how in _leaks([part.text for part in learnt], [test.text for test in tests]):
        test, origin = tests[j], learnt[i].origin
        shown = test.text if len(test.text) <= SHOWN else f"{test.text[: SHOWN - 3]}..."
        file, _, line = origin.rpartition(":")
        place = f"{test.file}:{test.line}"
        what = f"{learnt[i].what} {how}".lstrip()
        fault = Fault(file, int(line), f"{what} the test text {place} ({test.field}: {shown!r})", "a text of its own")
        found.setdefault((origin, place), fault)
    if found:
        raise FaultsError(f"{pack.world.id}: this training would learn from test files", found.values())


def passages_under_test(pack: Pack) -> list[Passage]:
    """Return every test text of a world, with the reasons of trait targets and what a persona cannot know."""
    found = [passage for passage in passages(pack) if passage.split == "test"]
    for data in pack.personas:
        who = data.persona.id
        for stage, sheet in data.persona.stages.items():
            notes = [(f"traits.{domain}.reason", target.reason) for domain, target in sheet.traits.items()]
            notes += [("cannot_know", text) for text in sheet.cannot_know]
            file = f"personas/{who}/persona.yaml"
            found += [Passage(file, 1, f"{stage}.{name}", "test", "note", who, stage, text) for name, text in notes]
    return found


def _parts(text: Learnt) -> Iterator[Learnt]:
    analysis, response = split_reply(text.text)
    for part in (text.text, analysis, response):
        if part:
            yield text._replace(text=part)


def _leaks(learnt: Sequence[str], tests: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Yield (learnt text, test text, what the one does to the other)."""
    equal: dict[tuple[str, ...], list[int]] = {}
    for j, text in enumerate(tests):
        equal.setdefault(tuple(words(text)), []).append(j)
    for i, text in enumerate(learnt):
        yield from ((i, j, "is") for j in equal.get(tuple(words(text)), ()))
    shared, _ = _shared(learnt, tests, RUN)
    yield from ((int(i), int(j), "shares eight words in a row with") for i, j in zip(*shared.nonzero(), strict=True))
    shared, sizes = _shared(learnt, tests, GRAM)
    counts = shared.tocoo()
    size = sizes[counts.col]
    near = (size >= SHORT) & (counts.data >= np.where(size >= LONG, NEAR, NEARER) * size)
    for i, j in zip(counts.row[near], counts.col[near], strict=True):
        yield int(i), int(j), "is nearly"


def _shared(
    learnt: Sequence[str], tests: Sequence[str], length: int
) -> tuple[sparse.csr_array[np.int32], NDArray[np.int64]]:
    """Count different runs of words that two texts share: a (learnt, tests) matrix, and the runs of each test text."""
    known: dict[tuple[str, ...], int] = {}
    of_tests = [{known.setdefault(run, len(known)) for run in _runs(text, length)} for text in tests]
    of_learnt = [{known[run] for run in _runs(text, length) if run in known} for text in learnt]
    left, right = (_incidence(rows, len(known)) for rows in (of_learnt, of_tests))
    return sparse.csr_array(left @ right.T), np.array([len(runs) for runs in of_tests], dtype=np.int64)


def _runs(text: str, length: int) -> set[tuple[str, ...]]:
    found = words(text)
    return {tuple(found[i : i + length]) for i in range(len(found) - length + 1)}


def _incidence(rows: Sequence[set[int]], width: int) -> sparse.csr_array[np.int32]:
    places = np.cumsum([0, *(len(row) for row in rows)])
    columns = np.array([column for row in rows for column in sorted(row)], dtype=np.int64)
    return sparse.csr_array((np.ones(len(columns), dtype=np.int32), columns, places), shape=(len(rows), width))
