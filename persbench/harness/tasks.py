"""lm-eval tasks over persona documents: what all of them share, and the choice tasks.

Metrics leave `process_results` as pairs (value, scored): lm-eval cannot carry None through its aggregation, and an
unscored item must be neither zero nor lost.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

from persbench.errors import PersbenchError
from persbench.harness.anchors import anchor_documents
from persbench.harness.backend import require_loglikelihoods
from persbench.harness.rendering import ChatTemplate, Rendered, render
from persbench.scoring.choice import anchor, credit, margin, per_byte, winners

if TYPE_CHECKING:
    from persbench.harness.documents import Document, Documents

Pair = tuple[float | None, bool]
Scores = Sequence[float | None]


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

    def doc_to_text(self, doc: Document, doc_to_text: object = None) -> str:  # noqa: ARG002
        """Return the user's last turn (lm-eval shows it; requests are made from the messages)."""
        return str(doc["ask"])

    def doc_to_target(self, doc: Document, doc_to_target: object = None) -> str:  # noqa: ARG002
        """Return the authored right reply."""
        return str(doc["candidates"][doc["own"]])

    @property
    def documents(self) -> Documents:
        """All documents of this task, in their stratified order."""
        documents: Documents = self.dataset["test"]
        return documents

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
        self.prepare([doc for _, doc in numbered], getattr(template, "__self__", None), template)
        self._instances = []
        for doc_id, doc in numbered:
            rendered = render(doc["messages"], template)
            doc["rendering"] = rendered.mode
            self._instances += self.requests(doc, doc_id, rendered)

    def prepare(self, documents: list[Document], lm: Any, chat_template: ChatTemplate | None) -> None:
        """Do what must be done with the model before requests are made; nothing by default."""

    @abstractmethod
    def requests(self, doc: Document, doc_id: int, rendered: Rendered) -> list[Instance]:
        """Make the requests of one document."""

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
        if lm is None:
            return
        require_loglikelihoods(lm, [self.task_name])
        folder = (self.config.metadata or {}).get("anchors")
        anchor_documents(documents, lm, chat_template, Path(folder) if folder else None)

    def requests(self, doc: Document, doc_id: int, rendered: Rendered) -> list[Instance]:
        """Ask for each candidate's log-likelihood after the same context."""
        return [
            Instance(
                "loglikelihood",
                doc,
                (rendered.context, rendered.delimiter + text),
                idx,
                (self.config.task, doc_id, 1),
            )
            for idx, text in enumerate(doc["candidates"])
        ]

    def process_results(self, doc: Document, results: Sequence[tuple[float, bool]]) -> dict[str, Pair]:
        """Score one item.

        Args:
            doc: The document, with anchors.
            results: (log-likelihood in nats, greedy) of each candidate, in the document's order.
        """
        raw = per_byte([float(ll) for ll, _ in results], doc["candidates"])
        anchors = doc["anchors"] or [None] * len(raw)
        headline, plain = self.score(doc, anchor(raw, anchors)), self.score(doc, raw)
        return {k: pair(v) for k, v in headline.items()} | {f"{k}_raw": pair(v) for k, v in plain.items()}

    @staticmethod
    @abstractmethod
    def score(doc: Document, scores: Scores) -> dict[str, float | None]:
        """Turn candidates' scores into metrics; None is unscored."""


class CostumeTask(ChoiceTask):
    """Own answer against the same voice with another stance, and against another voice with the same stance."""

    METRICS: ClassVar[dict[str, bool]] = both("content_acc", "content_margin", "voice_acc", "voice_margin")

    @staticmethod
    def score(doc: Document, scores: Scores) -> dict[str, float | None]:
        """Score content (own voice fixed) and voice (own stance fixed)."""
        by_label = dict(zip(doc["labels"], scores, strict=True))
        metrics: dict[str, float | None] = {}
        for name, rival in (("content", "voice_only"), ("voice", "stance_only")):
            duel = [by_label["own"], by_label[rival]]
            metrics[f"{name}_acc"] = credit(duel, {0})
            metrics[f"{name}_margin"] = margin(duel, 0)
        return metrics


class AttitudeTask(ChoiceTask):
    """The persona's stance among the four of a shared question."""

    METRICS: ClassVar[dict[str, bool]] = both("attitude_acc", "attitude_margin")

    @staticmethod
    def score(doc: Document, scores: Scores) -> dict[str, float | None]:
        """Score the choice of the own stance."""
        return {"attitude_acc": credit(scores, {doc["own"]}), "attitude_margin": margin(scores, doc["own"])}


class KnowledgeTask(ChoiceTask):
    """The gold reply among foils in the same voice."""

    METRICS: ClassVar[dict[str, bool]] = both("knowledge_acc", "knowledge_margin")

    @staticmethod
    def score(doc: Document, scores: Scores) -> dict[str, float | None]:
        """Score the choice of the gold reply."""
        return {"knowledge_acc": credit(scores, {doc["own"]}), "knowledge_margin": margin(scores, doc["own"])}


class WhoSaidTask(ChoiceTask):
    """Whose answer is it? The reply of this persona-stage among everybody's to the same question."""

    METRICS: ClassVar[dict[str, bool]] = both("persona_acc", "stage_acc", "who_margin")

    @staticmethod
    def score(doc: Document, scores: Scores) -> dict[str, float | None]:
        """Score the persona over all candidates, and the stage among the persona's own."""
        owners = [label.split("/")[0] for label in doc["labels"]]
        mine = [i for i, owner in enumerate(owners) if owner == doc["persona"]]
        stages = [scores[i] for i in mine]
        return {
            "persona_acc": credit(scores, set(mine)),
            "stage_acc": credit(stages, {mine.index(doc["own"])}) if len(mine) > 1 else None,
            "who_margin": margin(scores, doc["own"]),
        }

    @staticmethod
    def chosen(doc: Document, scores: Scores) -> list[str]:
        """Return the labels of the (tied) best candidates, for the confusion matrix; empty when unscored."""
        return [doc["labels"][i] for i in winners(scores) or ()]
