"""Choices by log-likelihood: what all tasks share that score authored candidates after a context."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from persbench.harness import analysis
from persbench.harness.anchors import anchor_documents
from persbench.harness.backend import require_loglikelihoods, rounds_likelihoods
from persbench.harness.documents.base import branches_of
from persbench.harness.fitting import text_tokens
from persbench.harness.tasks import Asked, Pair, PersonaTask, pair
from persbench.scoring.choice import anchor, per_byte

if TYPE_CHECKING:
    from persbench.harness.documents.base import Document
    from persbench.harness.rendering import ChatTemplate, Rendered

log = logging.getLogger(__name__)
Scores = Sequence[float | None]
ROUNDED: Final = (
    "the model rounds its log-likelihoods to half precision, so that candidates tie or change places: add "
    "softmax_dtype=float32 to --model_args"
)


def both(*names: str) -> dict[str, bool]:
    """Name each choice metric twice: anchored (the headline) and raw."""
    return {f"{name}{suffix}": True for name in names for suffix in ("", "_raw")}


class ChoiceTask(PersonaTask):
    """A choice among authored candidates by log-likelihood per UTF-8 byte, anchored and raw.

    A candidate of a system that thinks is scored after the model's own analysis; `--metadata '{"analysis": "none"}'`
    scores it as the turn's beginning instead.
    """

    def prepare(self, documents: list[Document], lm: Any, chat_template: ChatTemplate | None) -> None:
        """Fill in the anchors where the model can be reached; without, anchored scores stay unscored."""
        if lm is not None:
            require_loglikelihoods(lm, [self.task_name])
            if rounds_likelihoods(lm):
                log.warning("%s: %s", self.task_name, ROUNDED)
        self.unfold(documents, lm, chat_template)
        if lm is None:
            return
        folder = (self.config.metadata or {}).get("anchors")
        groups = [[branch | {"candidates": doc["candidates"]} for branch in branches_of(doc)] for doc in documents]
        anchor_documents(groups, lm, chat_template, Path(folder) if folder else None)
        for doc, group in zip(documents, groups, strict=True):
            for branch, found in zip(branches_of(doc), group, strict=True):
                branch["anchors"] = found["anchors"]

    def unfold(self, documents: list[Document], lm: Any, chat_template: ChatTemplate | None) -> None:
        """Make the branches that only the model can make, by live dialogue; nothing by default."""

    def room(self, doc: Document, lm: Any) -> int:
        """Return the tokens of the longest candidate, and of an analysis before it."""
        longest = max(text_tokens(lm, text) for text in doc["candidates"])
        return longest + (analysis.LONGEST if self.thinks_first else 0)

    def requests(self, doc: Document, contexts: list[Rendered]) -> list[Asked]:
        """Ask for each candidate's log-likelihood in each branch."""
        return [
            ("loglikelihood", (rendered.context, rendered.delimiter + text))
            for rendered in contexts
            for text in doc["candidates"]
        ]

    def score_results(self, doc: Document, results: Sequence[Any]) -> dict[str, Pair]:
        """Score one item.

        Args:
            doc: The document, with anchors.
            results: (log-likelihood in nats, greedy) of each candidate, branch by branch, in the document's order.
        """
        width, branches = len(doc["candidates"]), branches_of(doc)
        raw: list[Scores] = []
        anchored: list[Scores] = []
        for number, branch in enumerate(branches):
            part = results[number * width : (number + 1) * width]
            raw.append(per_byte([float(ll) for ll, _ in part], doc["candidates"]))
            anchored.append(anchor(raw[-1], branch["anchors"] or [None] * width))
        headline, plain = self.score_branches(doc, anchored), self.score_branches(doc, raw)
        return {k: pair(v) for k, v in headline.items()} | {f"{k}_raw": pair(v) for k, v in plain.items()}

    @classmethod
    def score_branches(cls, doc: Document, by_branch: Sequence[Scores]) -> dict[str, float | None]:
        """Turn the candidates' scores in every branch into metrics; None is unscored."""
        return cls.score(doc, by_branch[0])

    @staticmethod
    def score(doc: Document, scores: Scores) -> dict[str, float | None]:
        """Turn candidates' scores in the only branch into metrics."""
        raise NotImplementedError
