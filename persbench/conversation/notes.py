"""What a reader must know beside the figures of conversations: what broke off or was cut, what the voices are worth."""

from __future__ import annotations

from collections import Counter, defaultdict
from statistics import fmean
from typing import TYPE_CHECKING, Final

from persbench.conversation.lines import printable, talk_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from persbench.conversation.background import Background
    from persbench.conversation.lines import Spoken
    from persbench.conversation.records import ConversationRecord

MOST_FAULTS: Final = 3


def talk_notes(talks: Sequence[Spoken]) -> list[str]:
    """Say what a reader must know beside the figures of each system: what broke off, was cut, or did not fit."""
    groups: dict[str, list[Spoken]] = defaultdict(list)
    for one in talks:
        groups[one.label].append(one)
    return [printable(f"{label}: {note}") for label in sorted(groups) for note in _notes(groups[label])]


def _notes(talks: Sequence[Spoken]) -> Iterator[str]:
    conversations = {talk_key(t): t.found.conversation for t in talks}
    faults = Counter(printable(one.fault) for one in conversations.values() if one.fault)
    if faults:
        told = "; ".join(f"{count} x {reason}" for reason, count in faults.most_common(MOST_FAULTS))
        more = ", ..." if len(faults) > MOST_FAULTS else ""
        yield f"{sum(faults.values())} of {len(conversations)} conversations broke off ({told}{more})"
    said = [turn for t in talks for turn in t.found.conversation.said_by(t.side) if not turn.authored]
    if cut := sum(not turn.finished for turn in said):
        yield f"{cut} of {len(said)} utterances were cut at the most tokens"
    if dropped := [turn.dropped for turn in said if turn.dropped]:
        yield (
            f"the context ran full at {len(dropped)} of {len(said)} utterances: oldest exchanges were left out, "
            f"at most {max(dropped)}"
        )


def voice_notes(records: Sequence[ConversationRecord], background: Background) -> list[str]:
    """Say what the measure of voices is worth: how far the pack's own texts are told apart, pair by pair."""
    accuracies: dict[str, float | None] = {}
    alike: set[str] = set()
    for talk in (talk for record in records for talk in record.conversations):
        name = " and ".join(sorted({f"{one.persona} ({one.stage})" for one in (talk.a, talk.b)}))
        voices = background.voices(talk.a, talk.b)
        accuracies[name] = None if voices is None else voices.accuracy.mean
        if voices is not None and not voices.tells:
            alike.add(name)
    known = {name: value for name, value in accuracies.items() if value is not None}
    found = []
    if known:
        worst = min(known, key=lambda name: (known[name], name))
        found.append(
            f"voices: of texts that the classifier did not see it gives {fmean(known.values()):.2f} to the right one "
            f"of two, over {len(known)} pairs of speakers; fewest, {known[worst]:.2f}, between {worst}"
        )
    if alike:
        found.append(
            "voices that texts the classifier did not see tell the wrong way round, or not at all: every utterance "
            f"counts one half, and no drift is seen: {'; '.join(sorted(alike))}"
        )
    if unknown := sorted(set(accuracies) - set(known)):
        found.append(f"voices are unscored, for want of authored texts that tell them apart: {'; '.join(unknown)}")
    return found
