"""What `persbench converse` was asked for, and which systems play which scenarios as whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from persbench.conversation.asks import Voice, split_voice
from persbench.conversation.play import Casting
from persbench.errors import PersbenchError, UnknownNameError
from persbench.packs.scenario import ScenarioKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from persbench.packs.pack import Pack
    from persbench.packs.scenario import Scenario, ScenarioAgent


@dataclass(frozen=True)
class ConverseSettings:
    """What `persbench converse` was asked for.

    Attributes:
        pack: Folder of the world.
        a: "SYSTEM" or "SYSTEM:PERSONA[:STAGE]": who opens.
        b: The same: who replies.
        out: Folder for records.
        scenarios: Ids or kinds; empty for all.
        baselines: Systems that play the same scenarios on both sides.
        turns: Utterances after the opening.
        seeds: How often each scenario is played.
        depths: Exchanges after which stances are asked; None for the usual ones.
        model: Local folder or hub id of the base model; None for the default model, fetched if needed.
        dtype: `auto`, `float32`, `bfloat16`, ...
        device: Torch device, or None for the first accelerator, else the CPU.
        max_tokens: Most tokens of an utterance.
        temperature: Of the sampling; 0 takes the most probable token.
        top_p: Probability mass that is sampled from.
        anchors: Folder of stored anchors; the user's cache by default.
        embedder: Folder or hub id of the sentence embedder that `rag` uses.
        chat_template: Render by the model's chat template.
        model_args: Further arguments of `persbench-prefix`.
        trust_remote_code: Let the model's own code run.
    """

    pack: Path
    a: str
    b: str
    out: Path
    scenarios: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ()
    turns: int = 8
    seeds: int = 2
    depths: tuple[int, ...] | None = None
    model: str | None = None
    dtype: str = "auto"
    device: str | None = None
    max_tokens: int = 96
    temperature: float = 0.7
    top_p: float = 0.9
    anchors: Path | None = None
    embedder: str | None = None
    chat_template: bool = True
    model_args: dict[str, Any] = field(default_factory=dict)
    trust_remote_code: bool = False


@dataclass(frozen=True)
class Pairing:
    """Two systems and all that they play against each other.

    Attributes:
        a: Name of the system that opens.
        b: Name of the other.
        stem: Name of its files.
        castings: One a scenario.
    """

    a: str
    b: str
    stem: str
    castings: tuple[Casting, ...]

    @property
    def voices(self) -> list[Voice]:
        """Everybody who speaks."""
        return list(dict.fromkeys(voice for each in self.castings for voice in (each.a, each.b)))


def pairings_of(settings: ConverseSettings, pack: Pack) -> list[Pairing]:
    """Say who plays what: the pair that was asked for first, then the baselines.

    Raises:
        UnknownNameError: No such scenario, persona or stage.
        PersbenchError: The pack has no scenarios, none fits, or a persona would talk with itself.
    """
    sides = split_voice(settings.a, pack), split_voice(settings.b, pack)
    scenarios = _chosen(settings.scenarios, pack, [persona for _, persona, _ in sides])
    pairs = [(sides[0][0], sides[1][0]), *((system, system) for system in settings.baselines)]
    return [_pairing(a, b, sides, scenarios, pack) for a, b in dict.fromkeys(pairs)]


def _chosen(names: Sequence[str], pack: Pack, personas: Sequence[str]) -> list[Scenario]:
    """Return scenarios by id or kind; without names those that are the named personas' own."""
    if not pack.scenarios:
        raise PersbenchError(
            f"the pack {pack.world.id} has no scenarios.jsonl, so there is nothing to talk about: write one (see "
            "reference_personas/WRITING.md), or name another --pack."
        )
    known = {scenario.id: scenario for scenario in pack.scenarios}
    kinds = get_args(ScenarioKind)
    for name in names:
        if name not in known and name not in kinds:
            raise UnknownNameError("scenario", name, [*kinds, *known])
    if names:
        found = [each for each in pack.scenarios if each.id in names or each.kind in names]
    else:
        found = [
            each
            for each in pack.scenarios
            if all(not wanted or wanted == own.persona for wanted, own in zip(personas, (each.a, each.b), strict=True))
        ]
    if not found:
        pairs = ", ".join(f"{each.id} ({each.a.persona}, {each.b.persona})" for each in pack.scenarios)
        who = " and ".join(filter(None, personas)) or "these names"
        raise PersbenchError(
            f"no scenario for {who}: name one by --scenario, to play it with others. There are {pairs}."
        )
    return found


def _pairing(
    a: str, b: str, sides: tuple[tuple[str, str, str], tuple[str, str, str]], scenarios: Sequence[Scenario], pack: Pack
) -> Pairing:
    castings = []
    for scenario in scenarios:
        voices = [
            _voice(system, persona, stage, own, pack)
            for system, (_, persona, stage), own in zip((a, b), sides, (scenario.a, scenario.b), strict=True)
        ]
        if voices[0].persona == voices[1].persona:
            raise PersbenchError(
                f"in {scenario.id} {voices[0].persona} would talk with itself: name another persona for one side."
            )
        castings.append(Casting(scenario, voices[0], voices[1]))
    names = castings[0].a.name, castings[0].b.name
    told = ["-".join(filter(None, (name, *who))) for name, (_, *who) in zip(names, sides, strict=True)]
    return Pairing(names[0], names[1], "__".join(told), tuple(castings))


def _voice(system: str, persona: str, stage: str, own: ScenarioAgent, pack: Pack) -> Voice:
    """Return who plays a part: the scenario's own persona and stage where nobody else was named."""
    who = persona or own.persona
    lived = pack.persona(who).persona.stages
    when = stage or (
        own.stage if own.stage in lived else next(each.id for each in reversed(pack.world.stages) if each.id in lived)
    )
    if when not in lived:
        raise UnknownNameError(f"stage of {who}", when, list(lived))
    return Voice(system, who, when)
