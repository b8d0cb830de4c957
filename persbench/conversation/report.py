"""The table of conversations: every figure with its interval and counts, a baseline pair beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from persbench.conversation.background import Background
from persbench.conversation.judged import JudgedTalks, judged_talks
from persbench.conversation.layout import csv_rows, markdown, terminal
from persbench.conversation.lines import (
    BASELINES,
    Line,
    labels_of,
    lines_of,
    printable,
    spoken,
)
from persbench.conversation.measures import measured
from persbench.conversation.notes import talk_notes, voice_notes
from persbench.errors import PersbenchError
from persbench.provenance import signature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

    from persbench.conversation.measures import Measured
    from persbench.conversation.records import ConversationRecord
    from persbench.judging.qualification import Qualification
    from persbench.judging.records import JudgedRecord
    from persbench.packs.pack import Pack

NO_BASELINE: Final = (
    "no baseline pair stands beside these figures: `persbench converse --baselines vanilla,prompt` plays the same "
    "scenarios with both"
)


@dataclass(frozen=True)
class ConversationTable:
    """All figures of some conversations.

    Attributes:
        lines: A line a kind of talk and system.
        people: The same by persona.
        judged: What each judge said.
        notes: What a reader must know beside the figures.
        signatures: Facts behind them, as text.
        measured: Conversations with their measures, record by record.
    """

    lines: tuple[Line, ...]
    people: tuple[Line, ...]
    judged: tuple[JudgedTalks, ...]
    notes: tuple[str, ...]
    signatures: tuple[str, ...]
    measured: tuple[tuple[Measured, ...], ...] = ()

    def terminal(self) -> RenderableType:
        """Lay it out for a terminal."""
        return terminal(self)

    def markdown(self) -> str:
        """Write it as Markdown, one row a kind of talk and system."""
        return markdown(self)

    def csv(self) -> str:
        """Write every figure as one row, those of single personas too; what is judged bears its judge."""
        return csv_rows(self)


def conversation_table(
    records: Sequence[ConversationRecord],
    pack: Pack,
    *,
    judged: Sequence[JudgedRecord] = (),
    qualifications: Sequence[Qualification] = (),
) -> ConversationTable:
    """Compute every figure of some conversations.

    Args:
        records: As `record_files.read_conversations` reads them.
        pack: What they were played with: its texts tell whose voice and whose field it is.
        judged: What judges said of them, if they did.
        qualifications: What is known of these judges.

    Raises:
        PersbenchError: A record was played with another pack, or two hold the same conversation.
    """
    _require_once(records)
    background = Background(pack)
    found = tuple(tuple(measured(record, background)) for record in records)
    talks = spoken(records, found)
    lines = lines_of(talks)
    notes = [*talk_notes(talks), *voice_notes(records, background)]
    if not any(line.label.partition(" ")[0] in BASELINES for line in lines):
        notes.append(NO_BASELINE)
    return ConversationTable(
        lines=tuple(lines),
        people=tuple(lines_of(talks, by_persona=True)),
        judged=tuple(judged_talks(records, judged, qualifications)),
        notes=tuple(notes),
        signatures=tuple(map(printable, _signatures(records))),
        measured=found,
    )


def _require_once(records: Sequence[ConversationRecord]) -> None:
    """Refuse a conversation that two records hold: it would count twice."""
    seen: set[tuple[object, ...]] = set()
    for record, labels in zip(records, labels_of(records), strict=True):
        for talk in record.conversations:
            key = (*labels.values(), talk.scenario, talk.seed, talk.a, talk.b)
            if key in seen:
                raise PersbenchError(
                    f"two records hold the conversation of {record.pair} on {talk.scenario}, seed {talk.seed}: name a "
                    "folder that holds it once."
                )
            seen.add(key)


def _signatures(records: Sequence[ConversationRecord]) -> list[str]:
    """Write what all records share once, then what is each one's own."""
    facts: list[Mapping[str, object]] = [record.signature for record in records]
    shared = {k: v for k, v in facts[0].items() if all(k in one and one[k] == v for one in facts)} if facts else {}
    own = [(r.pair, {k: v for k, v in r.signature.items() if k not in shared}) for r in records]
    return ([signature(shared)] if shared else []) + [f"{name}  {signature(one)}" for name, one in own if one]
