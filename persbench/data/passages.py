"""Every authored text of a pack as one list, with what an audit must know of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from persbench.packs.pack import Pack

Split = Literal["train", "test", "source"]
Part = Literal["ask", "reply", "note"]


@dataclass(frozen=True)
class Passage:
    """One text of a pack.

    Attributes:
        file: File, from the pack's folder.
        line: 1-based line.
        field: Name of the field it stands in.
        split: `train` may be learnt from, `test` never; `source` is material and profile.
        part: `ask` is put to the persona, `reply` is said by it (or proposed as its reply), `note` is neither.
        persona: Persona id, or empty for the world's own files.
        stage: Stage id, or empty where it belongs to no stage.
        text: The text.
    """

    file: str
    line: int
    field: str
    split: Split
    part: Part
    persona: str
    stage: str
    text: str

    @property
    def row(self) -> tuple[str, int]:
        """The row it stands in: texts of one row may resemble each other."""
        return self.file, self.line


# stem of the file -> (attribute of PersonaData, split, fields put to the persona, fields said by it)
PERSONA_TEXTS: dict[str, tuple[str, Split, tuple[str, ...], tuple[str, ...]]] = {
    "answers": ("answers", "test", (), ("reply",)),
    "contrast": ("contrast", "test", (), ("voice_only.reply", "stance_only.reply")),
    "knowledge": ("knowledge", "test", ("question",), ("gold", "foils")),
    "induction": ("induction", "test", ("induced", "control"), ("resist", "yield_", "affirm", "deny")),
    "stages": ("stage_items", "test", ("question",), ("replies",)),
    "train": ("train", "train", ("prompt",), ("response",)),
    "matched": ("matched", "train", (), ("response",)),
    "stylized": ("stylized", "train", ("instruction",), ("voiced",)),
}
NOTES = {"materials": ("text",), "train": ("analysis",), "stylized": ("plain",)}


def passages(pack: Pack) -> list[Passage]:
    """List every authored text of a pack, in the order of its files."""
    return [*_world(pack), *_scenarios(pack), *_personas(pack)]


def _world(pack: Pack) -> Iterator[Passage]:
    for line, question in _rows(pack, "questions.jsonl", pack.questions):
        for name, texts in (("text", [question.text]), ("paraphrases", question.paraphrases)):
            yield from (Passage("questions.jsonl", line, name, "test", "ask", "", "", text) for text in texts)
        yield from (
            Passage("questions.jsonl", line, "stances", "test", "note", "", "", s.text) for s in question.stances
        )
    for file, scripts in (("dialogues.jsonl", pack.cross_turn), ("pressure.jsonl", pack.pressure)):
        for line, script in _rows(pack, file, scripts):
            yield from (Passage(file, line, "turns", "test", "ask", "", "", turn) for turn in script.turns)
    for line, statement in _rows(pack, "traits.jsonl", pack.traits):
        for name in ("text", "paraphrase"):
            yield Passage("traits.jsonl", line, name, "test", "note", "", "", getattr(statement, name))
    for line, dialogue in _rows(pack, "general.jsonl", pack.general):
        for message in dialogue.messages:
            part: Part = "ask" if message.role == "user" else "reply"
            yield Passage("general.jsonl", line, message.role, dialogue.split, part, "", "", message.content)


def _scenarios(pack: Pack) -> Iterator[Passage]:
    for line, scenario in _rows(pack, "scenarios.jsonl", pack.scenarios):
        for name in ("setting", "aim_a", "aim_b", "opening"):
            yield Passage("scenarios.jsonl", line, name, "test", "note", "", "", getattr(scenario, name))


def _personas(pack: Pack) -> Iterator[Passage]:
    for data in pack.personas:
        persona = data.persona.id
        stages = {row.id: row.stage for row in data.train}  # a matched row is of the stage of the row it answers for
        for stage, sheet in data.persona.stages.items():
            file = f"personas/{persona}/persona.yaml"
            fields = [(name, text) for name in ("profile", "voice") if (text := getattr(sheet, name)) is not None]
            fields += [("relations", text) for text in sheet.relations.values()]
            yield from (Passage(file, 1, name, "source", "note", persona, stage, text) for name, text in fields)
        for stem, attribute in {**{s: v[0] for s, v in PERSONA_TEXTS.items()}, "materials": "materials"}.items():
            file = f"personas/{persona}/{stem}.jsonl"
            for line, row in _rows(pack, file, getattr(data, attribute)):
                yield from _row_texts(file, line, stem, persona, row, stages)


def _row_texts(file: str, line: int, stem: str, persona: str, row: Any, stages: Mapping[str, str]) -> Iterator[Passage]:
    _, split, asks, replies = PERSONA_TEXTS.get(stem, ("", "source", (), ()))
    stage = stages.get(row.id, "") if stem == "matched" else getattr(row, "stage", "")
    parts: list[tuple[Part, tuple[str, ...]]] = [("ask", asks), ("reply", replies), ("note", NOTES.get(stem, ()))]
    for part, fields in parts:
        for field in fields:
            for own_stage, text in _texts(row, field):
                yield Passage(file, line, field, split, part, persona, own_stage or stage, text)


def _texts(row: Any, field: str) -> Iterator[tuple[str, str]]:
    value = row
    for name in field.split("."):
        value = getattr(value, name)
    if isinstance(value, str):
        yield "", value
    elif hasattr(value, "items"):
        yield from value.items()  # replies by stage
    else:
        yield from (("", text) for text in value)


def _rows(pack: Pack, file: str, rows: Iterable[Any]) -> Iterable[tuple[int, Any]]:
    return zip(pack.lines.get(file, ()), rows, strict=True)
