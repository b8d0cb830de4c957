"""`_gen` twins: the same items for endpoints without log-likelihoods, as lettered options in two orders.

The answer is parsed strictly; what cannot be read as one letter is unscored, never wrong. A choice then counts through
the very functions that score likelihoods, with 1 for the chosen candidate and 0 for the others.
"""

from __future__ import annotations

import re
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any, ClassVar

from persbench.errors import PersbenchError
from persbench.harness.choice_tasks import (
    AttitudeTask,
    CostumeTask,
    InductionTask,
    KnowledgeTask,
    StagesTask,
    TraitsTask,
    WhoSaidTask,
)
from persbench.harness.choosing import ChoiceTask, Scores
from persbench.harness.dialogue_tasks import ConsistencyTask, PressureTask
from persbench.harness.documents.base import branches_of, order_key
from persbench.harness.tasks import Asked, Pair, PersonaTask, pair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.harness.documents.base import Document
    from persbench.harness.rendering import ChatTemplate, Rendered

ASK = "{ask}\n\nWhich of these is your answer? Reply with its letter alone.\n{options}"
_LETTER = re.compile(
    r"\s*(?i:\**(?:my |the )?(?:answer|option|choice)(?: is)?:?\**\s*)?"
    r"[(\[*'\"]*([A-Z])(?:[)\]]|[.:](?=\s|$)|\*+|['\"](?=\s|$)|\s*$)"
)
# A second letter, right behind the first or as an option of its own: then nothing was chosen.
_SECOND = re.compile(r"^\W*(?:or|and)\W+([A-Z])\b|^[*/,&]*([A-Z])(?=\*|\)|$)|^\W*([A-Z])\W*$|(?<!\w)([A-Z])[)\]]")
ORDERS = 2


def letter_of(reply: str, options: int) -> int | None:
    """Read one letter off a reply.

    Args:
        reply: "B", "(B)", "B) I would ...", "Answer: B".
        options: How many letters there are.

    Returns:
        Index of the option; None for anything else, such as "A man of my age" or "A or B".
    """
    found = _LETTER.match(reply)
    if found is None:
        return None
    index = ascii_uppercase.index(found[1])
    named = {letter for match in _SECOND.findall(reply[found.end() :]) for letter in match if letter}
    rivals = [letter for letter in named - {found[1]} if ascii_uppercase.index(letter) < options]
    return index if index < options and not rivals else None


class TwinTask(ChoiceTask):
    """A choice task asked for letters; a twin names it before the task it is the twin of.

    Of a system that thinks the letter is read off the response.
    """

    def room(self, doc: Document, lm: Any) -> int:
        """Return the tokens of a reply."""
        return PersonaTask.room(self, doc, lm)

    def prepare(self, documents: list[Document], lm: Any, chat_template: ChatTemplate | None) -> None:
        """Play live dialogues where the items have them; there are no anchors for a letter."""
        self.unfold(documents, lm, chat_template)
        for doc in documents:
            put_letters(doc)

    def requests(self, doc: Document, contexts: list[Rendered]) -> list[Asked]:  # noqa: ARG002 - one signature for all
        """Ask for a letter in every branch and order."""
        return [("generate_until", (c.context, self.generation_settings)) for c in contexts]

    def score_results(self, doc: Document, results: Sequence[Any]) -> dict[str, Pair]:
        """Score each order by itself; a metric is the mean over both, None if either is unscored."""
        width = len(doc["candidates"])
        chosen = [letter_of(str(reply), width) for reply in results]
        doc["chosen"] = [None if i is None else doc["orders"][n % ORDERS][i] for n, i in enumerate(chosen)]
        by_order = []
        for order in range(ORDERS):
            part = doc | {"branches": doc["branches"][order::ORDERS]}
            by_order.append(self.score_branches(part, [one_hot(i, width) for i in doc["chosen"][order::ORDERS]]))
        return {name: _both([scores[name] for scores in by_order]) for name in self.METRICS}


def put_letters(doc: Document) -> None:
    """Make two branches of each branch of a document: its candidates under letters, in one order and in the other."""
    width = len(doc["candidates"])
    first = sorted(range(width), key=lambda i: order_key(doc["id"], doc["candidates"][i], "twin"))
    doc["orders"] = [first, first[::-1]]
    doc["branches"] = [
        branch
        | {
            "ask": ask,
            "question": branch["ask"],
            "messages": [*branch["messages"][:-1], {"role": "user", "content": ask}],
        }
        for branch in branches_of(doc)
        for order in doc["orders"]
        if (ask := lettered(branch["ask"], [doc["candidates"][i] for i in order]))
    ]


def lettered(ask: str, options: Sequence[str]) -> str:
    """Write a question with its options under letters.

    Raises:
        PersbenchError: There are more options than letters.
    """
    if len(options) > len(ascii_uppercase):
        raise PersbenchError(
            f"{len(options)} options and {len(ascii_uppercase)} letters: use the likelihood task, not its twin"
        )
    lines = "\n".join(f"{letter}) {text}" for letter, text in zip(ascii_uppercase, options, strict=False))
    return ASK.format(ask=ask, options=lines)


def one_hot(chosen: int | None, width: int) -> Scores:
    """Return 1 for the chosen candidate and 0 for the others; all None where none could be read."""
    return [None] * width if chosen is None else [float(i == chosen) for i in range(width)]


def _both(values: list[float | None]) -> Pair:
    scored = [value for value in values if value is not None]
    return pair(sum(scored) / len(scored) if len(scored) == len(values) else None)


def _metrics(task: type[ChoiceTask], *without: str) -> dict[str, bool]:
    """Return a task's metrics that a letter can give: no raw twin, no margin, no gap in nats."""
    return {n: up for n, up in task.METRICS.items() if not n.endswith(("_raw", "_margin")) and n not in without}


class CostumeTwin(TwinTask, CostumeTask):
    """Own answer, its rivals, as letters."""

    # Of three options one is chosen: a duel with a rival is decided only where one of the two was taken.
    METRICS: ClassVar[dict[str, bool]] = _metrics(CostumeTask)


class AttitudeTwin(TwinTask, AttitudeTask):
    """The four stances as letters."""

    METRICS: ClassVar[dict[str, bool]] = _metrics(AttitudeTask)


class KnowledgeTwin(TwinTask, KnowledgeTask):
    """Gold and foils as letters."""

    METRICS: ClassVar[dict[str, bool]] = _metrics(KnowledgeTask)


class WhoSaidTwin(TwinTask, WhoSaidTask):
    """Everybody's answers as letters."""

    METRICS: ClassVar[dict[str, bool]] = _metrics(WhoSaidTask)


class InductionTwin(TwinTask, InductionTask):
    """The four replies as letters, under both prompts."""

    METRICS: ClassVar[dict[str, bool]] = _metrics(InductionTask)


class StagesTwin(TwinTask, StagesTask):
    """Early and late reply as letters, at both stages."""

    METRICS: ClassVar[dict[str, bool]] = _metrics(StagesTask)


class TraitsTwin(TwinTask, TraitsTask):
    """The five options as letters."""

    METRICS: ClassVar[dict[str, bool]] = _metrics(TraitsTask)


class PressureTwin(TwinTask, PressureTask):
    """Stance probes as letters, in live dialogue under pressure."""

    METRICS: ClassVar[dict[str, bool]] = _metrics(PressureTask)


class ConsistencyTwin(TwinTask, ConsistencyTask):
    """Stance probes as letters, in live small talk."""

    METRICS: ClassVar[dict[str, bool]] = _metrics(ConsistencyTask, "drift")
