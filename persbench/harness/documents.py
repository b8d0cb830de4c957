"""From a pack to lm-eval documents: one function a task, named in its YAML as `custom_dataset`.

lm-eval passes `--metadata` (pack, persona, system, ...) to these functions by keyword. Each returns one split, `test`,
of plain dicts that hold all a request and its scoring need, so that a logged sample can be scored again by itself.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from persbench.errors import PersbenchError, UnknownNameError
from persbench.packs.load import Pack, PersonaData, load_pack, resolve_pack
from persbench.systems.base import Situation, System
from persbench.systems.prompted import get_system, persona_sheet

if TYPE_CHECKING:
    from persbench.models.chat import Message
    from persbench.packs.schema import Stage

Document = dict[str, Any]
ORDER_SEED: Final = "persbench-order-1"
ALL_PERSONAS: Final = "*"


class Documents(list[Document]):
    """A split as lm-eval wants it: a list that knows its columns, and here also its pack."""

    def __init__(self, rows: Iterable[Document], pack: Pack) -> None:
        super().__init__(rows)
        self.pack = pack

    @property
    def features(self) -> dict[str, None]:
        """Column names, as `datasets.Dataset` offers them."""
        return dict.fromkeys(self[0]) if self else {}


Builder = Callable[[Situation, System], Iterator[Document]]


def _split(task: str) -> Callable[..., dict[str, Documents]]:
    """Make the `custom_dataset` function of a task."""

    def custom_dataset(
        pack: str | None = None,
        persona: str | None = None,
        system: str = "prompt",
        **_metadata: object,
    ) -> dict[str, Documents]:
        loaded = load_pack(resolve_pack(pack))
        chosen = get_system(system)
        personas = _personas(loaded, persona)
        rows = [row for data in personas for row in documents_of(task, loaded, data, chosen)]
        if not rows:
            raise PersbenchError(
                f"{task}: pack {loaded.world.id!r} has no {BUILDERS[task][1]} for {persona}. "
                "Leave this task out, or add the file (see reference_personas/WRITING.md)."
            )
        return {"test": Documents(stratified(rows), loaded)}

    return custom_dataset


def _personas(pack: Pack, persona: str | None) -> Sequence[PersonaData]:
    if persona is None:
        known = ", ".join(p.persona.id for p in pack.personas)
        raise PersbenchError(
            f'no persona named: add --metadata \'{{"persona": "ID", "system": "prompt"}}\' with one of {known}, '
            f'or "{ALL_PERSONAS}" for all'
        )
    return pack.personas if persona == ALL_PERSONAS else [pack.persona(persona)]


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
        strata[row["persona"], row["stage"], row["kind"]].append(row)
    for stratum in strata.values():
        stratum.sort(key=lambda row: order_key(row["cluster"], row["id"] if row["cluster"] == row["id"] else ""))
    rounds = zip_longest(*(strata[key] for key in sorted(strata)))
    return [row for turn in rounds for row in turn if row is not None]


def _document(situation: Situation, system: System, item: str, cluster: str, ask: str, kind: str) -> Document:
    turns: list[Message] = [{"role": "user", "content": ask}]
    return {
        "id": item,
        "persona": situation.data.persona.id,
        "stage": situation.stage.id,
        "cluster": cluster,
        "kind": kind,
        "system": system.name,
        "pack_hash": situation.pack.hash,
        "ask": ask,
        "messages": system.messages(situation, turns),
    }


def _candidates(
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


def _costume(situation: Situation, system: System) -> Iterator[Document]:
    data, stage = situation.data, situation.stage.id
    for row in data.contrast:
        answer = data.answer(row.question, stage)
        if row.stage != stage or answer is None:
            continue
        question = situation.pack.question(row.question)
        item = f"costume/{data.persona.id}/{stage}/{row.question}"
        document = _document(situation, system, item, row.question, question.text, "costume")
        yield _candidates(
            document,
            [
                ("own", answer.reply, answer.stance),
                ("voice_only", row.voice_only.reply, row.voice_only.stance),
                ("stance_only", row.stance_only.reply, answer.stance),
            ],
            "own",
            content_acc=1 / 2,
            voice_acc=1 / 2,
        )


def _attitude(situation: Situation, system: System) -> Iterator[Document]:
    data, stage = situation.data, situation.stage.id
    for answer in data.answers:
        if answer.stage != stage:
            continue
        question = situation.pack.question(answer.question)
        item = f"attitude/{data.persona.id}/{stage}/{question.id}"
        document = _document(situation, system, item, question.id, question.text, "attitude")
        stances = [(s.id, s.text, s.id) for s in question.stances]
        yield _candidates(document, stances, answer.stance, attitude_acc=1 / len(stances))


def _knowledge(situation: Situation, system: System) -> Iterator[Document]:
    data, stage = situation.data, situation.stage.id
    for row in data.knowledge:
        if row.stage != stage:
            continue
        item = f"knowledge/{row.id}"
        document = _document(situation, system, item, item, row.question, "knowledge")
        foils = [(f"foil{i}", text, None) for i, text in enumerate(row.foils, start=1)]
        yield _candidates(document, [("gold", row.gold, None), *foils], "gold", knowledge_acc=1 / (1 + len(foils)))


def shared_answers(pack: Pack, question: str) -> list[tuple[str, str, str]]:
    """Return every persona-stage's answer to a shared question as (label `persona/stage`, reply, stance)."""
    return [
        (f"{data.persona.id}/{stage.id}", answer.reply, answer.stance)
        for data in pack.personas
        for stage in stages_of(pack, data)
        if (answer := data.answer(question, stage.id)) is not None
    ]


