"""From a conversation to values: one list of items a metric and speaker, every item scored or None.

Nothing here is a mean: `lines` pools items over conversations, so that each weighs the same and whole scenarios are
drawn for the intervals. An item that does not arise, such as a repetition in the first utterance, is not in the list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from persbench.conversation.background import Background, author_of
from persbench.errors import PersbenchError
from persbench.scoring.consistency import all_own, slope
from persbench.scoring.conversation import Contribution, Repetition, Utterance, contributions, repetitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persbench.conversation.records import Conversation, ConversationRecord, Probe, Side
    from persbench.packs.pack import Pack

    Values = Mapping[str, tuple[float | None, ...]]

SIDES: Final[tuple[Side, Side]] = ("a", "b")


@dataclass(frozen=True)
class TurnMeasures:
    """What is measured of one generated utterance.

    Attributes:
        odds: Log-odds (nats) that the speaker rather than the other wrote it; None where nothing tells.
        repetition: What of it was said before.
        contribution: What it brings of the speaker's own field.
    """

    odds: float | None
    repetition: Repetition
    contribution: Contribution


@dataclass(frozen=True)
class Measured:
    """A conversation with all that is measured of it.

    Attributes:
        conversation: As recorded.
        turns: One a turn; None for an authored opening.
        values: Side -> metric of `lines.METRICS` -> items.
        chances: Side -> what a blind guess scores on each of the items of `own_stance`.
    """

    conversation: Conversation
    turns: tuple[TurnMeasures | None, ...]
    values: Mapping[Side, Values]
    chances: Mapping[Side, tuple[float, ...]]


def measured(record: ConversationRecord, background: Background) -> list[Measured]:
    """Measure all conversations of a record.

    Raises:
        PersbenchError: They were played with another pack.
    """
    _require_pack(record, background.pack)
    return [
        measured_conversation(one, background, told=str(record.scenarios.get(one.scenario, {}).get("setting", "")))
        for one in record.conversations
    ]


def measured_conversation(conversation: Conversation, background: Background, *, told: str = "") -> Measured:
    """Measure one conversation.

    Args:
        conversation: As recorded.
        background: Of its pack.
        told: What both speakers were told: words of it are news from neither.

    Raises:
        UnknownNameError: The pack lacks one of the speakers.
    """
    talk = [Utterance(turn.speaker, turn.text, turn.authored) for turn in conversation.turns]
    fields: dict[str, frozenset[str]] = {side: background.field(conversation.agent(side)) for side in SIDES}
    brought = contributions(talk, fields, told=told, left_out=background.names)
    turns: list[TurnMeasures | None] = []
    for turn, repetition, contribution in zip(conversation.turns, repetitions(talk), brought, strict=True):
        if repetition is None or contribution is None:
            turns.append(None)
        else:
            odds = _odds(conversation, turn.speaker, turn.text, background)
            turns.append(TurnMeasures(odds, repetition, contribution))
    values = {side: _values(conversation, side, turns) for side in SIDES}
    chances = {side: tuple(1 / len(probe.stances) for probe in _probes(conversation, side)) for side in SIDES}
    return Measured(conversation, tuple(turns), values, chances)


def _require_pack(record: ConversationRecord, pack: Pack) -> None:
    played = str(record.signature.get("pack", "")).rpartition("@")[2]
    if not played or not pack.hash.startswith(played):
        raise PersbenchError(
            f"the conversations of {record.pair} were played with the pack @{played or 'unknown'}, not with "
            f"{pack.world.id}@{pack.hash[:12]} in {pack.path}: name theirs by --pack."
        )


def _odds(conversation: Conversation, side: Side, text: str, background: Background) -> float | None:
    voices = background.voices(conversation.a, conversation.b)
    return None if voices is None else voices.log_odds(text, author_of(conversation.agent(side)))


def _probes(conversation: Conversation, side: Side) -> list[Probe]:
    """Return the probes of a speaker that has a stance of its own to hold; to others the question does not arise."""
    return [probe for probe in conversation.probes if probe.speaker == side and probe.own is not None]


def _values(conversation: Conversation, side: Side, turns: Sequence[TurnMeasures | None]) -> Values:
    own = [turn for said, turn in zip(conversation.turns, turns, strict=True) if said.speaker == side and turn]
    odds = [turn.odds for turn in own]
    repeated = [turn.repetition for turn in own]
    brought = [turn.contribution for turn in own]
    held: dict[str, list[bool | None]] = {}
    for probe in sorted(_probes(conversation, side), key=lambda probe: probe.after):
        held.setdefault(probe.question, []).append(probe.held)
    found: dict[str, Sequence[float | None]] = {
        "own_stance": [_number(one) for probes in held.values() for one in probes],
        "held_throughout": [_throughout(probes, broken=bool(conversation.fault)) for probes in held.values()],
        "kept": [value for probes in held.values() for value in _kept(probes, broken=bool(conversation.fault))],
        "own_voice": [None if one is None else 0.5 if one == 0 else float(one > 0) for one in odds],
        "voice_slope": [slope(range(1, len(odds) + 1), odds)] if own else [],
        "repeats_own": [one.own for one in repeated if one.before_own],
        "repeats_other": [one.other for one in repeated if one.before_other],
        "exact_repeats": [_number(one.exact) for one in repeated if one.before_own or one.before_other],
        "new_words": [None if one.new is None else float(len(one.new)) for one in brought],
        "taken_up": [value for one in brought for value in _taken_up(one, broken=bool(conversation.fault))],
        "length": [float(one.length) for one in brought],
    }
    return {metric: tuple(items) for metric, items in found.items()}


def _throughout(probes: Sequence[bool | None], *, broken: bool) -> float | None:
    """Say whether all probes of one question are the own stance; of a talk that broke off nobody knows the rest."""
    return None if broken else all_own(probes)


def _kept(probes: Sequence[bool | None], *, broken: bool) -> list[float | None]:
    """Say whether an own stance that the first probe found was held to the end; only what was held can be lost."""
    first, *later = probes
    if not later or first is False:
        return []
    return [None if first is None else _throughout(later, broken=broken)]


def _taken_up(brought: Contribution, *, broken: bool) -> list[float | None]:
    """Say of each new word whether the other says it later; of a talk that broke off nobody knows what came later."""
    if brought.new is None:
        return []
    if broken:
        return [None] * len(brought.new)
    return [] if brought.taken is None else [float(word in brought.taken) for word in brought.new]


def _number(value: bool | None) -> float | None:
    return None if value is None else float(value)
