"""What a folder holds of a pack, sound or not: every file read once, each broken row a fault, no cross-checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Generic, TypeVar

from persbench.errors import Fault
from persbench.jsonl import read_objects
from persbench.packs.complaints import did_you_mean, one_of, quoted, validated
from persbench.packs.scenario import Scenario
from persbench.packs.schema import (
    Answer,
    Contrast,
    CrossTurnScript,
    GeneralDialogue,
    Induction,
    Knowledge,
    Matched,
    Material,
    Persona,
    PressureScript,
    Question,
    StageItem,
    Stylized,
    TrainDialogue,
    TraitStatement,
    World,
)
from persbench.packs.texts import PackModel, is_id
from persbench.packs.yaml_file import Document, read_yaml

R = TypeVar("R", bound=PackModel)

WORLD_FILES: Final = (
    "world.yaml",
    "questions.jsonl",
    "dialogues.jsonl",
    "pressure.jsonl",
    "traits.jsonl",
    "general.jsonl",
    "scenarios.jsonl",
)
PERSONA_FILES: Final = (
    "persona.yaml",
    "materials.jsonl",
    "answers.jsonl",
    "contrast.jsonl",
    "knowledge.jsonl",
    "induction.jsonl",
    "stages.jsonl",
    "train.jsonl",
    "matched.jsonl",
    "stylized.jsonl",
)
_DATA_SUFFIXES = frozenset({".jsonl", ".yaml", ".yml", ".json"})


@dataclass
class Table(Generic[R]):
    """The rows of one JSON-lines file.

    Attributes:
        file: Name from the pack's folder.
        present: Whether the file is there.
        rows: (line, row) of the sound rows.
        broken: (line, object) of the rows that break the schema: what refers to their ids is not dangling.
        complete: False if some line could not be parsed, so that nobody can say which ids it held.
    """

    file: str
    present: bool = False
    rows: list[tuple[int, R]] = field(default_factory=list)
    broken: list[tuple[int, dict[str, object]]] = field(default_factory=list)
    complete: bool = True

    def ids(self) -> list[tuple[int, str]]:
        """Return (line, id) of all rows that have an id, sound or broken, in the order of the file."""
        sound = [(line, getattr(row, "id", None)) for line, row in self.rows]
        found = sound + [(line, row.get("id")) for line, row in self.broken]
        return sorted((line, str(i)) for line, i in found if is_id(i))


@dataclass
class PersonaDraft:
    """A persona's folder. `id` is the folder's name, `persona` None if persona.yaml is not sound."""

    id: str
    file: str
    document: Document | None
    persona: Persona | None
    materials: Table[Material]
    answers: Table[Answer]
    contrast: Table[Contrast]
    knowledge: Table[Knowledge]
    induction: Table[Induction]
    stage_items: Table[StageItem]
    train: Table[TrainDialogue]
    matched: Table[Matched]
    stylized: Table[Stylized]


@dataclass
class PackDraft:
    """A pack's folder. `world` is None if world.yaml is not sound; `files` holds the files that count."""

    path: Path
    files: dict[str, Path]
    document: Document | None
    world: World | None
    questions: Table[Question]
    cross_turn: Table[CrossTurnScript]
    pressure: Table[PressureScript]
    traits: Table[TraitStatement]
    general: Table[GeneralDialogue]
    scenarios: Table[Scenario]
    personas: list[PersonaDraft]


