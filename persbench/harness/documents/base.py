"""What every document is made of: its bookkeeping, its messages, its shuffled candidates, its place in the order."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from persbench.models.chat import Message
    from persbench.packs.pack import Pack, PersonaData
    from persbench.packs.schema import Stage
    from persbench.systems.base import Situation, System

Document = dict[str, Any]
ORDER_SEED: Final = "persbench-order-1"


class Documents(list[Document]):
    """A split as lm-eval wants it: a list that knows its columns, and here also its pack and its system."""

    def __init__(self, rows: Iterable[Document], pack: Pack, system: System) -> None:
        super().__init__(rows)
        self.pack, self.system = pack, system

    @property
    def features(self) -> dict[str, None]:
        """Column names, as `datasets.Dataset` offers them."""
        return dict.fromkeys(self[0]) if self else {}


def stages_of(pack: Pack, data: PersonaData) -> list[Stage]:
    """Return the stages this persona lives through, in the world's order."""
    return [stage for stage in pack.world.stages if stage.id in data.persona.stages]


def order_key(*parts: str) -> str:
    """Return a fixed pseudo-random sort key: the same on every machine, for every run."""
    return hashlib.sha256("\x1f".join((ORDER_SEED, *parts)).encode()).hexdigest()


def stratified(rows: Iterable[Document]) -> list[Document]:
    """Interleave documents so that every prefix is balanced over persona, stage and kind.

    Within a stratum documents are ordered by a hash of their cluster (the shared question where there is one), so that
    equal prefixes of two personas hold the same questions.

    Args:
        rows: Documents with `persona`, `stage`, `kind` and `cluster`.
    """
    strata: dict[tuple[str, str, str], list[Document]] = defaultdict(list)
    for row in rows:
        strata[row["kind"], row["persona"], row["stage"]].append(row)
    for stratum in strata.values():
        stratum.sort(key=lambda row: order_key(row["cluster"], row["id"] if row["cluster"] == row["id"] else ""))
    rounds = zip_longest(*(strata[key] for key in sorted(strata)))
    return [row for turn in rounds for row in turn if row is not None]


def document_of(situation: Situation, system: System, item: str, cluster: str, ask: str, kind: str) -> Document:
    """Begin a document: who is asked, when, what, and where the item belongs.

    Args:
        situation: Persona and stage.
        system: Writes the messages.
        item: Id, unique in the task.
        cluster: The shared question where there is one, else the item.
        ask: The user's turn.
        kind: Stratum within persona and stage.
    """
    return {
        "id": item,
        "persona": situation.data.persona.id,
        "stage": situation.stage.id,
        "cluster": cluster,
        "kind": kind,
        "system": system.name,
        "thinks": system.analysis,
        "pack_hash": situation.pack.hash,
        "ask": ask,
        "messages": system.messages(situation, user(ask)),
    }


def user(ask: str) -> list[Message]:
    """Return a conversation that is one turn of the user's."""
    return [{"role": "user", "content": ask}]


def branch(label: str, ask: str, messages: list[Message]) -> Document:
    """Return one of several contexts in which a document's candidates are scored."""
    return {"label": label, "ask": ask, "messages": messages, "anchors": None}


def branches_of(document: Document) -> list[Document]:
    """Return the contexts in which a document's candidates are scored: itself, where it has one alone."""
    branches: list[Document] | None = document.get("branches")
    return [document] if branches is None else branches


def with_candidates(
    document: Document, candidates: Sequence[tuple[str, str, str | None]], own: str, **chance: float
) -> Document:
    """Add candidates in a fixed shuffled order.

    Args:
        document: The document so far.
        candidates: Rows (label, text, stance or None).
        own: The label of the right one.
        chance: What a blind guess scores, by metric.
    """
    shuffled = sorted(candidates, key=lambda c: order_key(document["id"], c[0]))
    document["labels"] = [label for label, _, _ in shuffled]
    document["candidates"] = [text for _, text, _ in shuffled]
    document["stances"] = [stance for _, _, stance in shuffled]
    document["own"] = document["labels"].index(own)
    document["anchors"] = None
    document["chance"] = dict(chance)
    return document
