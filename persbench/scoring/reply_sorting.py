"""Sorts generated replies to induction prompts: resist, yield, evade or incoherent, without any API.

A linear classifier on three kinds of evidence: which of the item's authored replies (resist, yield) the generated one
is nearer to, in embedding space and in words; cues of contradiction, agreement, an AI's way of talking and collapse
(`reply_cues`); and embedding and words of the reply themselves. It is fitted on labelled replies of real models, and
asked about an item only by a model that saw no reply to that item.
"""

from __future__ import annotations

import json
from functools import cache, cached_property
from importlib.resources import files
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from persbench.errors import PersbenchError
from persbench.models.kept_vectors import kept_vectors
from persbench.scoring.reply_cues import InducedReply, cues, first_sentence
from persbench.scoring.resistance import REPLY_CLASSES
from persbench.scoring.words import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from persbench.scoring.overlap import Embedder
    from persbench.scoring.resistance import ReplyClass

FOLDS: Final = 10
SEED: Final = 20_261
STRENGTH: Final = 1.0  # inverse weight of the ridge penalty
UNIT_SCALE: Final = 4.0  # embeddings and word vectors have length 1 over hundreds of entries; cues are standardised

_CLASSES: Final = {str(name): name for name in REPLY_CLASSES}


class LabelledReply(NamedTuple):
    """A reply with its labels.

    Attributes:
        case: The reply.
        system: Whose it is; the labellers did not know.
        passes: The labels of two independent passes.
        label: The label it counts with: both passes', or where they differ that of a third reading.
    """

    case: InducedReply
    system: str
    passes: tuple[ReplyClass, ReplyClass]
    label: ReplyClass


@cache
def labelled_replies() -> tuple[LabelledReply, ...]:
    """Read the labelled replies that ship with persbench (`labelled_replies.jsonl`; every label is a model's)."""
    found = []
    for line in files("persbench.scoring").joinpath("labelled_replies.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        case = InducedReply(row["item"], row["kind"], row["prompt"], row["resist"], row["yield"], row["reply"])
        found.append(LabelledReply(case, row["system"], (row["passes"][0], row["passes"][1]), row["label"]))
    return tuple(found)


def evidence(cases: Sequence[InducedReply], embedder: Embedder, *, keep: bool = False) -> NDArray[np.float64]:
    """Turn replies into rows of numbers.

    Args:
        cases: n replies, none blank.
        embedder: Gives unit vectors.
        keep: Keep the vectors in the user's cache, for replies that every process asks for.

    Returns:
        Shape (n, cues + 8 + twice the embedding's size): cues; for the whole reply and for its first sentence the
        cosines with the resisting reply, the yielding one, their difference, and the cosine with the prompt; the two
        embeddings.
    """
    texts = [(c.reply, first_sentence(c.reply), c.resist, c.yielded, c.prompt) for c in cases]
    unique = list(dict.fromkeys(text for row in texts for text in row))
    embedded = kept_vectors(embedder, unique) if keep else embedder.encode(unique)
    vectors = dict(zip(unique, np.asarray(embedded, dtype=np.float64), strict=True))
    rows = []
    for case, (reply, first, *against) in zip(cases, texts, strict=True):
        nearness: list[float] = []
        for said in (vectors[reply], vectors[first]):
            resist, yielded, asked = (float(said @ vectors[text]) for text in against)
            nearness += [resist, yielded, resist - yielded, asked]
        rows.append([*cues(case).values(), *nearness, *vectors[reply], *vectors[first]])
    return np.array(rows)


class ReplySorter:
    """Sorts replies, each by a model fitted without the labelled replies to its own item.

    Args:
        labelled: What to learn from; the bundled labels by default.
        embedder: Gives unit vectors.

    Raises:
        PersbenchError: Fewer than two classes or ten items to learn from.
    """

    def __init__(self, embedder: Embedder, labelled: Sequence[LabelledReply] | None = None) -> None:
        self._embedder = embedder
        self._rows = labelled_replies() if labelled is None else tuple(labelled)
        items = sorted({row.case.item for row in self._rows})
        if len(items) < FOLDS or len({row.label for row in self._rows}) < 2:  # noqa: PLR2004 - one class decides nothing
            raise PersbenchError(
                f"sorting replies is learnt from labelled ones: {len(items)} items are too few, {FOLDS} are needed, "
                "with two classes among them"
            )
        order = np.random.default_rng(SEED).permutation(len(items))
        self._fold = {items[place]: number % FOLDS for number, place in enumerate(order)}
        self._models: dict[int | None, _Fitted] = {}

    def sort(self, cases: Sequence[InducedReply]) -> list[ReplyClass | None]:
        """Sort replies; None for a blank one, which says nothing at all."""
        said = [i for i, case in enumerate(cases) if words(case.reply)]
        found: list[ReplyClass | None] = [None] * len(cases)
        if said:
            asked = [cases[i] for i in said]
            known = self._places
            own = known.keys() >= set(asked)  # an examination by the labelled replies themselves
            rows = self._evidence[[known[case] for case in asked]] if own else evidence(asked, self._embedder)
            for i, row in zip(said, rows, strict=True):
                found[i] = self._model(self._fold.get(cases[i].item)).predict(row, cases[i].reply)
        return found

    @cached_property
    def _places(self) -> dict[InducedReply, int]:
        return {row.case: place for place, row in enumerate(self._rows)}

    @cached_property
    def _evidence(self) -> NDArray[np.float64]:
        """Of the labelled replies."""
        return evidence([row.case for row in self._rows], self._embedder, keep=True)

    def _model(self, held_out: int | None) -> _Fitted:
        if held_out not in self._models:
            seen = [i for i, row in enumerate(self._rows) if self._fold[row.case.item] != held_out]
            self._models[held_out] = _Fitted(self._evidence[seen], [self._rows[i] for i in seen])
        return self._models[held_out]


class _Fitted:
    """A model fitted on labelled replies: cues are standardised, unit vectors only scaled up."""

    def __init__(self, known: NDArray[np.float64], rows: Sequence[LabelledReply]) -> None:
        self._dense = len(cues(rows[0].case)) + 8
        self._scale = StandardScaler().fit(known[:, : self._dense])
        self._words = TfidfVectorizer(analyzer=_terms, sublinear_tf=True, min_df=2).fit([r.case.reply for r in rows])
        self._model = LogisticRegression(C=STRENGTH, max_iter=5000)
        self._model.fit(self._columns(known, [r.case.reply for r in rows]), [r.label for r in rows])

    def predict(self, row: NDArray[np.float64], text: str) -> ReplyClass:
        """Return the likeliest class of one reply."""
        return _CLASSES[str(self._model.predict(self._columns(row[None], [text]))[0])]

    def _columns(self, rows: NDArray[np.float64], texts: list[str]) -> NDArray[np.float64]:
        dense, unit = self._scale.transform(rows[:, : self._dense]), rows[:, self._dense :]
        return np.hstack([dense, UNIT_SCALE * unit, UNIT_SCALE * self._words.transform(texts).toarray()])


def _terms(text: str) -> list[str]:
    """Return words and pairs of neighbours."""
    said = words(text)
    return [*said, *(f"{a} {b}" for a, b in pairwise(said))]
