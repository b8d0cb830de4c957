"""STUDY.yaml: every setting of a study with people, checked in full before anybody is asked anything."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 (pydantic reads it while the program runs)
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from pydantic import Field, model_validator

from persbench.errors import Fault, FaultsError, PersbenchError
from persbench.packs.bundled import resolve_pack
from persbench.packs.complaints import unknown_name, validated
from persbench.packs.load import load_pack
from persbench.packs.texts import Id, Line, PackModel, Some, Text, complaint
from persbench.packs.yaml_file import read_yaml
from persbench.provenance import digest

if TYPE_CHECKING:
    from persbench.packs.pack import Pack
    from persbench.packs.yaml_file import Document

EXAMPLE: Final = Path(__file__).resolve().parent / "example.yaml"
_MOST_POINTS: Final = 11
_FREE: Final = {"limits", "consent"}

Count = Annotated[int, Field(ge=1, le=1_000_000)]


class Part(PackModel):
    """Whom the systems speak as: a persona at a stage."""

    persona: Id
    stage: Id


class Turns(PackModel):
    """How long a conversation is: the rater may end it after `min` messages, and it ends by itself after `max`."""

    min: Count
    max: Count

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min > self.max:
            raise complaint("min {low} is above max {high}", low=self.min, high=self.max)
        return self


class Scale(PackModel):
    """One rating.

    Attributes:
        question: What the rater is asked.
        anchors: The points in words, from 1 upwards: as many points as anchors.
        shows_persona: Whether description and stage of the persona stand beside the question.
    """

    question: Line
    anchors: Annotated[tuple[Line, ...], Field(strict=False, min_length=2, max_length=_MOST_POINTS)]
    shows_persona: bool = False

    @property
    def points(self) -> int:
        """The highest value; the lowest is 1."""
        return len(self.anchors)


class Replies(PackModel):
    """How the systems speak; null is what `persbench chat` does.

    Attributes:
        model: Local folder or hub id of the base model; null for the default one.
        max_tokens: Of one reply.
        temperature: Of sampling; 0 takes the likeliest token.
        top_p: Share of the probability that sampling draws from.
    """

    model: Line | None = None
    max_tokens: Annotated[int, Field(ge=1, le=4096)] = 200
    temperature: Annotated[float, Field(ge=0, le=5, allow_inf_nan=False)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.95


class StudyLimits(PackModel):
    """Bounds on what raters send; they may change while a study runs.

    Attributes:
        message_characters: Longest message.
        messages_per_minute: Of one rater.
        raters: Places: so many raters take part, drop-outs and withdrawn ones not counted.
        starts: So many may open the study in all, whatever becomes of them.
        dropout_minutes: Who has sent nothing for so long gives the place free, and may still come back and finish.
    """

    message_characters: Count = 2000
    messages_per_minute: Count = 12
    raters: Count = 60
    starts: Count = 600
    dropout_minutes: Count = 180


class StudySettings(PackModel):
    """Every setting of a study.

    Attributes:
        title: Heading of the page.
        consent: What a rater agrees to.
        instructions: What a rater is told before the first conversation.
        pack: Folder of a pack or name of a bundled world; null for the reference world.
        systems: Name to system as in `persbench run --systems` (`prompt`, `persllm=DIR`); raters see neither.
        systems_per_rater: How many of them each rater talks to; null for all.
        parts: Whom they speak as; a rater meets one part in all systems, so that preferences compare like with like.
        turns: Length of a conversation.
        replies: How the systems speak.
        scales: Name to rating, in the order of the page.
        preference: What is asked of two partners.
        pairs_per_rater: Preferences each rater gives, each between two partners in a row; null for all neighbours.
        limits: Bounds on what raters send.
        seed: Of orders and replies.
    """

    title: Line
    consent: Text
    instructions: Text
    pack: Line | None = None
    systems: Annotated[Mapping[Id, Line], Field(min_length=1, max_length=26)]
    systems_per_rater: Count | None = None
    parts: Some[Part]
    turns: Turns
    replies: Replies = Replies()
    scales: Annotated[Mapping[Id, Scale], Field(min_length=1)]
    preference: Line
    pairs_per_rater: Annotated[int, Field(ge=0)] | None = None
    limits: StudyLimits = StudyLimits()
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.conversations > len(self.systems):
            raise complaint("systems_per_rater: {n} of {all} systems", n=self.systems_per_rater, all=len(self.systems))
        if self.pairs > self.conversations - 1:
            raise complaint(
                "pairs_per_rater: {n}, but {m} conversations have {most} neighbours",
                n=self.pairs_per_rater,
                m=self.conversations,
                most=self.conversations - 1,
            )
        if twice := [part for i, part in enumerate(self.parts) if part in self.parts[:i]]:
            raise complaint("parts: {persona} {stage} twice", persona=twice[0].persona, stage=twice[0].stage)
        return self

    @property
    def conversations(self) -> int:
        """Conversations of one rater."""
        return self.systems_per_rater or len(self.systems)

    @property
    def pairs(self) -> int:
        """Preferences of one rater."""
        return self.conversations - 1 if self.pairs_per_rater is None else self.pairs_per_rater

    @property
    def consent_version(self) -> str:
        """Twelve hex digits of the SHA-256 over the consent text: what a rater has agreed to."""
        return digest(self.consent)

    @property
    def frozen(self) -> dict[str, Any]:
        """The settings that one study cannot change: all but limits and consent, as plain data."""
        return self.model_dump(mode="json", exclude=_FREE)

    @property
    def hash(self) -> str:
        """Sixteen hex digits over `frozen`, in which the order of systems and scales counts."""
        frozen = self.frozen
        return digest([frozen, list(self.systems), list(self.scales)], 16)


def load_study(path: Path) -> tuple[StudySettings, Pack]:
    """Read STUDY.yaml and the pack that it names.

    Args:
        path: The file.

    Returns:
        The settings and the pack; every persona and stage is there. Whether the systems can speak is for who loads
        them to say.

    Raises:
        FaultsError: Something is wrong in the file (every fault with its line), or in the pack.
    """
    faults: list[Fault] = []
    document = read_yaml(path, str(path), faults)
    title = f"{path} does not describe a study"
    if document is not None:
        settings = validated(StudySettings, document.data, str(path), faults, document.line)
        if settings is not None and not faults:
            pack = _pack(settings, path, document, faults)
            if pack is not None:
                faults += _unknown_parts(settings, pack, path, document)
                if not faults:
                    return settings, pack
    raise FaultsError(title, faults)


def write_example(path: Path) -> None:
    """Write a commented STUDY.yaml to start from.

    Raises:
        PersbenchError: There is such a file, or it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as stream:
            stream.write(EXAMPLE.read_text("utf-8"))
    except FileExistsError as error:
        raise PersbenchError(f"{path} is already there: change it, or name another file.") from error
    except OSError as error:
        raise PersbenchError(f"cannot write {path}: {error.strerror or error}. Name another file.") from error


def _pack(settings: StudySettings, path: Path, document: Document, faults: list[Fault]) -> Pack | None:
    try:
        folder = resolve_pack(settings.pack)
    except PersbenchError as error:
        faults.append(Fault(str(path), document.line(("pack",)), str(error)))
        return None
    return load_pack(folder)


def _unknown_parts(settings: StudySettings, pack: Pack, path: Path, document: Document) -> list[Fault]:
    known = {data.persona.id: list(data.persona.stages) for data in pack.personas}
    found = []
    for i, part in enumerate(settings.parts):
        if part.persona not in known:
            line = document.line(("parts", i, "persona"))
            found.append(Fault(str(path), line, *unknown_name("persona", part.persona, list(known))))
        elif part.stage not in known[part.persona]:
            line = document.line(("parts", i, "stage"))
            name = f"stage of {part.persona}:"
            found.append(Fault(str(path), line, *unknown_name(name, part.stage, known[part.persona])))
    return found
