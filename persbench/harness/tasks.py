"""lm-eval tasks over persona documents: what all of them share, and what all choices by log-likelihood share.

Metrics leave `process_results` as pairs (value, scored): lm-eval cannot carry None through its aggregation, and an
unscored item must be neither zero nor lost.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

from persbench.errors import PersbenchError
from persbench.harness.anchors import anchor_documents
from persbench.harness.backend import require_loglikelihoods, served_model
from persbench.harness.documents.base import branches_of
from persbench.harness.rendering import ChatTemplate, Rendered, render
from persbench.samples import FILLER
from persbench.scoring.choice import anchor, per_byte

if TYPE_CHECKING:
    from persbench.harness.documents.base import Document, Documents

Pair = tuple[float | None, bool]
Scores = Sequence[float | None]
Asked = tuple[str, tuple[Any, ...]]


def pair(value: float | None) -> Pair:
    """Return a metric as lm-eval may carry it: the value, and whether there is one."""
    return value, value is not None


def mean_scored(pairs: Sequence[Pair]) -> float:
    """Average the scored items; NaN when none is scored."""
    values = [value for value, scored in pairs if scored and value is not None]
    return sum(values) / len(values) if values else float("nan")


class PersonaTask(ConfigurableTask):  # type: ignore[misc]
    """A task whose documents hold chat messages.

    Requests are never taken from lm-eval's request cache: its keys leave out persona, system and pack.
    """

    METRICS: ClassVar[dict[str, bool]] = {}  # name -> higher is better

    def __init__(self, config: dict[str, Any]) -> None:
        # lm-eval hands the YAML's `class` key on to a configuration that does not know it.
        super().__init__(config={key: value for key, value in config.items() if key != "class"})
        self._fillers: dict[int, Document] = {}

    def doc_to_text(self, doc: Document, doc_to_text: object = None) -> str:  # noqa: ARG002
        """Return the user's last turn (lm-eval shows it; requests are made from the messages)."""
        return str(doc["ask"])

    def doc_to_target(self, doc: Document, doc_to_target: object = None) -> str:  # noqa: ARG002
        """Return the authored right reply."""
        return "" if doc["own"] is None else str(doc["candidates"][doc["own"]])

    @property
    def documents(self) -> Documents:
        """All documents of this task, in their stratified order."""
        documents: Documents = self.dataset["test"]
        return documents

    def doc_iterator(self, **selection: Any) -> Iterator[tuple[int, Document]]:
        """Yield this rank's documents, numbered; a rank without any gets a filler, since lm-eval breaks off there.

        A filler is asked like a document, which keeps ranks in step, but it is unscored and never saved.
        """
        own = list(super().doc_iterator(**selection))
        if own:
            yield from own
        else:
            filler = self._fillers.setdefault(0, deepcopy(self.documents[0]) | {FILLER: True})
            yield 0, filler

    def build_all_requests(
        self,
        *,
        limit: int | None = None,
        samples: list[int] | None = None,
        rank: int = 0,
        world_size: int = 1,
        system_instruction: str | None = None,
        apply_chat_template: bool = False,
        chat_template: ChatTemplate | None = None,
        **_request_cache: object,
    ) -> None:
        """Render every document of this rank and make its requests.

        Raises:
            PersbenchError: A `--system_instruction` was given, or the model lacks what the task needs.
        """
        if system_instruction:
            raise PersbenchError(f"{self.task_name} sets the system message itself: leave --system_instruction out.")
        template = chat_template if apply_chat_template else None
        numbered = list(self.doc_iterator(limit=limit, samples=samples, rank=rank, world_size=world_size))
        # The callable is the model's own bound method: the one way from a task to the model under the stock command.
        self.prepare([doc for _, doc in numbered], getattr(template, "__self__", None) or served_model(), template)
        self._instances = []
        for doc_id, doc in numbered:
            contexts = [render(branch["messages"], template) for branch in branches_of(doc)]
            doc["rendering"] = "/".join(sorted({rendered.mode for rendered in contexts}))
            asked = self.requests(doc, contexts)
            self._instances += [
                Instance(kind, doc, arguments, idx, (self.config.task, doc_id, 1))
                for idx, (kind, arguments) in enumerate(asked)
            ]

    def process_results(self, doc: Document, results: Sequence[Any]) -> dict[str, Pair]:
        """Score one document; a filler is unscored whatever came back."""
        return dict.fromkeys(self.METRICS, pair(None)) if doc.get(FILLER) else self.score_results(doc, results)

    @abstractmethod
    def score_results(self, doc: Document, results: Sequence[Any]) -> dict[str, Pair]:
        """Score one document by what the model answered to its requests."""

    def prepare(self, documents: list[Document], lm: Any, chat_template: ChatTemplate | None) -> None:
        """Do what must be done with the model before requests are made; nothing by default."""

    @abstractmethod
    def requests(self, doc: Document, contexts: list[Rendered]) -> list[Asked]:
        """Return the requests of one document, at least one, as (lm-eval's request type, its arguments).

        Args:
            doc: The document.
            contexts: What the model reads in each of its branches.
        """

    def aggregation(self) -> dict[str, Callable[[Sequence[Pair]], float]]:
        """Average every metric over its scored items."""
        return dict.fromkeys(self.METRICS, mean_scored)

    def higher_is_better(self) -> dict[str, bool]:
        """Return the direction of every metric."""
        return dict(self.METRICS)


def both(*names: str) -> dict[str, bool]:
    """Name each choice metric twice: anchored (the headline) and raw."""
    return {f"{name}{suffix}": True for name in names for suffix in ("", "_raw")}


class ChoiceTask(PersonaTask):
    """A choice among authored candidates by log-likelihood per UTF-8 byte, anchored and raw."""

    def prepare(self, documents: list[Document], lm: Any, chat_template: ChatTemplate | None) -> None:
        """Fill in the anchors where the model can be reached; without, anchored scores stay unscored."""
        if lm is not None:
            require_loglikelihoods(lm, [self.task_name])
        self.unfold(documents, lm, chat_template)
        if lm is None:
            return
        folder = (self.config.metadata or {}).get("anchors")
        branches = [branch | {"candidates": doc["candidates"]} for doc in documents for branch in branches_of(doc)]
        anchor_documents(branches, lm, chat_template, Path(folder) if folder else None)
        found = iter(branches)
        for doc in documents:
            for branch in branches_of(doc):
                branch["anchors"] = next(found)["anchors"]

    def unfold(self, documents: list[Document], lm: Any, chat_template: ChatTemplate | None) -> None:
        """Make the branches that only the model can make, by live dialogue; nothing by default."""

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
