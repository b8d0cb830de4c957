"""Step 9: who the persona is at each stage: profile, voice, relations, and, for tests alone, traits and limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from pydantic import Field

from persbench.build.asking import Asker, Request
from persbench.build.memory import leading, shown
from persbench.packs.schema import Domain, StageProfile, TraitTarget
from persbench.packs.texts import Line, Many, PackModel, Some, Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persbench.build.material import Piece
    from persbench.build.settings import BuildSettings
    from persbench.packs.schema import Stage

A = TypeVar("A", bound=PackModel)
MAX_AGE: Final = 1_000_000


@dataclass(frozen=True)
class Sheet:
    """What the other steps know of a persona at a stage."""

    age: int
    profile: str
    voice: str


class ProfileAnswer(PackModel):
    """What `profile` answers."""

    age: Annotated[int, Field(ge=0, le=MAX_AGE)]
    profile: Text


class VoiceAnswer(PackModel):
    """What `voice` answers."""

    voice: Text


class Relation(PackModel):
    """How the persona stands to somebody."""

    person: Line
    sentence: Text


class RelationsAnswer(PackModel):
    """What `relations` answers."""

    relations: Many[Relation]


class TraitsAnswer(PackModel):
    """What `traits` answers: all five domains."""

    O: TraitTarget  # noqa: E741 - the domains' own names
    C: TraitTarget
    E: TraitTarget
    A: TraitTarget
    N: TraitTarget

    def by_domain(self) -> dict[Domain, TraitTarget]:
        """Return the targets by domain."""
        return {"O": self.O, "C": self.C, "E": self.E, "A": self.A, "N": self.N}


class LimitsAnswer(PackModel):
    """What `cannot-know` answers."""

    cannot_know: Some[Text]


def sheets(
    pieces: Sequence[Piece], settings: BuildSettings, stages: Mapping[str, Stage], asker: Asker
) -> dict[str, Sheet]:
    """Write profile and voice of each stage.

    Args:
        pieces: Material that training may see: a profile enters prompts, so it must not tell what tests ask for.
        settings: Whose life it is.
        stages: By id, in order.
        asker: Asks; every stage needs both.

    Returns:
        The sheets by stage.
    """
    profiles = asker.need([_request("profile", stage, pieces, settings, stages, ProfileAnswer) for stage in stages])
    voices = asker.need([_request("voice", stage, pieces, settings, stages, VoiceAnswer) for stage in stages])
    return {
        stage: Sheet(profile.age, profile.profile, voice.voice)
        for stage, profile, voice in zip(stages, profiles, voices, strict=True)
    }


def stage_profiles(
    pieces: Sequence[Piece],
    held: Sequence[Piece],
    settings: BuildSettings,
    stages: Mapping[str, Stage],
    written: Mapping[str, Sheet],
    others: Mapping[str, str],
    asker: Asker,
) -> dict[str, StageProfile]:
    """Complete the sheets: relations for prompts; trait targets and what cannot be known for tests.

    Args:
        pieces: Material that training may see.
        held: Material held out for tests.
        settings: Whose life it is.
        stages: By id, in order.
        written: Profile and voice, by stage.
        others: Names of the pack's other personas, by id. A relation to one of them is a relation in the pack; how the
            persona stands to anybody else becomes part of its profile, since a pack knows its own personas alone.
        asker: Asks.

    Returns:
        The sheets of persona.yaml, by stage.
    """
    everything = [*pieces, *held]
    names = list(others.values())
    relations = asker.ask(
        [_request("relations", s, pieces, settings, stages, RelationsAnswer, others=names) for s in stages]
    )
    traits = asker.ask([_request("traits", s, everything, settings, stages, TraitsAnswer) for s in stages])
    limits = asker.ask([_limits_request(s, everything, settings, stages) for s in stages])
    found = {}
    for i, (stage, sheet) in enumerate(written.items()):
        related, target, limit = relations[i], traits[i], limits[i]
        inside, outside = _related(related.relations if related else (), others)
        found[stage] = StageProfile(
            age=sheet.age,
            profile=" ".join([sheet.profile, *outside]),
            voice=sheet.voice,
            relations=inside,
            traits=target.by_domain() if target else {},
            cannot_know=limit.cannot_know if limit else (),
        )
    return found


def _related(relations: Sequence[Relation], others: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return relations by persona id, and sentences about people who are no persona of the pack."""
    ids = {name.casefold(): persona for persona, name in others.items()}
    inside: dict[str, str] = {}
    outside = []
    for relation in relations:
        persona = ids.get(relation.person.casefold())
        if persona is None:
            outside.append(f"{relation.person}: {relation.sentence}")
        else:
            inside[persona] = relation.sentence
    return inside, outside


def _request(
    task: str,
    stage: str,
    pieces: Sequence[Piece],
    settings: BuildSettings,
    stages: Mapping[str, Stage],
    form: type[A],
    **more: Sequence[str],
) -> Request[A]:
    order = list(stages)
    so_far = [piece for piece in pieces if order.index(piece.stage) <= order.index(stage)]
    # What is nearest in time says most about who somebody is: an earlier stage fills what room is left.
    now = [piece for piece in so_far if piece.stage == stage]
    before = [piece for piece in so_far if piece.stage != stage]
    parts = {}
    for field, objective, words in (
        ("objective", True, settings.objective_words),
        ("speech", False, settings.speech_words),
    ):
        taken = leading([p for p in now if p.unit.objective == objective], words)
        left = words - sum(len(p.text.split()) for p in taken)
        earlier = leading([p for p in before if p.unit.objective == objective], left) if left > 0 else []
        parts[field] = shown([*earlier, *taken])
    fields = {"name": settings.name, "date": stages[stage].date, **parts, **more}
    return Request(task, f"stage {stage}", fields, form)


def _limits_request(
    stage: str, pieces: Sequence[Piece], settings: BuildSettings, stages: Mapping[str, Stage]
) -> Request[LimitsAnswer]:
    order = list(stages)
    later = [piece for piece in pieces if order.index(piece.stage) > order.index(stage)]
    fields = {
        "name": settings.name,
        "date": stages[stage].date,
        "later": shown(leading(later, settings.objective_words)),
    }
    return Request("cannot-know", f"stage {stage}", fields, LimitsAnswer)