class _Reader:
    """Reads the files of one pack and gathers their faults."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        self.files: dict[str, Path] = {}

    def entries(self, folder: Path, shown: str) -> dict[str, Path]:
        """List a folder by name, without what editors and systems hide in it."""
        try:
            return {p.name: p for p in sorted(folder.iterdir()) if not p.name.startswith(".")}
        except OSError as error:
            self.faults.append(Fault(shown, None, f"folder cannot be read: {error.strerror or error}"))
            return {}

    def known_files(self, folder: Path, prefix: str, known: tuple[str, ...]) -> dict[str, Path]:
        """List the data files of a folder, and complain of names that no file of a pack has."""
        found = self.entries(folder, prefix.rstrip("/") or ".")
        for name in found:
            if name not in known and Path(name).suffix.lower() in _DATA_SUFFIXES:
                message = f"unknown file name{did_you_mean(name, known)}"
                expected = one_of(known)
                if name in (*WORLD_FILES, *PERSONA_FILES):
                    message = "file in the wrong folder"
                    expected = name if name in WORLD_FILES else f"personas/<id>/{name}"
                self.faults.append(Fault(prefix + _printable(name), None, message, expected))
        return {name: path for name, path in found.items() if name in known}

    def table(self, found: dict[str, Path], prefix: str, stem: str, model: type[R]) -> Table[R]:
        """Read one JSON-lines file; an absent one is an empty table."""
        name = f"{stem}.jsonl"
        table: Table[R] = Table(prefix + name)
        if name not in found:
            return table
        table.present = True
        self.files[table.file] = found[name]
        unparsed: list[Fault] = []
        for line, row in read_objects(found[name], table.file, unparsed):
            sound = validated(model, row, table.file, self.faults, lambda _, line=line: line)  # type: ignore[misc]
            if sound is None:
                table.broken.append((line, row))
            else:
                table.rows.append((line, sound))
        table.complete = not unparsed
        self.faults += unparsed
        return table

    def document(self, folder: Path, prefix: str, name: str, model: type[R]) -> tuple[Document | None, R | None]:
        """Read one YAML file that every pack must have."""
        self.files[prefix + name] = folder / name
        document = read_yaml(folder / name, prefix + name, self.faults)
        if document is None:
            return None, None
        return document, validated(model, document.data, prefix + name, self.faults, document.line)

    def persona(self, folder: Path) -> PersonaDraft:
        """Read one persona's folder."""
        prefix = f"personas/{_printable(folder.name)}/"
        found = self.known_files(folder, prefix, PERSONA_FILES)
        document, persona = self.document(folder, prefix, "persona.yaml", Persona)
        return PersonaDraft(
            id=folder.name,
            file=prefix + "persona.yaml",
            document=document,
            persona=persona,
            materials=self.table(found, prefix, "materials", Material),
            answers=self.table(found, prefix, "answers", Answer),
            contrast=self.table(found, prefix, "contrast", Contrast),
            knowledge=self.table(found, prefix, "knowledge", Knowledge),
            induction=self.table(found, prefix, "induction", Induction),
            stage_items=self.table(found, prefix, "stages", StageItem),
            train=self.table(found, prefix, "train", TrainDialogue),
            matched=self.table(found, prefix, "matched", Matched),
            stylized=self.table(found, prefix, "stylized", Stylized),
        )

    def personas(self, path: Path) -> list[PersonaDraft]:
        """Read every folder of personas/."""
        home = path / "personas"
        if not _is_folder(home):
            missing = (
                "not a folder that can be read" if "personas" in (p.name for p in path.iterdir()) else "missing folder"
            )
            self.faults.append(Fault("personas", None, missing, "personas/<id>/persona.yaml"))
            return []
        drafts = []
        for name, entry in self.entries(home, "personas").items():
            if _is_folder(entry):
                drafts.append(self.persona(entry))
            elif entry.suffix not in {".md", ".txt"}:
                shown = f"personas/{_printable(name)}"
                self.faults.append(Fault(shown, None, "not a folder that can be read", "one folder for each persona"))
        if not drafts:
            self.faults.append(Fault("personas", None, "no persona", "at least one personas/<id>/persona.yaml"))
        return drafts


def read_draft(path: Path, faults: list[Fault]) -> PackDraft | None:
    """Read all files of a pack.

    Args:
        path: The pack's folder.
        faults: Grows by every fault of a file or row; references between rows are not looked at.

    Returns:
        What could be read, or None if there is no such folder.
    """
    if not _is_folder(path):
        faults.append(Fault(str(path), None, "no such folder", "the folder of a pack, with world.yaml in it"))
        return None
    reader = _Reader(faults)
    found = reader.known_files(path, "", WORLD_FILES)
    document, world = reader.document(path, "", "world.yaml", World)
    return PackDraft(
        path=path,
        document=document,
        world=world,
        questions=reader.table(found, "", "questions", Question),
        cross_turn=reader.table(found, "", "dialogues", CrossTurnScript),
        pressure=reader.table(found, "", "pressure", PressureScript),
        traits=reader.table(found, "", "traits", TraitStatement),
        general=reader.table(found, "", "general", GeneralDialogue),
        scenarios=reader.table(found, "", "scenarios", Scenario),
        personas=reader.personas(path),
        files=reader.files,
    )


def _is_folder(path: Path) -> bool:
    """Return whether a path leads to a folder; a path that cannot be followed leads to none."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _printable(name: str) -> str:
    """Return a file name as it can be shown on any terminal."""
    return name if name.isprintable() else quoted(name.encode(errors="surrogateescape").decode(errors="replace"))
