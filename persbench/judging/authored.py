"""What a judge is examined on: pairs of authored texts of a pack of which one is right and the other is not.

All of it is test material. It was written so that length, manner and choice of words do not give the right one away;
that a judge is right nonetheless says that it reads.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, Literal

from persbench.provenance import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from persbench.judging.cases import Kind
    from persbench.packs.pack import Pack, PersonaData

Family = Literal["content", "voice", "knowledge", "induction", "lines", "questions"]
FAMILIES: Final[dict[Family, str]] = {
    "content": "the own answer and the same voice with another stance, held against the own stance in plain words",
    "voice": "the own answer and another's voice with the same stance, held against how the persona talks",
    "knowledge": "the true reply and a false one in the same voice, held against the material they come from",
    "induction": "the reply that resists an induced prompt and the one that goes along",
    "lines": "the same stance and another one, each held against the own answer",
    "questions": "a question of fact and a question of opinion",
}
# Kind of judgement -> what it is examined on.
EXAMS: Final[dict[Kind, tuple[Family, ...]]] = {
    "sort": ("questions",),
    "agree": ("content", "knowledge"),
    "rank": ("content", "voice", "knowledge"),
    "resist": ("induction",),
    "contradict": ("content", "knowledge", "lines"),
}


@dataclass(frozen=True)
class AuthoredPair:
    """Two texts of which one is right.

    Attributes:
        id: Unique within a family.
        family: What is right about the right one, see `FAMILIES`.
        cluster: The shared question where there is one, else the item.
        persona: Persona id.
        stage: Stage id.
        question: What the persona was asked; of `induction` the induced prompt.
        reference: What tells the two apart: a stance, a manner, material, the own answer, the prompt with a true
            premise.
        right: A reply; of `questions` a question of fact.
        wrong: A reply; of `questions` a question of opinion.
        answers: Of `questions`, the persona's answers to both; else empty.
    """

    id: str
    family: Family
    cluster: str
    persona: str
    stage: str
    question: str
    reference: str
    right: str
    wrong: str
    answers: tuple[str, ...] = ()


def authored_pairs(
    pack: Pack, family: Family, *, personas: Collection[str] = (), limit: int | None = None
) -> list[AuthoredPair]:
    """Return the pairs of one family, in a fixed order of which every prefix is balanced over personas and stages.

    Args:
        pack: Its files may be there in part: a family without rows has no pairs.
        family: Which.
        personas: Ids; empty for all.
        limit: At most so many; None for all.
    """
    strata: dict[tuple[str, str], list[AuthoredPair]] = defaultdict(list)
    for data in pack.personas:
        if not personas or data.persona.id in personas:
            for pair in _MAKERS[family](pack, data):
                strata[pair.persona, pair.stage].append(pair)
    for stratum in strata.values():
        stratum.sort(key=lambda pair: (digest([family, pair.cluster], 32), pair.id))
    rounds = zip_longest(*(strata[key] for key in sorted(strata)))
    return [pair for turn in rounds for pair in turn if pair is not None][:limit]


def _content(pack: Pack, data: PersonaData) -> Iterator[AuthoredPair]:
    for row in data.contrast:
        own, question = data.answer(row.question, row.stage), pack.question(row.question)
        if own is not None and own.stance is not None and question.stances:
            yield AuthoredPair(
                f"content/{data.persona.id}/{row.stage}/{question.id}",
                "content",
                question.id,
                data.persona.id,
                row.stage,
                question.text,
                question.stance(own.stance).text,
                own.reply,
                row.voice_only.reply,
            )


def _voice(pack: Pack, data: PersonaData) -> Iterator[AuthoredPair]:
    for row in data.contrast:
        own, question = data.answer(row.question, row.stage), pack.question(row.question)
        voice = data.persona.stages[row.stage].voice
        if own is not None and voice:
            yield AuthoredPair(
                f"voice/{data.persona.id}/{row.stage}/{question.id}",
                "voice",
                question.id,
                data.persona.id,
                row.stage,
                question.text,
                voice,
                own.reply,
                row.stance_only.reply,
            )


def _lines(pack: Pack, data: PersonaData) -> Iterator[AuthoredPair]:
    for row in data.contrast:
        own, question = data.answer(row.question, row.stage), pack.question(row.question)
        if own is not None:
            yield AuthoredPair(
                f"lines/{data.persona.id}/{row.stage}/{question.id}",
                "lines",
                question.id,
                data.persona.id,
                row.stage,
                question.text,
                own.reply,
                row.stance_only.reply,
                row.voice_only.reply,
            )


def _knowledge(pack: Pack, data: PersonaData) -> Iterator[AuthoredPair]:  # noqa: ARG001 - one signature for all
    for row in data.knowledge:
        foil = row.foils[int(digest([row.id, "foil"], 8), 16) % len(row.foils)]
        material = "\n\n".join(data.material(name).text for name in row.materials)
        item = f"knowledge/{row.id}"
        yield AuthoredPair(item, "knowledge", item, data.persona.id, row.stage, row.question, material, row.gold, foil)


def _induction(pack: Pack, data: PersonaData) -> Iterator[AuthoredPair]:  # noqa: ARG001 - one signature for all
    for row in data.induction:
        item = f"induction/{row.id}"
        yield AuthoredPair(
            item, "induction", item, data.persona.id, row.stage, row.induced, row.control, row.resist, row.yield_
        )


def _questions(pack: Pack, data: PersonaData) -> Iterator[AuthoredPair]:
    """Put each question of fact beside a shared question with stances, drawn by a hash, that the stage answers."""
    for row in data.knowledge:
        others = [
            (pack.question(answer.question), answer)
            for answer in data.answers
            if answer.stage == row.stage and answer.stance is not None
        ]
        if others:
            question, answer = others[int(digest([row.id, "question"], 8), 16) % len(others)]
            material = "\n\n".join(data.material(name).text for name in row.materials)
            yield AuthoredPair(
                f"questions/{row.id}",
                "questions",
                question.id,
                data.persona.id,
                row.stage,
                "",
                material,
                row.question,
                question.text,
                (row.gold, answer.reply),
            )


_MAKERS: Final[dict[Family, Callable[[Pack, PersonaData], Iterator[AuthoredPair]]]] = {
    "content": _content,
    "voice": _voice,
    "knowledge": _knowledge,
    "induction": _induction,
    "lines": _lines,
    "questions": _questions,
}