def _who_said(situation: Situation, system: System) -> Iterator[Document]:
    for document, golds in _answered(situation, system, "who_said"):
        mine = sum(label.split("/")[0] == document["persona"] for label, _, _ in golds)
        if mine < len(golds):
            label = f"{document['persona']}/{document['stage']}"
            yield _candidates(document, golds, label, persona_acc=mine / len(golds), stage_acc=1 / mine)


def _reply(situation: Situation, system: System) -> Iterator[Document]:
    for document, golds in _answered(situation, system, "reply"):
        nearest = {f"{name}_nearest": 1 / len(golds) for name in ("bleu", "rouge_l", "chrf", "cosine")}
        authors = len({label.split("/")[0] for label, _, _ in golds})
        label = f"{document['persona']}/{document['stage']}"
        yield _candidates(document, golds, label, **nearest, authorship_acc=1 / authors)


def _answered(situation: Situation, system: System, kind: str) -> Iterator[tuple[Document, list[tuple[str, str, str]]]]:
    """Yield a document for each shared question this persona-stage answers, with everybody's answers to it."""
    data, stage = situation.data, situation.stage.id
    for answer in data.answers:
        if answer.stage == stage:
            question = situation.pack.question(answer.question)
            item = f"{kind}/{data.persona.id}/{stage}/{question.id}"
            yield (
                _document(situation, system, item, question.id, question.text, kind),
                shared_answers(situation.pack, question.id),
            )


def stance_holders(pack: Pack, question: str) -> Counter[str]:
    """Count how many persona-stages of the pack hold each stance of a question."""
    return Counter(stance for _, _, stance in shared_answers(pack, question))


def profile_text(pack: Pack, document: Document) -> str:
    """Return the persona sheet of a document, whatever its system: what a profile-overlap floor reads."""
    situation = Situation(pack, pack.persona(document["persona"]), pack.stage(document["stage"]))
    return persona_sheet(situation)


BUILDERS: Final[dict[str, tuple[Builder, str]]] = {
    "persbench_costume": (_costume, "contrast items"),
    "persbench_attitude": (_attitude, "answers to shared questions"),
    "persbench_knowledge": (_knowledge, "knowledge items"),
    "persbench_who_said": (_who_said, "shared answers of two personas"),
    "persbench_reply": (_reply, "answers to shared questions"),
}


def documents_of(task: str, pack: Pack, data: PersonaData, system: System) -> Documents:
    """Return a task's documents for one persona, in their stratified order; empty where the pack lacks them.

    Raises:
        UnknownNameError: No such task.
    """
    if task not in BUILDERS:
        raise UnknownNameError("task", task, sorted(BUILDERS))
    build, _ = BUILDERS[task]
    rows = [row for stage in stages_of(pack, data) for row in build(Situation(pack, data, stage), system)]
    return Documents(stratified(rows), pack)


costume = _split("persbench_costume")
attitude = _split("persbench_attitude")
knowledge = _split("persbench_knowledge")
who_said = _split("persbench_who_said")
reply = _split("persbench_reply")
