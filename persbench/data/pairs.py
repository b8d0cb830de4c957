"""Preference pairs without any human: own responses against those of the other stage and of other personas.

After PersLLM (arXiv 2407.12393). Everything comes from training files: a rejected reply mined from the answers that
later serve as candidates would lift identification for the wrong reason.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

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


class _Candidate(NamedTuple):
    persona: str
    row: TrainDialogue
    prompt: NDArray[np.float32]
    response: NDArray[np.float32]


def pairs_of(
    pack: Pack,
    data: PersonaData,
    embedder: Embedder,
    *,
    rejected: Sequence[Kind] = KINDS,
    rows: Sequence[TrainDialogue] | None = None,
) -> list[Pair]:
    """Pair every training dialogue of a persona with a response to turn from, of each kind.

    Candidates for `other_stage` are the persona's own rows at every other stage, for `other_persona` the rows of all
    other personas at the same stage. The rule, for each dialogue and kind:

    1. Rows with the same `prompt_id` (cosine 1) go first. Where several stages or personas have one, the one that was
       taken least often so far is taken, and among those the first by a fixed hash: so the sources rotate and none is
       favoured.
    2. Else the row whose prompt is nearest by cosine (ties within 1e-6: the smaller id), if the cosine is at least
       0.35: below that the two prompts speak of different things, and the reply would be rejected for its subject.
    3. A row whose response is nearly the chosen one (cosine 0.95 or more) is no candidate: there would be nothing to
       prefer.

    Args:
        pack: The world; of other personas training files alone are read.
        data: The persona.
        embedder: Gives unit rows.
        rejected: The kinds wanted.
        rows: The persona's dialogues to pair, in this order; all of them if None.

    Returns:
        The pairs, in the order of `rows`, the kinds of a row side by side. A dialogue without a candidate has no pair
        of that kind.
    """
    own = list(data.train if rows is None else rows)
    everybody = [(other.persona.id, row) for other in pack.personas for row in other.train]
    if not own:
        return []
    prompts = embedder.encode([row.prompt for _, row in everybody])
    responses = embedder.encode([row.response for _, row in everybody])
    all_rows = [_Candidate(who, row, prompts[i], responses[i]) for i, (who, row) in enumerate(everybody)]
    vectors = {candidate.row.id: candidate for candidate in all_rows}
    taken: dict[Kind, Counter[str]] = {kind: Counter() for kind in rejected}
    pairs = []
    for row in own:
        chosen = vectors[row.id]
        for kind in rejected:
            others = [c for c in all_rows if _is_other(kind, c, row, data.persona.id) and _apart(c, chosen)]
            found = _common(kind, others, row, taken[kind]) or _nearest(others, chosen)
            if found is not None:
                cosine = 1.0 if found.row.prompt_id == row.prompt_id else float(found.prompt @ chosen.prompt)
                pairs.append(Pair(kind, row, found.row, cosine, found.persona))
    return pairs


def _is_other(kind: Kind, candidate: _Candidate, row: TrainDialogue, persona: str) -> bool:
    if kind == "other_stage":
        return candidate.persona == persona and candidate.row.stage != row.stage
    return candidate.persona != persona and candidate.row.stage == row.stage


def _apart(candidate: _Candidate, chosen: _Candidate) -> bool:
    return float(candidate.response @ chosen.response) < SAME


def _common(kind: Kind, others: Sequence[_Candidate], row: TrainDialogue, taken: Counter[str]) -> _Candidate | None:
    """Choose among rows with the same prompt: the source taken least often so far, then by a fixed hash."""
    found = {source: c for source, c in _sources(kind, others) if c.row.prompt_id == row.prompt_id}
    if not found:
        return None
    source = min(found, key=lambda name: (taken[name], _hash(row.id, name)))
    taken[source] += 1
    return found[source]


def _sources(kind: Kind, others: Sequence[_Candidate]) -> Iterator[tuple[str, _Candidate]]:
    return ((c.row.stage if kind == "other_stage" else c.persona, c) for c in others)


def _nearest(others: Sequence[_Candidate], chosen: _Candidate) -> _Candidate | None:
    if not others:
        return None
    cosines = np.stack([c.prompt for c in others]) @ chosen.prompt
    best = float(cosines.max())
    if best < NEAR:
        return None
    return min((c for c, cosine in zip(others, cosines, strict=True) if cosine > best - TIE), key=lambda c: c.row.id)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(("persbench-pairs-1", *parts)).encode()).hexdigest()
