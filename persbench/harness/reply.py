"""Tasks of free replies: overlap with authored answers, the kind of reply to an induced prompt, ordinary requests.

Overlap with the own answer alone rewards a long or common reply, so every overlap is reported minus its mean against
the other persona-stages' answers to the same question.
"""

from __future__ import annotations

from functools import cache, cached_property
from statistics import fmean
from typing import TYPE_CHECKING, Any, ClassVar

from lm_eval.models.api_models import TemplateAPI

from persbench.errors import PersbenchError
from persbench.harness.documents.alignment import shared_answers
from persbench.harness.tasks import Asked, Pair, PersonaTask, pair
from persbench.models.embedder import SentenceEmbedder, default_embedder
from persbench.scoring.authorship import AuthorshipClassifier
from persbench.scoring.distinction import symmetric_bleu
from persbench.scoring.overlap import cosines, distinct_n, length_words, lift, nearest_credit, overlaps
from persbench.scoring.reply_cues import InducedReply
from persbench.scoring.reply_sorting import ReplySorter
from persbench.scoring.resistance import REPLY_CLASSES, RESIST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.harness.documents.base import Document
    from persbench.harness.rendering import ChatTemplate, Rendered

OVERLAPS = ("bleu", "rouge_l", "chrf", "cosine")
NO_EMBEDDER = "none"
"""In the place of an embedder's name: what needs one stays unscored."""


@cache
def embedder_named(name: str | None) -> SentenceEmbedder | None:
    """Return an embedder by folder or hub id, or the default one, loaded once a process.

    Returns:
        None for `none`, and where none was named and the default is not fetched: cosines stay unscored, and the board
        shows so.
    """
    if name == NO_EMBEDDER:
        return None
    if name is not None:
        return SentenceEmbedder(name)
    try:
        return default_embedder()
    except PersbenchError:
        return None


class GenerationTask(PersonaTask):
    """One free reply an item, by the generation settings of the task's YAML."""

    def requests(self, doc: Document, contexts: list[Rendered]) -> list[Asked]:  # noqa: ARG002 - one signature for all
        """Ask for one reply."""
        return [("generate_until", (contexts[0].context, self.generation_settings))]


class ReplyTask(GenerationTask):
    """One greedy reply an item; overlap, authorship by a classifier that never saw the question, length, diversity."""

    METRICS: ClassVar[dict[str, bool]] = (
        {f"{name}_lift": True for name in OVERLAPS}
        | {f"{name}_nearest": True for name in OVERLAPS}
        | {"authorship_acc": True, "length_words": True, "distinct_2": True}
    )

    def score_results(self, doc: Document, results: Sequence[str]) -> dict[str, Pair]:
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


@cache
def sorter_named(embedder: str | None) -> ReplySorter | None:
    """Return the sorter of replies to induction prompts on an embedder; None where that is not fetched."""
    found = embedder_named(embedder)
    return ReplySorter(found) if found else None


class InductionReplyTask(GenerationTask):
    """A free reply to an induction prompt, sorted by a classifier that never saw a reply to this item."""

    METRICS: ClassVar[dict[str, bool]] = {f"reply_{name}": name == RESIST for name in REPLY_CLASSES} | {
        "induction_reply_words": True
    }

    def score_results(self, doc: Document, results: Sequence[str]) -> dict[str, Pair]:
        """Score one reply: 1 for the class it is sorted into and 0 for the others; a blank one is in none.

        Args:
            doc: The document; its candidates are the authored replies. Gets `sorted_as`.
            results: The generated reply.
        """
        text = str(results[0]).strip()
        sorter = sorter_named((self.config.metadata or {}).get("embedder"))
        authored = dict(zip(doc["labels"], doc["candidates"], strict=True))
        case = InducedReply(
            doc["cluster"].partition("/")[2], doc["kind"], doc["ask"], authored["resist"], authored["yield"], text
        )
        (label,) = sorter.sort([case]) if sorter else [None]
        doc["sorted_as"] = label
        return {f"reply_{name}": pair(None if label is None else float(name == label)) for name in REPLY_CLASSES} | {
            "induction_reply_words": pair(float(length_words(text)))
        }


class GeneralReplyTask(GenerationTask):
    """Ordinary requests: does the reply still say what a good answer says?"""

    METRICS: ClassVar[dict[str, bool]] = {"general_rouge_l": True, "general_words": True}

    def score_results(self, doc: Document, results: Sequence[str]) -> dict[str, Pair]:
        """Score the overlap with the reference answer (ROUGE-L, 0 to 100); an empty reply is unscored."""
        text = str(results[0]).strip()
        overlap = overlaps(text, doc["candidates"])["rouge_l"][0] if text else None
        return {"general_rouge_l": pair(overlap), "general_words": pair(float(length_words(text)))}


class DistinctionTask(PersonaTask):
    """Two sampled replies an item, from which Intra, Stage and Inter BLEU are made over all personas of a system."""

    METRICS: ClassVar[dict[str, bool]] = {"intra_bleu": False, "sampled_words": True, "sampled_distinct_2": True}

    def prepare(self, documents: list[Document], lm: Any, chat_template: ChatTemplate | None) -> None:  # noqa: ARG002
        """Note whether the model is an endpoint, which needs a seed a request: lm-eval sends one seed with all."""
        self._seeded = isinstance(lm, TemplateAPI)

    def requests(self, doc: Document, contexts: list[Rendered]) -> list[Asked]:  # noqa: ARG002 - one signature for all
        """Ask for two replies, drawn apart."""
        settings = [self.generation_settings for _ in range(2)]
        if self._seeded:
            settings = [one | {"seed": number} for number, one in enumerate(settings, start=1)]
        return [("generate_until", (contexts[0].context, one)) for one in settings]

    def score_results(self, doc: Document, results: Sequence[str]) -> dict[str, Pair]:  # noqa: ARG002
        """Score how alike the two are, and how long and varied."""
        texts = [str(text).strip() for text in results]
        said = [text for text in texts if text]
        varied = [value for text in said if (value := distinct_n(text, 2)) is not None]
        return {
            "intra_bleu": pair(symmetric_bleu(*texts)),
            "sampled_words": pair(fmean(length_words(text) for text in texts)),
            "sampled_distinct_2": pair(fmean(varied) if varied else None),
        }
