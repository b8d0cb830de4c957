"""Can the test items be answered at all? A reader far abler than the measured models is asked them.

    python leaderboard/readers.py pack runs/readers    # what to read and what to answer, a folder a reader
    python leaderboard/readers.py table                # from the answers in leaderboard/readers/

A system that stands at chance may be unable, or the items may be: what a persona holds has to follow from what the
systems are given of it, and from nothing else. So each item is asked four times, of readers who do not see each
other's answers:

    blind       the question and its candidates alone: above chance there is a cue in the texts
    profile     what `prompt` has in its system message, at both stages
    dialogues   every dialogue that a trained system learns from, with its analysis, and nothing else
    everything  both, and all materials

Items, candidates and what is right are those of the tasks; sides are drawn by a hash of their own. An item of
induction is asked as its headline scores it (which of the two prompts is the one to contradict), one of stages as which
of its two replies is the earlier. Nothing is chosen by the answers, and no item was changed for them.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sheets import FAMILIES, LETTERS, READINGS, WHOLE, Question, sheets_of, write_pack

from persbench.errors import PersbenchError
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack
from persbench.report.paper.wording import difference_text
from persbench.report.table import ends, number
from persbench.scoring.stats import Interval, cluster_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.packs.pack import Pack

STEPS: Final = (
    ("profile", "blind"),
    ("dialogues", "blind"),
    ("everything", "profile"),
    ("everything", "dialogues"),
    ("whole-everything", "everything"),
)
HERE: Final = Path(__file__).parent / "readers"
CHANCE: Final = {"knowledge": 0.25, "stages": 0.5, "induction": 0.5, "content": 0.5, "attitude": 0.25}


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
        self._folder = folder
        self._scored: dict[tuple[str, str], list[tuple[Question, float | None]]] = defaultdict(list)
        for way in (*READINGS, *WHOLE):
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

    def step(self, way: str, other: str, family: str) -> str:
        """Return by how much more often one way of reading is right than another, paired by item."""
        mine, theirs = ({one.item: (one, value) for one, value in self._scored[each, family]} for each in (way, other))
        gaps, clusters = list[float | None](), list[str]()
        for item in mine.keys() & theirs.keys():
            (one, value), (_, base) = mine[item], theirs[item]
            gaps.append(None if value is None or base is None else value - base)
            clusters.append(one.cluster)
        found = cluster_interval(gaps, clusters)
        return "-" if found.mean is None else difference_text(found, "signed")

    def steps(self) -> str:
        """Return as Markdown what each way of reading adds to another."""
        lines = [f"| read | minus | {' | '.join(FAMILIES)} |", f"|---|---|{'---:|' * len(FAMILIES)}"]
        for way, other in STEPS:
            cells = " | ".join(self.step(way, other, family) for family in FAMILIES)
            lines.append(f"| {way} | {other} | {cells} |")
        return "\n".join(lines)

    def table(self) -> str:
        """Return all scores as Markdown, and content by persona."""
        families = list(FAMILIES)
        lines = [f"| read | {' | '.join(families)} |", f"|---|{'---:|' * len(families)}"]
        lines.append(f"| chance | {' | '.join(number(CHANCE[family]) for family in families)} |")
        for way in (*READINGS, *WHOLE):
            scores = (f"**{score}** {rest}" for score, _, rest in (self.score(way, f).partition(" ") for f in families))
            counted = (self.interval(way, family) for family in families)
            cells = (f"{score}<br>n {found.n}{_unscored(found)}" for score, found in zip(scores, counted, strict=True))
            lines.append(f"| {way} | {' | '.join(cells)} |")
        personas = sorted({one.persona for rows in self._scored.values() for one, _ in rows})
        lines += ["", f"| content, by persona | {' | '.join(personas)} |", f"|---|{'---:|' * len(personas)}"]
        for way in READINGS:
            found = (number(self.interval(way, "content", persona).mean) for persona in personas)
            lines.append(f"| {way} | {' | '.join(found)} |")
        return "\n".join(lines)

    def apart(self) -> str:
        """Return as Markdown how often blind readers take the own answer, by how its foil was written.

        `apart.jsonl` has foils for some items that were composed by who had not seen the own answer, and whether each
        of two blind readers took the own one; the others are the blind answers above, on the same items.
        """
        rows = [json.loads(line) for line in (self._folder / "apart.jsonl").read_text("utf-8").splitlines()]
        items = {row["item"]: row["own_taken"] for row in rows}
        made = [(one, value) for one, value in self._scored["blind", "content"] if one.item in items]
        read = [(one, float(taken)) for one, _ in made for taken in items[one.item]]
        lines = ["| foil | own answer taken, blind | items | readings |", "|---|---:|---:|---:|"]
        for name, found in (("made from the own answer (the test set)", made), ("composed apart", read)):
            share = cluster_interval([value for _, value in found], [one.cluster for one, _ in found])
            lines.append(f"| {name} | **{number(share.mean)}** {ends(share)} | {len(made)} | {len(found)} |")
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
            readers = Readers(wanted.folder)
            print(readers.table(), "", readers.steps(), sep="\n")
            if (wanted.folder / "apart.jsonl").exists():
                print("", readers.apart(), sep="\n")
    except PersbenchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
