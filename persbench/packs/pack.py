"""A loaded pack: plain frozen containers of validated rows, with look-ups by name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from persbench.errors import PersbenchError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from persbench.packs.instrument import Statement
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
        Stage,
        StageItem,
        Stylized,
        TrainDialogue,
        TraitStatement,
        World,
    )
    from persbench.packs.texts import PackModel

_WORLD_TABLES: Final = {
    "questions": "questions",
    "dialogues": "cross_turn",
    "pressure": "pressure",
    "traits": "traits",
    "general": "general",
    "scenarios": "scenarios",
}
_PERSONA_TABLES: Final = {
    "materials": "materials",
    "answers": "answers",
    "contrast": "contrast",
    "knowledge": "knowledge",
    "induction": "induction",
    "stages": "stage_items",
    "train": "train",
    "matched": "matched",
    "stylized": "stylized",
}


@dataclass(frozen=True)
class Origin:
    """Where a row stands: file (from the pack's folder) and 1-based line."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, eq=False)
class PersonaData:
    """A persona with all its rows, in the order of its files; a file that is not there is an empty tuple.

    `answers`, `contrast`, `knowledge`, `induction`, `stage_items`, and in `persona` the trait targets and
    `cannot_know`, are test only: they never enter a prompt or a training file.
    """

    persona: Persona
    materials: tuple[Material, ...]
    answers: tuple[Answer, ...]
    contrast: tuple[Contrast, ...]
    knowledge: tuple[Knowledge, ...]
    induction: tuple[Induction, ...]
    stage_items: tuple[StageItem, ...]
    train: tuple[TrainDialogue, ...]
    matched: tuple[Matched, ...]
    stylized: tuple[Stylized, ...]

    @cached_property
    def _answers(self) -> dict[tuple[str, str], Answer]:
        return {(row.question, row.stage): row for row in self.answers}

    @cached_property
    def _materials(self) -> dict[str, Material]:
        return {row.id: row for row in self.materials}

    def answer(self, question_id: str, stage_id: str) -> Answer | None:
        """Return the persona's answer to a shared question at a stage, or None if it has none."""
        return self._answers.get((question_id, stage_id))

    def material(self, material_id: str) -> Material:
        """Return a material by its id.

        Raises:
            UnknownNameError: The persona has no such material.
        """
        try:
            return self._materials[material_id]
        except KeyError:
            raise UnknownNameError("material", material_id, list(self._materials)) from None


@dataclass(frozen=True, eq=False)
class Pack:
    """A valid world with its personas.

    Attributes:
        path: The folder it was read from.
        hash: SHA-256 in hex over every data file but scenarios.jsonl (see `persbench.packs.load`).
        world: Setting and stages.
        questions: Shared opinion questions.
        cross_turn: Scripts of dialogues.jsonl.
        pressure: Scripts of pressure.jsonl.
        traits: Statements of traits.jsonl.
        general: Dialogues of general.jsonl.
        scenarios: Talks between two personas, of scenarios.jsonl.
        personas: Sorted by id.
        lines: File name to the lines of its rows, in the order of the rows (see `where`).
    """

    path: Path
    hash: str
    world: World
    questions: tuple[Question, ...]
    cross_turn: tuple[CrossTurnScript, ...]
    pressure: tuple[PressureScript, ...]
    traits: tuple[TraitStatement, ...] | tuple[Statement, ...]
    general: tuple[GeneralDialogue, ...]
    scenarios: tuple[Scenario, ...]
    personas: tuple[PersonaData, ...]
    lines: Mapping[str, tuple[int, ...]]

    @cached_property
    def _questions(self) -> dict[str, Question]:
        return {row.id: row for row in self.questions}

    def persona(self, persona_id: str) -> PersonaData:
        """Return a persona by its id.

        Raises:
            UnknownNameError: The pack has no such persona.
        """
        for data in self.personas:
            if data.persona.id == persona_id:
                return data
        raise UnknownNameError("persona", persona_id, [data.persona.id for data in self.personas])

    def question(self, question_id: str) -> Question:
        """Return a shared question by its id.

        Raises:
            UnknownNameError: The pack has no such question.
        """
        try:
            return self._questions[question_id]
        except KeyError:
            raise UnknownNameError("question", question_id, list(self._questions)) from None

    def stage(self, stage_id: str) -> Stage:
        """Return a stage by its id.

        Raises:
            UnknownNameError: The world has no such stage.
        """
        for stage in self.world.stages:
            if stage.id == stage_id:
                return stage
        raise UnknownNameError("stage", stage_id, [stage.id for stage in self.world.stages])

    def has(self, stem: str) -> bool:
        """Return whether the pack, or any persona of it, has rows in the file of that stem (such as "contrast").

        Raises:
            UnknownNameError: No file of a pack is called so.
        """
        if stem in _WORLD_TABLES:
            return bool(getattr(self, _WORLD_TABLES[stem]))
        if stem in _PERSONA_TABLES:
            return any(getattr(data, _PERSONA_TABLES[stem]) for data in self.personas)
        raise UnknownNameError("file of a pack", stem, [*_WORLD_TABLES, *_PERSONA_TABLES])

    def where(self, row: PackModel) -> Origin:
        """Return where a row of this pack stands, for messages about it.

        Args:
            row: The very object that the pack holds, not a copy.

        Raises:
            PersbenchError: The row is not of this pack.
        """
        tables = [(f"{stem}.jsonl", getattr(self, name)) for stem, name in _WORLD_TABLES.items()]
        for data in self.personas:
            folder = f"personas/{data.persona.id}"
            tables += [(f"{folder}/{stem}.jsonl", getattr(data, name)) for stem, name in _PERSONA_TABLES.items()]
        for file, rows in tables:
            for i, candidate in enumerate(rows):
                if candidate is row:
                    return Origin(file, self.lines[file][i])
        raise PersbenchError(f"this {type(row).__name__} is not a row of the pack {self.world.id!r}")
