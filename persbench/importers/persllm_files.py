"""The files of PersLLM's annotation: whose they are, of which stage, pattern and split, and their items one by one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from persbench.importers.reading import read_rows, text_lines
from persbench.importers.writer import Origin
from persbench.packs.schema import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from persbench.errors import Fault
    from persbench.importers.findings import Findings
    from persbench.importers.source import Source
    from persbench.packs.schema import MaterialKind, Pattern

Kind = Literal["materials", "annotation", "dialogues", "general", "preferences"]
QUESTION: Final = "[question]"
STAGES: Final = ("early", "middle", "late")
PATTERNS: Final[dict[str, Pattern]] = {
    "ordinary": "question", "question": "question", "thought": "opinion", "opinion": "opinion",
    "error": "induced", "induced": "induced", "induction": "induced",
}  # fmt: skip
MATERIALS: Final[dict[str, MaterialKind]] = {
    "knowledge": "knowledge", "experience": "experience", "style": "speech", "speech": "speech",
}  # fmt: skip
NUMERALS: Final = ("I", "II", "III")
LINES: Final = 5  # of an item, without the empty one
PREFERENCE_LINES: Final = 3
HEAD: Final = 5  # rows of a .json file that are looked at, to tell what it is
GENERAL: Final = frozenset({"general", "ultrachat", "alpaca"})
_TOKENS: Final = re.compile(r"[^a-z0-9]+")
TIME_LABEL: Final = re.compile(r"<TIME-[IVX]+>")
_LABEL: Final = re.compile(r"\A【[^】]*】\s*")


@dataclass(frozen=True)
class AnnotationFile:
    """A file of the annotation.

    Attributes:
        name: From the source's folder.
        kind: What its items are.
        persona: The persona's name; empty for general dialogues.
        stage: Id of the stage that its name tells, or None.
        pattern: The pattern that its name tells, or None.
        test: Whether it is of the test split; None if it says neither train nor test.
        material: The kind of its paragraphs, where they are materials.
    """

    name: str
    kind: Kind
    persona: str
    stage: str | None
    pattern: Pattern | None
    test: bool | None
    material: MaterialKind = "knowledge"


class Item(NamedTuple):
    """An item of six lines: source unit, question, response, and the materials that were retrieved for it."""

    origin: Origin
    number: int
    unit: str
    question: str
    response: str
    objective: str
    speech: str


class Preference(NamedTuple):
    """An item of four lines."""

    origin: Origin
    number: int
    question: str
    chosen: str
    rejected: str


def annotation_file(source: Source, name: str, stages: Sequence[str], owner: str) -> AnnotationFile | None:
    """Tell what a file is by its name and its first lines.

    Args:
        source: The source.
        name: Of the file.
        stages: Ids of stages that a name may hold.
        owner: The persona of files that lie in no folder of their own.

    Returns:
        The file, or None where it is none of the annotation's.
    """
    path = PurePosixPath(name)
    tokens = [token for token in _TOKENS.split(path.stem.lower()) if token]
    kind = _kind(source, name, tokens)
    if kind is None:
        return None
    folder = path.parts[-2] if len(path.parts) > 1 else ""
    if folder.endswith("_dedup"):
        folder = folder.removesuffix("_dedup")
    split = {"test": True, "train": False}
    return AnnotationFile(
        name=name,
        kind=kind,
        persona="" if kind == "general" else folder or owner,
        stage=next((stage for token in tokens for stage in stages if token == stage.lower()), None),
        pattern=next((PATTERNS[token] for token in tokens if token in PATTERNS), None),
        test=next((split[token] for token in tokens if token in split), None),
        material=next((MATERIALS[token] for token in tokens if token in MATERIALS), "knowledge"),
    )


def _kind(source: Source, name: str, tokens: Sequence[str]) -> Kind | None:
    suffix = PurePosixPath(name).suffix.lower()
    if suffix == ".jsonl" or (suffix == ".json" and _has_dialogues(source, name)):
        return "general" if GENERAL & set(tokens) else "dialogues"
    if suffix != ".txt":
        return None
    faults: list[Fault] = []
    head = [line for _, line in islice(text_lines(source.files[name], name, faults), 3)]
    if head and head[0].startswith(QUESTION):
        return "preferences"
    if len(head) > 1 and head[1].startswith(QUESTION):
        return "annotation"
    # A file that cannot be read is taken for what its name says, so that the reader tells what is wrong with it.
    if MATERIALS.keys() & set(tokens):
        return "materials"
    return "annotation" if faults else None


def _has_dialogues(source: Source, name: str) -> bool:
    """Whether a file that may hold any JSON begins with dialogues: beside them lie descriptions and settings."""
    return any("data" in row for _, row in islice(read_rows(source.files[name], name, []), HEAD))


def items(lines: Iterable[tuple[int, str]], file: str, findings: Findings) -> Iterator[Item]:
    """Yield the items of an annotation file; what does not keep to its six lines is dropped."""
    for number, (line, block, last) in enumerate(_blocks(lines, before=1), start=1):
        origin = Origin(file, line)
        # The sixth line is empty, and only the last item of a file may lack it.
        whole = len(block) > LINES or (len(block) == LINES and last and block[-1].strip())
        if not whole or block[0].startswith(QUESTION) or any(text.strip() for text in block[LINES:]):
            findings.drop("item that does not keep to its six lines", str(origin), number)
        else:
            yield Item(origin, number, block[0], _asked(block[1]), block[2], block[3], block[4])


def preferences(lines: Iterable[tuple[int, str]], file: str, findings: Findings) -> Iterator[Preference]:
    """Yield the items of a preference file; what does not keep to its four lines is dropped."""
    for number, (line, block, _) in enumerate(_blocks(lines, before=0), start=1):
        origin = Origin(file, line)
        if len(block) < PREFERENCE_LINES or any(text.strip() for text in block[PREFERENCE_LINES:]):
            findings.drop("preference that does not keep to its four lines", str(origin), number)
        else:
            yield Preference(origin, number, _asked(block[0]), block[1], block[2])


def _blocks(lines: Iterable[tuple[int, str]], before: int) -> Iterator[tuple[int, list[str], bool]]:
    """Cut lines into blocks that each begin `before` (0 or 1) lines ahead of a question.

    Yields:
        (the question's line number, the block, whether it is the last); never more than ten lines, however long the
        file.
    """
    most = 10
    block: list[str] = []
    asked: int | None = None
    for number, line in lines:
        if line.startswith(QUESTION):
            head = block[len(block) - before :] if before else []
            if asked is not None:
                yield asked, block[: len(block) - before], False
            block, asked = [*head, line], number
        elif asked is None:
            block = [line]
        elif len(block) < most:
            block.append(line)
        elif before:
            block[-1] = line  # the last one may be the next item's first
    if asked is not None:
        yield asked, block, True


def _asked(line: str) -> str:
    return line.removeprefix(QUESTION).strip()


def unlabelled(text: str) -> str:
    """Return a paragraph of material without the label of its source, 【...】, at the head."""
    return _LABEL.sub("", text.strip())


def labelled(turn: str, stages: Sequence[Stage]) -> tuple[str | None, str]:
    """Return the stage whose label a turn begins with, and what follows; of labels that begin alike the longest."""
    text = turn.strip()
    for one in sorted(stages, key=lambda stage: -len(stage.temporal_label)):
        if text.startswith(one.temporal_label):
            return one.id, text.removeprefix(one.temporal_label).strip()
    return None, text


def told_stages(files: Sequence[AnnotationFile]) -> tuple[Stage, ...]:
    """Return the stages that names of files tell, in the order of a life; one where they tell none."""
    told = {file.stage for file in files if file.stage in STAGES}
    if not told:
        return (Stage(id="story", temporal_label="<TIME-I>", year=1, date="the time of the story"),)
    return tuple(
        Stage(id=stage, temporal_label=f"<TIME-{NUMERALS[i]}>", year=i + 1, date=f"the {stage} years")
        for i, stage in enumerate(STAGES)  # a label means the same stage whichever of them are there
        if stage in told
    )


def one_version(source: Source, files: Sequence[AnnotationFile]) -> list[AnnotationFile]:
    """Leave an annotation file aside whose split into train and test is there: it holds the test items too."""
    split = {(f.persona, f.stage, f.pattern) for f in files if f.kind == "annotation" and f.test is not None}
    kept = []
    for file in files:
        if file.kind == "annotation" and file.test is None and (file.persona, file.stage, file.pattern) in split:
            source.aside(file.name, "its split into train and test is taken instead")
        else:
            kept.append(file)
    return kept
