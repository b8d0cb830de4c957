"""From measured conversations to lines of a table: every figure with its interval, n and what is unscored.

A line is a system beside its partner. Items are pooled over conversations and speakers; intervals draw whole scenarios.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Final, NamedTuple

from persbench.conversation.measures import SIDES
from persbench.provenance import digest
from persbench.scoring.stats import Interval, cluster_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persbench.conversation.measures import Measured
    from persbench.conversation.records import ConversationRecord, Side

KINDS: Final = ("opposed", "cooperative")
BASELINES: Final = ("vanilla", "prompt")


class Metric(NamedTuple):
    """One column of the tables."""

    name: str
    title: str
    help: str
    format: str = ".2f"
    group: str = "Opinions and voices"
    chance: float | None = None
    against: str = ""  # of a judge's: what lines are held against


MATTER: Final = "Repetition and matter"
METRICS: Final = (
    Metric("own_stance", "own stance", "stance probes along the talk that the speaker's own stance wins alone"),
    Metric("held_throughout", "held", "questions of a speaker on which all probes along one talk are its own stance"),
    Metric("kept", "kept", "of those whose first probe is the own stance, all later ones are, too"),
    Metric(
        "own_voice",
        "own voice",
        "utterances that the classifier gives to the speaker rather than to the other",
        chance=0.5,
    ),
    Metric(
        "voice_slope",
        "voice drift",
        "slope of the log-odds of the own voice over the other's, nats an utterance of the speaker: below 0 it drifts "
        "into the other's voice",
        "+.2f",
    ),
    Metric("repeats_own", "repeats own", "4-grams of an utterance that the same speaker said before", group=MATTER),
    Metric("repeats_other", "repeats other's", "4-grams of an utterance that the other said before", group=MATTER),
    Metric("exact_repeats", "exact repeats", "utterances that either had said before, word for word", group=MATTER),
    Metric("new_words", "new words", "new words of the speaker's own field an utterance", group=MATTER),
    Metric("taken_up", "taken up", "of the new words, those that the other says later", group=MATTER),
    Metric("length", "length", "words an utterance", ".1f", group=MATTER),
)


@dataclass(frozen=True)
class Entry:
    """One figure.

    Attributes:
        value: Mean with its interval, clustered by scenario.
        chance: What a blind guess scores; None where that cannot be said.
    """

    value: Interval
    chance: float | None = None


@dataclass(frozen=True)
class Line:
    """A system in one kind of talk.

    Attributes:
        kind: "opposed" or "cooperative".
        label: The system, and its partner where that is another one.
        persona: Persona id; empty for all of them together.
        conversations: How many there are.
        entries: Metric -> figure; one that arose nowhere is not there.
        signature: Facts behind its numbers.
    """

    kind: str
    label: str
    persona: str
    conversations: int
    entries: Mapping[str, Entry]
    signature: Mapping[str, object] = field(default_factory=dict)


class Spoken(NamedTuple):
    """One side of one conversation."""

    label: str
    side: Side
    found: Measured
    signature: Mapping[str, object]


def labels_of(records: Sequence[ConversationRecord]) -> list[dict[Side, str]]:
    """Name the systems of each record apart: by partner where it is another, by a digest where settings differ.

    Returns:
        One a record: side -> label.
    """
    plain = [
        {"a": one.a if one.a == one.b else f"{one.a} (with {one.b})", "b": one.b if one.a == one.b else _with(one)}
        for one in records
    ]
    settings: dict[str, set[str]] = defaultdict(set)
    for one, names in zip(records, plain, strict=True):
        for name in names.values():
            settings[name].add(_mark(one))
    return [
        {side: names[side] + (_mark(one) if len(settings[names[side]]) > 1 else "") for side in SIDES}
        for one, names in zip(records, plain, strict=True)
    ]


def _mark(record: ConversationRecord) -> str:
    return f" @{digest(record.signature, 6)}"


def _with(record: ConversationRecord) -> str:
    return f"{record.b} (with {record.a})"


def pair_of(record: ConversationRecord, labels: Mapping[Side, str]) -> str:
    """Name a record's pair of systems, apart from another record's as its `labels_of` are."""
    return record.pair + (_mark(record) if labels["a"].endswith(_mark(record)) else "")


def spoken(records: Sequence[ConversationRecord], measured: Sequence[Sequence[Measured]]) -> list[Spoken]:
    """Take conversations apart, speaker by speaker.

    Args:
        records: Any.
        measured: What `measures.measured` gives for each.
    """
    return [
        Spoken(names[side], side, found, record.signature)
        for record, names, talks in zip(records, labels_of(records), measured, strict=True)
        for found in talks
        for side in SIDES
    ]


def lines_of(talks: Sequence[Spoken], *, by_persona: bool = False) -> list[Line]:
    """Pool what was measured.

    Args:
        talks: By `spoken`.
        by_persona: A line a persona instead of one for all.

    Returns:
        Kinds in order, in each the baselines first, then the others by name.
    """
    groups: dict[tuple[str, str, str], list[Spoken]] = defaultdict(list)
    for one in talks:
        talk = one.found.conversation
        groups[talk.kind, one.label, talk.agent(one.side).persona if by_persona else ""].append(one)
    return [_line(*key, groups[key]) for key in sorted(groups, key=_place)]


def _place(key: tuple[str, str, str]) -> tuple[object, ...]:
    kind, label, persona = key
    system = label.partition(" ")[0]
    return (
        KINDS.index(kind) if kind in KINDS else len(KINDS),
        kind,
        BASELINES.index(system) if system in BASELINES else len(BASELINES),
        label,
        persona,
    )


def _line(kind: str, label: str, persona: str, talks: Sequence[Spoken]) -> Line:
    entries: dict[str, Entry] = {}
    for metric in METRICS:
        values = [(item, t.found.conversation.scenario) for t in talks for item in t.found.values[t.side][metric.name]]
        if values:
            chance = metric.chance
            if metric.name == "own_stance":
                chance = fmean(chance for t in talks for chance in t.found.chances[t.side])
            entries[metric.name] = Entry(cluster_interval(*zip(*values, strict=True)), chance)
    once = {talk_key(t) for t in talks}
    return Line(kind, label, persona, len(once), entries, talks[0].signature)


def talk_key(one: Spoken) -> tuple[object, ...]:
    """Return what tells a conversation of a system from its others: other people may play the same scenario."""
    talk = one.found.conversation
    return talk.scenario, talk.seed, talk.a, talk.b


def printable(text: str) -> str:
    """Take out of a text what would move the cursor of a terminal or end a line."""
    return "".join(char if char.isprintable() else " " for char in text)
