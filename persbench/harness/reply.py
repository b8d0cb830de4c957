"""`persbench_reply`: free replies to the shared questions, held against everybody's authored answers.

Overlap with the own answer alone rewards a long or common reply, so every overlap is reported minus its mean against
the other persona-stages' answers to the same question.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache, cached_property
from typing import TYPE_CHECKING, ClassVar

from lm_eval.api.instance import Instance

from persbench.errors import PersbenchError
from persbench.harness.documents import Document, shared_answers
from persbench.harness.tasks import Pair, PersonaTask, pair
from persbench.models.embedder import SentenceEmbedder, default_embedder
from persbench.scoring.authorship import AuthorshipClassifier
from persbench.scoring.overlap import cosines, distinct_n, length_words, lift, nearest_credit, overlaps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.harness.rendering import Rendered

OVERLAPS = ("bleu", "rouge_l", "chrf", "cosine")


@cache
def embedder_named(name: str | None) -> SentenceEmbedder | None:
    """Return an embedder by folder or hub id, or the default one, loaded once a process.

    Returns:
        None where none was named and the default is not fetched: cosines stay unscored, and the board shows so.
    """
    if name is not None:
        return SentenceEmbedder(name)
    try:
        return default_embedder()
    except PersbenchError:
        return None


class ReplyTask(PersonaTask):
    """One greedy reply an item; overlap, authorship by a classifier that never saw the question, length, diversity."""

    METRICS: ClassVar[dict[str, bool]] = (
        {f"{name}_lift": True for name in OVERLAPS}
        | {f"{name}_nearest": True for name in OVERLAPS}
        | {"authorship_acc": True, "length_words": True, "distinct_2": True}
    )

    def requests(self, doc: Document, doc_id: int, rendered: Rendered) -> list[Instance]:
        """Ask for one reply."""
        settings = deepcopy(self.config.generation_kwargs)
        return [Instance("generate_until", doc, (rendered.context, settings), 0, (self.config.task, doc_id, 1))]

    def process_results(self, doc: Document, results: Sequence[str]) -> dict[str, Pair]:
        """Score one reply against the answers of all persona-stages to the same question.

        Args:
            doc: The document; its candidates are the references.
            results: The generated reply.
        """
        text, own = str(results[0]).strip(), doc["own"]
        if not text:
            return dict.fromkeys(self.METRICS, pair(None)) | {"length_words": pair(0.0)}
        by_name = overlaps(text, doc["candidates"])
        embedder = embedder_named((self.config.metadata or {}).get("embedder"))
        similar = cosines(embedder, text, doc["candidates"]) if embedder else None
        if similar is not None:
            by_name["cosine"] = similar
        metrics: dict[str, float | None] = {}
        for name in OVERLAPS:
            scores = by_name.get(name)
            metrics[f"{name}_lift"] = lift(scores, own) if scores else None
            metrics[f"{name}_nearest"] = nearest_credit(scores, own) if scores else None
        judge = self._authorship
        metrics["authorship_acc"] = judge.credit(text, doc["cluster"], doc["persona"]) if judge else None
        metrics["length_words"] = float(length_words(text))
        metrics["distinct_2"] = distinct_n(text, 2)
        return {name: pair(value) for name, value in metrics.items()}

    @cached_property
    def _authorship(self) -> AuthorshipClassifier | None:
        pack = self.documents.pack
        try:
            return AuthorshipClassifier(
                (text, label.split("/")[0], question.id)
                for question in pack.questions
                for label, text, _ in shared_answers(pack, question.id)
            )
        except PersbenchError:
            return None  # too few answers to learn a hand from: unscored
