"""What readers of the test items are asked, and what they are told beforehand (`readers.py` says what for).

A system meets each item alone, and a reader a whole sheet, from which much can be gathered of a person (what `stages`
shows is true of it, what the shared questions have in common is its view). So sheets for readers who are told little
are mixed: of each person a sixth, and never two items of one shared question. Blind readers are not asked for
attitudes: all personas have the same four to choose from, and no text could give one away.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from persbench.harness.documents import documents_of
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack
from persbench.provenance import digest
from persbench.records import write_atomic
from persbench.systems.base import Situation
from persbench.systems.prompted import persona_sheet
from persbench.systems.registry import get_system

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from persbench.harness.documents.base import Document
    from persbench.packs.pack import Pack, PersonaData
    from persbench.packs.schema import Persona

READINGS: Final = ("blind", "profile", "dialogues", "everything")
WHOLE: Final = ("whole-blind", "whole-everything")  # a sheet a person: how it was tried first
LETTERS: Final = "ABCD"
FAMILIES: Final = {
    "knowledge": "Which answer is true of this person?",
    "stages": "Both were said by this person, fifteen years apart. Which is the earlier?",
    "induction": "One of these says something that is not so at that time, and this person would not go along with it. "
    "Which?",
    "content": "Two answers in this person's voice. Which says what this person thinks at that time?",
    "attitude": "Which of these does this person hold at that time?",
}
"""Family -> what is asked, in the order of the sheet."""
MIXED: Final = 6  # sheets


@dataclass(frozen=True)
class Question:
    """One item as a reader is asked it.

    Attributes:
        item: Its id in the task.
        persona: Id of whom it is about.
        name: Of that persona.
        family: Of the sheet.
        cluster: By which intervals are drawn: the shared question where there is one, else the item.
        asked: When, and what was asked.
        options: In the order of their letters.
        right: Index of the right one.
    """

    item: str
    persona: str
    name: str
    family: str
    cluster: str
    asked: str
    options: tuple[str, ...]
    right: int


def sheets_of(pack: Pack, way: str) -> dict[str, list[Question]]:
    """Return the questions of each sheet by its name: a persona's, or a number where sheets are mixed.

    A family stands after the other, in an order drawn by hash.
    """
    sheets: dict[str, list[Question]] = defaultdict(list)
    for family in FAMILIES:
        if (way, family) == ("blind", "attitude"):
            continue
        for data in pack.personas:
            task = f"persbench_{'costume' if family == 'content' else family}"
            rows = documents_of(task, pack, data, get_system("prompt"))
            asked = [_question(family, pack, row, data.persona) for row in rows]
            for index, one in enumerate(sorted(asked, key=lambda one: digest(["order", one.item]))):
                sheets[data.persona.id if way in WHOLE else _mixed(pack, one, index)].append(one)
    if way not in WHOLE:
        for found in sheets.values():
            found.sort(key=lambda one: (list(FAMILIES).index(one.family), digest(["order", one.item])))
    return dict(sorted(sheets.items()))


def _mixed(pack: Pack, one: Question, index: int) -> str:
    """Return the mixed sheet of a persona's item: those of one shared question stand in different ones."""
    shared = [question.id for question in pack.questions]
    if one.cluster in shared:
        later = one.item.split("/")[2] != pack.world.stages[0].id
        index = shared.index(one.cluster) + (one.family == "attitude") + MIXED // 2 * later
    return str(index % MIXED + 1)


def _question(family: str, pack: Pack, row: Document, persona: Persona) -> Question:
    texts, own = dict(zip(row["labels"], row["candidates"], strict=True)), row["labels"][row["own"]]
    asked = f"{pack.stage(row['stage']).date}: {row['ask']}" if family != "stages" else row["ask"]
    if family == "induction":
        texts, own = {branch["label"]: branch["ask"] for branch in row["branches"]}, "induced"
        asked = pack.stage(row["stage"]).date
    elif family == "stages":
        own = pack.world.stages[0].id
    elif family == "content":
        texts = {label: texts[label] for label in ("own", "voice_only")}
    drawn = sorted(texts, key=lambda label: digest([row["id"], label]))
    options = tuple(texts[label] for label in drawn)
    return Question(row["id"], persona.id, persona.name, family, row["cluster"], asked, options, drawn.index(own))


def sheet(pack: Pack, questions: Sequence[Question], way: str) -> str:
    """Return what a reader is to answer, numbered; nothing in it tells which is right."""
    parts, family = [f"# Questions\n\npack: {pack.hash}\n"], ""
    for index, one in enumerate(questions, start=1):
        if one.family != family:
            family = one.family
            parts.append(f"\n## {family}: {FAMILIES[family]}\n")
        options = "\n".join(f"{letter}. {text}" for letter, text in zip(LETTERS, one.options, strict=False))
        whose = "" if way == "blind" else f"{one.name}, "
        parts.append(f"\n{index}. {whose}{one.asked}\n{options}\n")
    return "".join(parts)


def reading(pack: Pack, personas: Sequence[PersonaData], way: str) -> str:
    """Return what a reader knows of some personas; nothing at all for `blind`."""
    parts, dates = list[str](), {stage.id: stage.date for stage in pack.world.stages}
    for data in () if way == "blind" else personas:
        parts.append(f"# {data.persona.name}")
        if way != "dialogues":
            parts += [persona_sheet(Situation(pack, data, stage)) for stage in pack.world.stages]
        if way == "everything":
            parts += ["## From this person's life", *(f"({dates[row.stage]}) {row.text}" for row in data.materials)]
        if way != "profile":
            parts.append("## Talks: what was asked, (what the person thought,) what the person said")
            parts += [f"({dates[row.stage]}) {row.prompt}\n({row.analysis})\n{row.response}" for row in data.train]
    return "\n\n".join(parts) + "\n" if parts else ""


def write_pack(out: Path) -> None:
    """Write for every way of reading and every sheet `reading.md` and `questions.md`."""
    pack = load_pack(resolve_pack(None))
    for way in READINGS:
        for name, questions in sheets_of(pack, way).items():
            folder = out / way / name
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(folder / "questions.md", sheet(pack, questions, way).encode())
            if text := reading(pack, pack.personas, way):
                write_atomic(folder / "reading.md", text.encode())
