"""References between the rows of a pack: what each row names must be there, and must fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from persbench.errors import Fault
from persbench.packs.complaints import one_of, quoted, unknown_name
from persbench.packs.texts import folded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from persbench.packs.draft import PackDraft, PersonaDraft, Table
    from persbench.packs.schema import Answer, Contrast


@dataclass(frozen=True)
class Known:
    """What rows may refer to.

    Attributes:
        stages: Stage id to position, or None if world.yaml cannot tell.
        personas: Names of the persona folders.
        questions: Question id to its stance ids, empty for a question without stances; None if its row is broken.
        questions_present: Whether there is a questions.jsonl.
        questions_complete: False if a line of it cannot be parsed: then no question id can be called unknown.
    """

    stages: Mapping[str, int] | None
    personas: Sequence[str]
    questions: Mapping[str, tuple[str, ...] | None]
    questions_present: bool
    questions_complete: bool

    @classmethod
    def of(cls, draft: PackDraft) -> Known:
        """Gather it from what could be read."""
        questions: dict[str, tuple[str, ...] | None] = {question_id: None for _, question_id in draft.questions.ids()}
        questions.update({row.id: tuple(s.id for s in row.stances) for _, row in draft.questions.rows})
        return cls(
            stages=None if draft.world is None else {stage.id: i for i, stage in enumerate(draft.world.stages)},
            personas=[persona.id for persona in draft.personas],
            questions=questions,
            questions_present=draft.questions.present,
            questions_complete=draft.questions.complete,
        )

    def question(self, file: str, line: int, name: str) -> Iterator[Fault]:
        """Complain of a question that is not there."""
        if name in self.questions or not self.questions_complete:
            return
        if self.questions_present:
            yield Fault(file, line, *unknown_name("question", name, list(self.questions)))
        else:
            yield Fault(file, line, f"unknown question {quoted(name)}: the pack has no questions.jsonl")

    def stance(self, file: str, line: int, question: str, name: str | None, role: str = "stance") -> Iterator[Fault]:
        """Complain of a stance that its question does not have, or of none where it has some."""
        stances = self.questions.get(question)
        if stances is None or name in stances or (name is None and not stances):
            return
        if name is None:
            yield Fault(file, line, f'missing key "{role}"', one_of(stances))
        elif not stances:
            yield Fault(file, line, f"{role} {quoted(name)} of question {quoted(question)}, which has no stances")
        else:
            yield Fault(file, line, *unknown_name(f"{role} of question {quoted(question)}:", name, stances))

    def positions(self, file: str, line: int, question: str) -> Iterator[Fault]:
        """Complain of a question without stances, where positions are what a file is about."""
        if self.questions.get(question) == ():
            yield Fault(file, line, f"question {quoted(question)} has no stances", "a question with stances")


def world_references(draft: PackDraft, known: Known) -> Iterator[Fault]:
    """Find what the world's own files refer to in vain.

    Args:
        draft: The pack as read.
        known: What there is.

    Yields:
        A fault for each unknown question or stance, and for each second script with the same question and target.
    """
    for line, script in draft.cross_turn.rows:
        yield from known.question(draft.cross_turn.file, line, script.question)
        yield from known.positions(draft.cross_turn.file, line, script.question)
    first: dict[tuple[str, str | None], int] = {}
    file = draft.pressure.file
    for line, pressure in draft.pressure.rows:
        yield from known.question(file, line, pressure.question)
        if pressure.target is not None:
            yield from known.stance(file, line, pressure.question, pressure.target, "target")
        else:
            yield from known.positions(file, line, pressure.question)
        earlier = first.setdefault((pressure.question, pressure.target), line)
        if earlier != line:
            target = "the neutral one" if pressure.target is None else f"target {quoted(pressure.target)}"
            yield Fault(file, line, f"second script for {pressure.question} and {target} (first at line {earlier})")


def persona_references(draft: PersonaDraft, known: Known) -> Iterator[Fault]:
    """Find what the rows of one persona refer to in vain.

    Args:
        draft: The persona's folder as read.
        known: What there is.

    Yields:
        A fault for each unknown or unfitting stage, question, stance, persona and material.
    """
    tables: tuple[Table[Any], ...] = (
        draft.materials,
        draft.answers,
        draft.contrast,
        draft.knowledge,
        draft.induction,
        draft.train,
    )
    for table in tables:
        for line, row in table.rows:
            yield from _stage(draft, known, table.file, line, row.stage)
    for line, item in draft.stage_items.rows:
        for stage in item.replies:
            yield from _stage(draft, known, draft.stage_items.file, line, stage)
    yield from _answers(draft, known)
    yield from _contrast(draft, known)
    yield from _matched(draft)
    yield from _materials(draft, known)


def _stage(draft: PersonaDraft, known: Known, file: str, line: int, stage: str) -> Iterator[Fault]:
    if known.stages is not None and stage not in known.stages:
        yield Fault(file, line, *unknown_name("stage", stage, list(known.stages)))
    elif draft.persona is not None and stage not in draft.persona.stages:
        own = one_of(draft.persona.stages)
        yield Fault(file, line, f"persona {quoted(draft.id)} has no stage {quoted(stage)} in its persona.yaml", own)


def _answers(draft: PersonaDraft, known: Known) -> Iterator[Fault]:
    for line, row in draft.answers.rows:
        yield from known.question(draft.answers.file, line, row.question)
        yield from known.stance(draft.answers.file, line, row.question, row.stance)
    yield from _twice(draft.answers)


def _contrast(draft: PersonaDraft, known: Known) -> Iterator[Fault]:
    file = draft.contrast.file
    own = {(row.question, row.stage): row for _, row in draft.answers.rows}
    # An answer whose own row is broken is there all the same: its fault has been told already.
    told = {(row.get("question"), row.get("stage")) for _, row in draft.answers.broken if _has_key(row)}
    for line, row in draft.contrast.rows:
        yield from known.question(file, line, row.question)
        yield from known.stance(file, line, row.question, row.voice_only.stance, "voice_only.stance")
        if row.stance_only.voice == draft.id:
            others = [name for name in known.personas if name != draft.id]
            yield Fault(file, line, "stance_only.voice is the persona itself", one_of(others))
        elif row.stance_only.voice not in known.personas:
            yield Fault(file, line, *unknown_name("persona", row.stance_only.voice, known.personas))
        answer = own.get((row.question, row.stage))
        if answer is not None:
            yield from _foils(file, line, row, answer)
        elif draft.answers.complete and (row.question, row.stage) not in told:
            message = f"no own answer to {quoted(row.question)} at stage {quoted(row.stage)}"
            yield Fault(file, line, message, f"a row for it in {draft.answers.file}")
    yield from _twice(draft.contrast)


def _foils(file: str, line: int, row: Contrast, own: Answer) -> Iterator[Fault]:
    if row.voice_only.stance == own.stance:
        message = f"voice_only.stance {quoted(own.stance)} is the own stance"
        yield Fault(file, line, message, "another stance of the question")
    for name, reply in (("voice_only", row.voice_only.reply), ("stance_only", row.stance_only.reply)):
        if folded(reply) == folded(own.reply):
            yield Fault(file, line, f"{name}.reply is the own answer", "another text")


def _matched(draft: PersonaDraft) -> Iterator[Fault]:
    """Each row answers a train row of the same persona, and no two the same one."""
    listed = [train_id for _, train_id in draft.train.ids()]
    own = {row.id: row.response for _, row in draft.train.rows}
    first: dict[str, int] = {}
    file = draft.matched.file
    for line, row in draft.matched.rows:
        earlier = first.setdefault(row.id, line)
        if earlier != line:
            yield Fault(file, line, f"second row for {quoted(row.id)} (first at line {earlier})")
        if row.id not in listed:
            if not draft.train.present:
                yield Fault(file, line, f"unknown training row {quoted(row.id)}: there is no {draft.train.file}")
            elif draft.train.complete:
                yield Fault(file, line, *unknown_name("training row", row.id, listed))
        elif folded(row.response) == folded(own.get(row.id, "")):
            yield Fault(file, line, f"the response of {quoted(row.id)} in {draft.train.file}", "another text")


def _has_key(row: dict[str, object]) -> bool:
    return isinstance(row.get("question"), str) and isinstance(row.get("stage"), str)


def _twice(table: Table[Answer] | Table[Contrast]) -> Iterator[Fault]:
    first: dict[tuple[str, str], int] = {}
    for line, row in table.rows:
        earlier = first.setdefault((row.question, row.stage), line)
        if earlier != line:
            message = f"second row for question {quoted(row.question)} at stage {quoted(row.stage)}"
            yield Fault(table.file, line, f"{message} (first at line {earlier})")


def _materials(draft: PersonaDraft, known: Known) -> Iterator[Fault]:
    listed = [material_id for _, material_id in draft.materials.ids()]
    stage_of = {row.id: row.stage for _, row in draft.materials.rows}
    order = known.stages or {}
    tables: tuple[Table[Any], ...] = (draft.knowledge, draft.train)
    for table in tables:
        for line, row in table.rows:
            for name in row.materials:
                if name not in listed:
                    if draft.materials.complete:
                        yield from _dangling(draft, table.file, line, name, listed)
                    continue
                stage = stage_of.get(name, "")
                if order.get(stage, -1) > order.get(row.stage, len(order)):
                    message = f"material {quoted(name)} is of stage {quoted(stage)}, later than {quoted(row.stage)}"
                    yield Fault(table.file, line, message, "materials of the item's stage or before")


def _dangling(draft: PersonaDraft, file: str, line: int, name: str, listed: list[str]) -> Iterator[Fault]:
    if draft.materials.present:
        yield Fault(file, line, *unknown_name("material", name, listed))
    else:
        yield Fault(file, line, f"unknown material {quoted(name)}: there is no {draft.materials.file}")
