"""lm-eval tasks over persona documents: what all of them share.

Metrics leave `process_results` as pairs (value, scored): lm-eval cannot carry None through its aggregation, and an
unscored item must be neither zero nor lost.
"""

from __future__ import annotations

from abc import abstractmethod
from copy import deepcopy
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

from persbench.errors import PersbenchError
from persbench.harness import analysis
from persbench.harness.adapter_checks import require_adapter
from persbench.harness.backend import served_model
from persbench.harness.documents.base import branches_of, user
from persbench.harness.fitting import fitted, tokens_of, window
from persbench.harness.rendering import ChatTemplate, Rendered, render
from persbench.samples import FILLER
from persbench.systems.base import Situation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from persbench.harness.documents.base import Document, Documents
    from persbench.models.chat import Message
    from persbench.systems.base import System

Pair = tuple[float | None, bool]
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
        self._lm: Any = None
        if self.system.analysis:  # lm-eval's own account of its run then says how a turn was made
            variant = "greedy" if self.thinks_first else "none"
            told = {"analysis": variant, "analysis_tokens": analysis.TOKENS}
            self.config.metadata = (self.config.metadata or {}) | told

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

    @property
    def system(self) -> System:
        """The system that speaks."""
        return self.documents.system

    @property
    def generation_settings(self) -> dict[str, Any]:
        """Settings of a generated reply, from the task's YAML; a turn with its analysis may be longer by that."""
        own = deepcopy(self.config.generation_kwargs)
        return analysis.saying(own) if self.thinks_first else analysis.with_room(own, analysis=self.system.analysis)

    @property
    def thinks_first(self) -> bool:
        """Whether the model makes its own analysis before anything is scored or generated (see `analysis`)."""
        variant = analysis.variant_named((self.config.metadata or {}).get("analysis", analysis.VARIANTS[0]))
        return self.system.analysis and variant == "greedy"

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
        documents = [doc for _, doc in numbered]
        # The callable is the model's own bound method: the one way from a task to the model under the stock command.
        lm = getattr(template, "__self__", None) or served_model()
        self._lm = lm
        require_adapter(self.system, lm, self.documents.pack, documents)
        self.prepare(documents, lm, template)
        self._instances = []
        for (doc_id, doc), contexts in zip(numbered, self.contexts(documents, lm, template), strict=True):
            doc["rendering"] = "/".join(sorted({rendered.mode for rendered in contexts}))
            asked = self.requests(doc, contexts)
            self._instances += [
                Instance(kind, doc, arguments, idx, (self.config.task, doc_id, 1))
                for idx, (kind, arguments) in enumerate(asked)
            ]

    def process_results(self, doc: Document, results: Sequence[Any]) -> dict[str, Pair]:
        """Score one document, of a generated reply its response alone; a filler is unscored whatever came back."""
        if doc.get(FILLER):
            return dict.fromkeys(self.METRICS, pair(None))
        if doc.get("thinks") and results and isinstance(results[0], str):
            limit = int(self.config.generation_kwargs["max_gen_toks"])
            turns = analysis.turns_of(branches_of(doc), results) if self.thinks_first else results
            results = analysis.responses(doc, turns, self._lm, limit)
        return self.score_results(doc, results)

    @abstractmethod
    def score_results(self, doc: Document, results: Sequence[Any]) -> dict[str, Pair]:
        """Score one document by what the model answered to its requests."""

    def prepare(self, documents: list[Document], lm: Any, chat_template: ChatTemplate | None) -> None:
        """Do what must be done with the model before requests are made; nothing by default."""

    def contexts(self, documents: list[Document], lm: Any, chat_template: ChatTemplate | None) -> list[list[Rendered]]:
        """Render what the model reads in each branch of each document, cut to its context window.

        A system that thinks does so in all of them at once; the branches get their `analysis`.

        Raises:
            PersbenchError: The model must think, and cannot be reached.
        """
        plain = [[self.fit(doc, found, lm, chat_template) for found in branches_of(doc)] for doc in documents]
        if not self.thinks_first:
            return plain
        if lm is None:
            raise PersbenchError(
                f"{self.task_name} asks the model for its analysis, and reaches it through the chat template alone: "
                "add --apply_chat_template, or use `persbench run`."
            )
        found = iter(analysis.analyses(list(chain.from_iterable(plain)), lm, chat_template))
        for doc in documents:
            for branch in branches_of(doc):
                branch["analysis"] = next(found)
        pairs = [zip(row, branches_of(doc), strict=True) for row, doc in zip(plain, documents, strict=True)]
        return [[analysis.prefilled(rendered, branch["analysis"]) for rendered, branch in row] for row in pairs]

    def fit(self, doc: Document, found: Document, lm: Any, chat_template: ChatTemplate | None) -> Rendered:
        """Render a branch; pieces that the system can do without are left out where the model has no room for them.

        Raises:
            PersbenchError: There is no room even without them: the model would cut the persona off, and answer.
        """
        # What a system retrieves follows from the question, not from options that stand under it.
        pack, turns = self.documents.pack, doc.get("turns") or user(found.get("question") or found["ask"])

        def compose(less: int) -> list[Message]:
            if not less:
                return list(found["messages"])
            situation = Situation(pack, pack.persona(doc["persona"]), pack.stage(found.get("stage") or doc["stage"]))
            return [*self.system.messages(situation, turns, less)[:-1], found["messages"][-1]]

        room = self.room(doc, lm)
        held = fitted(compose, lm, chat_template, room)
        if held is None:
            least = tokens_of(lm, render(found["messages"], chat_template)) + room
            raise PersbenchError(
                f"{self.task_name}, document {doc['id']}: what {self.system.name} reads and says takes {least} tokens, "
                f"and the model has {window(lm)}: it would cut the persona off. Take a model with a longer context "
                "(max_length= among its arguments, where it can have more), shorten the persona's sheet or this item, "
                "or leave the task out."
            )
        if held.less:
            found["messages"], doc["left_out"] = held.messages, max(held.less, doc.get("left_out", 0))
        return held.rendered

    def room(self, doc: Document, lm: Any) -> int:  # noqa: ARG002 - one signature for all
        """Return how many tokens must be free after a context: those of a reply, and of an analysis before it."""
        return int(self.generation_settings["max_gen_toks"]) + (analysis.LONGEST if self.thinks_first else 0)

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
