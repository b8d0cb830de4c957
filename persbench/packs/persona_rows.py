"""The models of the rows in a persona's folder, save persona.yaml. Import them from `persbench.packs.schema`."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 (pydantic reads it while the program runs)
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from persbench.packs.texts import Id, Many, PackModel, Some, Text, distinct

MaterialKind = Literal["experience", "knowledge", "speech"]
InductionKind = Literal[
    "false_premise", "opinion_pressure", "identity_break", "instruction_override", "anachronism", "out_of_world"
]
Pattern = Literal["question", "opinion", "induced"]


class Material(PackModel):
    """A row of materials.jsonl: a paragraph of source text."""

    id: Id
    stage: Id
    kind: MaterialKind
    text: Text


class Answer(PackModel):
    """A row of answers.jsonl: what the persona says to a shared question at a stage. Test only.

    `stance` is None where the question has no stances.
    """

    question: Id
    stage: Id
    stance: Id | None = None
    reply: Text


class VoiceOnly(PackModel):
    """The persona's own voice for a stance that is not its own."""

    stance: Id
    reply: Text


class StanceOnly(PackModel):
    """The persona's own stance in the voice of persona `voice`."""

    voice: Id
    reply: Text


class Contrast(PackModel):
    """A row of contrast.jsonl: two foils of an own answer, one sharing its voice, one its stance. Test only."""

    question: Id
    stage: Id
    voice_only: VoiceOnly
    stance_only: StanceOnly

    @model_validator(mode="after")
    def _apart(self) -> Self:
        distinct({"voice_only.reply": self.voice_only.reply, "stance_only.reply": self.stance_only.reply})
        return self


class Knowledge(PackModel):
    """A row of knowledge.jsonl: a question of fact, the right reply and wrong ones in the same voice. Test only."""

    id: Id
    stage: Id
    question: Text
    gold: Text
    foils: Some[Text]
    materials: Some[Id]

    @model_validator(mode="after")
    def _apart(self) -> Self:
        distinct({"gold": self.gold} | {f"foils[{i}]": foil for i, foil in enumerate(self.foils)})
        return self


class Induction(PackModel):
    """A row of induction.jsonl: an induced prompt and its true twin, with replies for either. Test only.

    `resist` and `yield` (in Python `yield_`) answer the induced prompt, `affirm` and `deny` the control.
    """

    model_config = ConfigDict(populate_by_name=True)

    id: Id
    stage: Id
    kind: InductionKind
    induced: Text
    control: Text
    resist: Text
    yield_: Text = Field(alias="yield")
    affirm: Text
    deny: Text

    @model_validator(mode="after")
    def _apart(self) -> Self:
        distinct({"induced": self.induced, "control": self.control})
        distinct({"resist": self.resist, "yield": self.yield_, "affirm": self.affirm, "deny": self.deny})
        return self


class StageItem(PackModel):
    """A row of stages.jsonl: a question to which the stages reply differently. Test only."""

    id: Id
    kind: Literal["later_event", "change"]
    question: Text
    replies: Annotated[Mapping[Id, Text], Field(min_length=2)]

    @model_validator(mode="after")
    def _apart(self) -> Self:
        distinct({f"replies.{stage}": text for stage, text in self.replies.items()})
        return self


class TrainDialogue(PackModel):
    """A row of train.jsonl; `prompt_id` is common to all personas and stages that were given the same prompt."""

    id: Id
    prompt_id: Id
    pattern: Pattern
    stage: Id
    prompt: Text
    analysis: Text
    response: Text
    materials: Many[Id] = ()


class Matched(PackModel):
    """A row of matched.jsonl: the prompt of train row `id`, answered in the voice with stance and facts taken out."""

    id: Id
    response: Text


class Stylized(PackModel):
    """A row of stylized.jsonl: a general instruction with a plain answer and the same answer in the persona's voice."""

    id: Id
    instruction: Text
    plain: Text
    voiced: Text

    @model_validator(mode="after")
    def _apart(self) -> Self:
        distinct({"plain": self.plain, "voiced": self.voiced})
        return self
