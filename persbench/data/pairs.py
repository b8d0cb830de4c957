"""Preference pairs without any human: own responses against those of the other stage and of other personas.

After PersLLM (arXiv 2407.12393). Everything comes from training files: a rejected reply mined from the answers that
later serve as candidates would lift identification for the wrong reason.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from persbench.data.nearest import alike, embedded, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from persbench.data.nearest import Embedded
    from persbench.packs.pack import Pack, PersonaData
    from persbench.packs.schema import TrainDialogue
    from persbench.scoring.overlap import Embedder

Kind = Literal["other_stage", "other_persona"]
KINDS: Final[tuple[Kind, ...]] = ("other_stage", "other_persona")
NEAR: Final = 0.35
SAME: Final = 0.95
TIE: Final = 1e-6


@dataclass(frozen=True)
class Pair:
    """The persona's own training dialogue, and one whose response it should turn from.

    Attributes:
        kind: Where the rejected response comes from.
        chosen: The persona's own row: its prompt is the pair's prompt.
        rejected: The row that lends its response: the persona's own at another stage, or another persona's.
        cosine: How near the two rows' prompts are; 1 for a common prompt.
        persona: Whose row the rejected one is.
    """

    kind: Kind
    chosen: TrainDialogue
    rejected: TrainDialogue
    cosine: float
    persona: str


def pairs_of(
    pack: Pack,
    data: PersonaData,
    embedder: Embedder,
    *,
    rejected: Sequence[Kind] = KINDS,
    rows: Callable[[PersonaData], Sequence[TrainDialogue]] | None = None,
) -> list[Pair]:
    """Pair every training dialogue of a persona with a response to turn from, of each kind.

    Candidates for `other_stage` are the persona's own rows at every other stage, for `other_persona` the rows of all
    other personas at the same stage, of those that `rows` leaves in: what a recipe does not learn, it does not learn to
    turn from either. The rule, for each dialogue and kind:

    1. Rows with the same `prompt_id` (cosine 1) go first. Where several stages or personas have one, the one that was
       taken least often so far is taken, and among those the first by a fixed hash: so the sources rotate and none is
       favoured.
    2. Else the row whose prompt is nearest by cosine (ties within 1e-6: the smaller id), if the cosine is at least
       0.35: below that the two prompts speak of different things, and the reply would be rejected for its subject.
    3. A row whose response is nearly the chosen one (cosine 0.95 or more) is no candidate: there would be nothing to
       prefer.

    All comparisons are blocked matrix products (`persbench.data.nearest`), with the result of comparing row by row.

    Args:
        pack: The world; of other personas training files alone are read.
        data: The persona.
        embedder: Gives unit rows.
        rejected: The kinds wanted.
        rows: Says which of a persona's dialogues take part, on either side; all of them if None.

    Returns:
        The pairs, in the order of the persona's `rows`, the kinds of a row side by side. A dialogue without a candidate
        has no pair of that kind.
    """
    taking_part = rows or (lambda whose: whose.train)
    own = list(taking_part(data))
    if not own:
        return []
    known = _Known.of(pack, embedder, taking_part)
    places = {row.id: i for i, row in enumerate(known.rows)}
    chosen = np.array([places[row.id] for row in own], dtype=np.intp)
    found: dict[tuple[int, Kind], tuple[int, float]] = {}
    for kind in rejected:
        found |= {(i, kind): (place, 1.0) for i, place in _common(known, chosen, kind, data.persona.id).items()}
        rest = np.array([i for i in range(len(own)) if (i, kind) not in found], dtype=np.intp)
        for stage in dict.fromkeys(own[i].stage for i in rest):
            asking = rest[[own[i].stage == stage for i in rest]]
            candidates = known.others(kind, data.persona.id, stage)
            near = nearest(known.prompts, known.responses, chosen[asking], candidates, least=NEAR, same=SAME, tie=TIE)
            found |= {(int(i), kind): each for i, each in zip(asking, near, strict=True) if each is not None}
    return [
        Pair(kind, row, known.rows[place], cosine, known.personas[place])
        for i, row in enumerate(own)
        for kind in rejected
        for place, cosine in [found.get((i, kind), (-1, 0.0))]
        if place >= 0
    ]


@dataclass(frozen=True)
class _Known:
    """All training dialogues of a world, with the persona of each, and the ids of those that take part."""

    rows: list[TrainDialogue]
    personas: list[str]
    part: frozenset[str]
    prompts: Embedded
    responses: Embedded

    @classmethod
    def of(
        cls, pack: Pack, embedder: Embedder, taking_part: Callable[[PersonaData], Sequence[TrainDialogue]]
    ) -> _Known:
        everybody = [(data.persona.id, row) for data in pack.personas for row in data.train]
        rows = [row for _, row in everybody]
        # All rows are embedded, in one order: a vector's last digits depend on the batch that it was computed in.
        prompts = embedded([row.prompt for row in rows], embedder)
        responses = embedded([row.response for row in rows], embedder)
        part = frozenset(row.id for data in pack.personas for row in taking_part(data))
        return cls(rows, [who for who, _ in everybody], part, prompts, responses)

    def is_other(self, kind: Kind, place: int, persona: str, stage: str) -> bool:
        """Say whether a row may lend its response, by persona and stage, to a row of that persona and stage."""
        if self.rows[place].id not in self.part:
            return False
        if kind == "other_stage":
            return self.personas[place] == persona and self.rows[place].stage != stage
        return self.personas[place] != persona and self.rows[place].stage == stage

    def others(self, kind: Kind, persona: str, stage: str) -> NDArray[np.intp]:
        """Return all rows that may lend their response, those with smaller ids first."""
        places = [place for place in range(len(self.rows)) if self.is_other(kind, place, persona, stage)]
        return np.array(sorted(places, key=lambda place: self.rows[place].id), dtype=np.intp)


def _common(known: _Known, chosen: NDArray[np.intp], kind: Kind, persona: str) -> dict[int, int]:
    """Choose among rows with the same prompt: the source taken least often so far, then by a fixed hash."""
    with_prompt: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(known.rows):
        with_prompt[row.prompt_id].append(place)
    taken: Counter[str] = Counter()
    found = {}
    for i, place in enumerate(chosen.tolist()):
        row = known.rows[place]
        others = [c for c in with_prompt[row.prompt_id] if known.is_other(kind, c, persona, row.stage)]
        if not others:
            continue
        same = alike(known.responses, chosen[i : i + 1], np.array(others, dtype=np.intp), SAME)[0]
        apart = [c for c, is_same in zip(others, same, strict=True) if not is_same]
        sources = {known.rows[c].stage if kind == "other_stage" else known.personas[c]: c for c in apart}
        if sources:
            source = min(sources, key=lambda name: (taken[name], _hash(row.id, name)))
            taken[source] += 1
            found[i] = sources[source]
    return found


def _hash(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(("persbench-pairs-1", *parts)).encode()).hexdigest()
