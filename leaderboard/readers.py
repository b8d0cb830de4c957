"""Can the test items be answered at all? A reader far abler than the measured models is asked them.

    python leaderboard/readers.py pack runs/readers    # what to read and what to answer, a folder a reader
    python leaderboard/readers.py table                # from the answers in leaderboard/readers/

A system that stands at chance may be unable, or the items may be: what a persona holds has to follow from what the
systems are given of it, and from nothing else. So each item is asked three times, of readers who do not see each
other's answers:

    blind       the question and its candidates alone: above chance there is a cue in the texts
    profile     what `prompt` has in its system message, at both stages
    everything  that, all materials, and every dialogue that a trained system learns from, with its analysis

A system meets each item alone, and a reader a whole sheet, from which much can be gathered of a person (what `stages`
shows is true of it, what the shared questions have in common is its view). So sheets for readers who are told little
are mixed: of each person a sixth, and never two items of one shared question. Blind readers are not asked for
attitudes: all personas have the same four to choose from, and no text could give one away.

Items, candidates and what is right are those of the tasks; sides are drawn by a hash of their own. An item of
induction is asked as its headline scores it (which of the two prompts is the one to contradict), one of stages as which
of its two replies is the earlier. Nothing is chosen by the answers, and no item was changed for them.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from persbench.errors import PersbenchError
from persbench.harness.documents import documents_of
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack
from persbench.provenance import digest
from persbench.records import write_atomic
from persbench.report.table import ends, number
from persbench.scoring.stats import Interval, cluster_interval
from persbench.systems.base import Situation
from persbench.systems.prompted import persona_sheet
from persbench.systems.registry import get_system

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.harness.documents.base import Document
    from persbench.packs.pack import Pack, PersonaData
    from persbench.packs.schema import Persona

HERE: Final = Path(__file__).parent / "readers"
READINGS: Final = ("blind", "profile", "everything")
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
CHANCE: Final = {"knowledge": 0.25, "stages": 0.5, "induction": 0.5, "content": 0.5, "attitude": 0.25}


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
                sheets[data.persona.id if way == "everything" else _mixed(pack, one, index)].append(one)
    if way != "everything":
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
        whose = f"{one.name}, " if way == "profile" else ""
        parts.append(f"\n{index}. {whose}{one.asked}\n{options}\n")
    return "".join(parts)


def reading(pack: Pack, personas: Sequence[PersonaData], way: str) -> str:
    """Return what a reader knows of some personas; nothing at all for `blind`."""
    if way == "blind":
        return ""
    parts, dates = list[str](), {stage.id: stage.date for stage in pack.world.stages}
    for data in personas:
        parts.append("# At each of two times of life")
        parts += [persona_sheet(Situation(pack, data, stage)) for stage in pack.world.stages]
        if way == "everything":
            parts += ["# From this person's life", *(f"({dates[row.stage]}) {row.text}" for row in data.materials)]
            parts.append("# Talks: what was asked, (what the person thought,) what the person said")
            parts += [f"({dates[row.stage]}) {row.prompt}\n({row.analysis})\n{row.response}" for row in data.train]
    return "\n\n".join(parts) + "\n"


def write_pack(out: Path) -> None:
    """Write for every way of reading and every sheet `reading.md` and `questions.md`."""
    pack = load_pack(resolve_pack(None))
    for way in READINGS:
        for name, questions in sheets_of(pack, way).items():
            folder = out / way / name
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(folder / "questions.md", sheet(pack, questions, way).encode())
            told = [data for data in pack.personas if way != "everything" or data.persona.id == name]
            if text := reading(pack, told, way):
                write_atomic(folder / "reading.md", text.encode())


def answers_of(file: Path, pack: Pack, questions: Sequence[Question]) -> list[int | None]:
    """Read a reader's answers: the pack's hash, then a number and a letter a line, `-` where there is no answer.

    Raises:
        PersbenchError: The answers are about another pack, or lines and questions do not match; all faults.
    """
    first, *lines = file.read_text("utf-8").split("\n")
    if first != f"pack: {pack.hash}":
        raise PersbenchError(f"{file}:1: answers to {first!r}, and the pack is {pack.hash}: have them answered anew.")
    found, faults = dict[int, int | None](), list[str]()
    for at, line in enumerate(lines, start=2):
        match = re.fullmatch(r"(\d+) ([A-D-])", line.strip())
        asked = questions[int(match[1]) - 1] if match and 1 <= int(match[1]) <= len(questions) else None
        letter = LETTERS.find(match[2]) if match else -1
        if match and asked and letter < len(asked.options) and int(match[1]) not in found:
            found[int(match[1])] = letter if letter >= 0 else None
        elif line.strip():
            faults.append(f"{file}:{at}: {line.strip()!r} answers no open question")
    faults += [f"{file}: {index} is not answered" for index in range(1, len(questions) + 1) if index not in found]
    if faults:
        raise PersbenchError("; ".join(faults))
    return [found[index] for index in range(1, len(questions) + 1)]


class Readers:
    """Scores of readers: `score("everything", "content")`.

    Args:
        folder: `READING/SHEET.txt` for each that was read.

    Raises:
        PersbenchError: A file of answers does not fit.
    """

    def __init__(self, folder: Path = HERE) -> None:
        pack = load_pack(resolve_pack(None))
        self._scored: dict[tuple[str, str], list[tuple[Question, float | None]]] = defaultdict(list)
        for way in READINGS:
            for name, questions in sheets_of(pack, way).items():
                if (file := folder / way / f"{name}.txt").exists():
                    for one, answer in zip(questions, answers_of(file, pack, questions), strict=True):
                        value = None if answer is None else float(answer == one.right)
                        self._scored[way, one.family].append((one, value))

    def interval(self, way: str, family: str, persona: str | None = None) -> Interval:
        """Return the share of right answers, over all personas or of one."""
        rows = [(one, value) for one, value in self._scored[way, family] if persona in (None, one.persona)]
        return cluster_interval([value for _, value in rows], [one.cluster for one, _ in rows])

    def score(self, way: str, family: str) -> str:
        """Return the share of right answers with its interval, as the board writes it."""
        found = self.interval(way, family)
        return f"{number(found.mean)} {ends(found)}"

    def table(self) -> str:
        """Return all scores as Markdown, and content and attitude by persona."""
        families = list(FAMILIES)
        lines = [f"| read | {' | '.join(families)} |", f"|---|{'---:|' * len(families)}"]
        lines.append(f"| chance | {' | '.join(number(CHANCE[family]) for family in families)} |")
        for way in READINGS:
            scores = (f"**{score}**{rest}" for score, _, rest in (self.score(way, f).partition(" ") for f in families))
            counted = (self.interval(way, family) for family in families)
            cells = (f"{score}<br>n {found.n}{_unscored(found)}" for score, found in zip(scores, counted, strict=True))
            lines.append(f"| {way} | {' | '.join(cells)} |")
        personas = sorted({one.persona for rows in self._scored.values() for one, _ in rows})
        lines += ["", f"| content, by persona | {' | '.join(personas)} |", f"|---|{'---:|' * len(personas)}"]
        for way in READINGS:
            found = (number(self.interval(way, "content", persona).mean) for persona in personas)
            lines.append(f"| {way} | {' | '.join(found)} |")
        return "\n".join(lines)


def _unscored(found: Interval) -> str:
    return f" (+{found.unscored})" if found.unscored else ""


def main() -> None:
    """Write what is to be read and answered, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("pack").add_argument("folder", type=Path)
    commands.add_parser("table").add_argument("folder", type=Path, nargs="?", default=HERE)
    wanted = parser.parse_args()
    try:
        if wanted.what == "pack":
            write_pack(wanted.folder)
            print(f"next: have {wanted.folder}/READING/SHEET answered into leaderboard/readers/READING/SHEET.txt")
        else:
            print(Readers(wanted.folder).table())
    except PersbenchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
