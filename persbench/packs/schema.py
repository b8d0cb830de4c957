"""The models of every file of a pack (see reference_personas/WRITING.md) and the rules that hold within one row."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 (pydantic reads it while the program runs)
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from persbench.errors import UnknownNameError
from persbench.packs.persona_rows import (
    Answer,
    Contrast,
    Induction,
    InductionKind,
    Knowledge,
    Matched,
    Material,
    MaterialKind,
    Pattern,
    StageItem,
    StanceOnly,
    Stylized,
    TrainDialogue,
    VoiceOnly,
)
from persbench.packs.texts import Id, Line, Many, PackModel, Some, Text, complaint, distinct

__all__ = [
    "Answer",
    "Contrast",
    "CrossTurnScript",
    "Domain",
    "GeneralDialogue",
    "Induction",
    "InductionKind",
    "Knowledge",
    "Matched",
    "Material",
    "MaterialKind",
    "Message",
    "Pattern",
    "Persona",
    "PressureScript",
    "Question",
    "Stage",
    "StageItem",
    "StageProfile",
    "Stance",
    "StanceOnly",
    "Stylized",
    "TrainDialogue",
    "TraitStatement",
    "TraitTarget",
    "VoiceOnly",
    "World",
]

Domain = Literal["O", "C", "E", "A", "N"]

MAX_YEAR = 1_000_000
MAX_AGE = 1_000_000


class Stage(PackModel):
    """A period of life: `temporal_label` marks it in training, `date` is how people of the world say when it is."""

    id: Id
    temporal_label: Line
    year: Annotated[int, Field(ge=-MAX_YEAR, le=MAX_YEAR)]
    date: Line


class World(PackModel):
    """world.yaml: a setting and its stages in order."""

    id: Id
    name: Line
    version: Line
    licence: Line
    canary: Line
    language: Line
    setting: Text
    stages: Some[Stage]


class Stance(PackModel):
    """One of a question's authored positions, plain and voiceless."""

    id: Id
    text: Text


class Question(PackModel):
    """A row of questions.jsonl: a question put to every persona.

    One without stances has no positions to choose among: who said what, and free replies, are all it can ask.
    """

    id: Id
    topic: Line
    text: Text
    paraphrases: Many[Text] = ()
    stances: Many[Stance] = ()

    @model_validator(mode="after")
    def _apart(self) -> Self:
        ids = [stance.id for stance in self.stances]
        if len(ids) == 1:
            raise complaint("stances: 1 entries; expected at least 2, or none at all")
        if twice := [i for i in ids if ids.count(i) > 1]:
            raise complaint('stance id "{id}" twice', id=twice[0])
        distinct({"text": self.text} | {f"paraphrases[{i}]": text for i, text in enumerate(self.paraphrases)})
        distinct({f'stance "{stance.id}"': stance.text for stance in self.stances})
        return self

    def stance(self, stance_id: str) -> Stance:
        """Return the stance of that id.

        Raises:
            UnknownNameError: The question has no such stance.
        """
        for stance in self.stances:
            if stance.id == stance_id:
                return stance
        raise UnknownNameError("stance", stance_id, [stance.id for stance in self.stances])


class CrossTurnScript(PackModel):
    """A row of dialogues.jsonl: user turns of small talk; after some of them probes of `question` branch off."""

    id: Id
    question: Id
    turns: Some[Text]
    probes_after: Some[int]

    @model_validator(mode="after")
    def _within(self) -> Self:
        for probe in self.probes_after:
            if not 1 <= probe <= len(self.turns):
                raise complaint(
                    "probes_after: {probe} is not within the {n} turns", probe=repr(probe)[:40], n=len(self.turns)
                )
        if list(self.probes_after) != sorted(set(self.probes_after)):
            raise complaint("probes_after: must increase")
        return self


class PressureScript(PackModel):
    """A row of pressure.jsonl: user turns that push towards stance `target`; None marks the neutral control."""

    id: Id
    question: Id
    target: Id | None
    turns: Some[Text]


class TraitStatement(PackModel):
    """A row of traits.jsonl: a Likert statement; agreeing with it speaks for (`keyed` 1) or against (-1) the domain."""

    id: Id
    domain: Domain
    facet: Line
    keyed: Literal[1, -1]
    text: Text
    paraphrase: Text

    @model_validator(mode="after")
    def _apart(self) -> Self:
        distinct({"text": self.text, "paraphrase": self.paraphrase})
        return self


class Message(PackModel):
    """One message of a chat."""

    role: Literal["system", "user", "assistant"]
    content: Text


class GeneralDialogue(PackModel):
    """A row of general.jsonl: an ordinary dialogue with an assistant, for the general mix or the rigidity check."""

    id: Id
    split: Literal["train", "test"]
    messages: Some[Message]

    @model_validator(mode="after")
    def _alternate(self) -> Self:
        roles = [message.role for message in self.messages]
        turns = roles[1:] if roles[0] == "system" else roles
        if not turns or len(turns) % 2 or turns != ["user", "assistant"] * (len(turns) // 2):
            raise complaint("messages: user and assistant must alternate, after at most one system message")
        return self


class TraitTarget(PackModel):
    """Where a persona stands in a domain, from 1 to 5, and why. Test only."""

    score: Annotated[float, Field(ge=1, le=5)]
    reason: Text


class StageProfile(PackModel):
    """A persona at a stage. `profile`, `voice` and `relations` may enter prompts; `traits` and `cannot_know` never.

    `age`, `profile` and `voice` must be there, and are None where nobody knows (imported data sets).
    """

    age: Annotated[int, Field(ge=0, le=MAX_AGE)] | None
    profile: Text | None
    voice: Text | None
    relations: Mapping[Id, Text] = {}
    traits: Mapping[Domain, TraitTarget] = {}
    cannot_know: Many[Text] = ()


class Persona(PackModel):
    """persona.yaml: one character, by stage. `minor` marks one of whom little is told."""

    id: Id
    name: Line
    minor: bool
    stages: Annotated[Mapping[Id, StageProfile], Field(min_length=1)]
