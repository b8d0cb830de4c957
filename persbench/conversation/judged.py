"""Conversations and judges: what a judge is to read of them, and what it said.

Every utterance is held against the speaker's profile, against its answers to the questions that the talk touches, and
against its earlier utterances (`persbench judge --kinds contradict`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from persbench.conversation.lines import Entry, Metric, labels_of
from persbench.conversation.measures import SIDES
from persbench.judging.fit import CONVERSATIONS
from persbench.judging.qualification import NOT_EXAMINED, TOOK_PART, is_same_model
from persbench.judging.records import consistency_shares
from persbench.judging.said import names_of, said_by
from persbench.scoring.stats import cluster_interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from persbench.conversation.records import Conversation, ConversationRecord, Side
    from persbench.judging.qualification import Qualification
    from persbench.judging.records import JudgedRecord
    from persbench.samples import Row


JUDGED: Final = (
    Metric("prompt_to_line", "profile", "utterances that do not contradict the speaker's profile", against="prompt"),
    Metric("line_to_line", "own lines", "pairs of its utterances that do not contradict each other", against="line"),
    Metric("answered", "own answers", "utterances that do not contradict its own answers", against="answer"),
)


@dataclass(frozen=True)
class TalkCell:
    """What one system said as one persona, as judging reads it (`judging.fit.Cell`).

    Attributes:
        system: Label of the system (`lines.labels_of`).
        persona: Persona id.
        signature: Facts behind it.
        tasks: `CONVERSATIONS` -> a row a conversation.
    """

    system: str
    persona: str
    signature: dict[str, Any]
    tasks: dict[str, list[Row]] = field(default_factory=dict)


@dataclass(frozen=True)
class JudgedTalks:
    """What one judge said of the conversations.

    Attributes:
        judge: Its name.
        signature: Printed beside its figures.
        why: Why its figures are no result; empty if it qualified in this kind of judgement on this pack.
        entries: (kind of talk, label, persona or "") -> metric of `JUDGED` -> figure.
        notes: What a reader must know beside them.
        took_part: The judge is the model that wrote the pack.
    """

    judge: str
    signature: str
    why: str
    entries: dict[tuple[str, str, str], dict[str, Entry]]
    notes: tuple[str, ...] = ()
    took_part: bool = False


def talk_cells(records: Sequence[ConversationRecord]) -> list[TalkCell]:
    """Return what there is to judge: one cell a system (by label) and persona."""
    rows: dict[tuple[str, str], list[Row]] = defaultdict(list)
    facts: dict[tuple[str, str], dict[str, Any]] = {}
    for record, labels in zip(records, labels_of(records), strict=True):
        for talk in record.conversations:
            for side in SIDES:
                key = labels[side], talk.agent(side).persona
                facts.setdefault(key, dict(record.signature))
                rows[key].append(_row(record, talk, side))
    return [TalkCell(*key, facts[key], {CONVERSATIONS: found}) for key, found in sorted(rows.items())]


def _row(record: ConversationRecord, talk: Conversation, side: Side) -> Row:
    questions = record.scenarios.get(talk.scenario, {}).get("questions", ())
    # Both speakers, since the same scenario and seed may be played with other people, or at other stages.
    cast = "/".join(f"{agent.persona}/{agent.stage}" for agent in (talk.a, talk.b))
    exchanges = list(_exchanges(talk, side))
    return {
        "id": f"{talk.scenario}/{talk.seed}/{side}/{cast}",
        "persona": talk.agent(side).persona,
        "stage": talk.agent(side).stage,
        "cluster": talk.scenario,
        "kind": talk.kind,
        "questions": list(questions),
        "pack_hash": str(record.signature.get("pack", "")).rpartition("@")[2],
        # Who had no turn in a whole talk said nothing that could be judged; in one that broke off it is unscored.
        "transcripts": {"talk": exchanges} if exchanges or talk.fault else {},
        "faults": {"talk": talk.fault} if talk.fault else {},
    }


def _exchanges(talk: Conversation, side: Side) -> Iterator[dict[str, str]]:
    heard = ""
    for turn in talk.turns:
        if turn.speaker != side:
            heard = turn.text
        elif not turn.authored:
            yield {"user": heard, "reply": turn.text}


def judged_talks(
    records: Sequence[ConversationRecord], judged: Sequence[JudgedRecord], qualifications: Sequence[Qualification]
) -> list[JudgedTalks]:
    """Pool what judges said of these conversations; what they said of others is left out.

    Args:
        records: The conversations as they are now.
        judged: Records of judging from beside them.
        qualifications: All that are known; those of the judge on the pack count.
    """
    said = said_by(talk_cells(records), "contradict")
    return [
        _talks(one, {name for name, _ in one.cells.items() & said}, qualifications)
        for one in judged
        if one.kind == "contradict" and any(row.task == CONVERSATIONS for row in one.rows)
    ]


def _talks(record: JudgedRecord, there: set[str], qualifications: Sequence[Qualification]) -> JudgedTalks:
    every = [row for row in record.rows if row.task == CONVERSATIONS]
    rows = [row for row in every if names_of(row) <= there]
    entries: dict[tuple[str, str, str], dict[str, Entry]] = defaultdict(dict)
    for metric in JUDGED:
        groups: dict[tuple[str, str, str], list[tuple[float | None, str, int]]] = defaultdict(list)
        about = {row.place["dialogue"]: row for row in rows}
        for (label, _, dialogue, _), share in consistency_shares(rows, metric.against).items():
            row = about[dialogue]
            for who in (row.persona, ""):
                groups[row.stratum, label, who].append((share.value, row.cluster, share.unscored))
        for key, shares in groups.items():
            value = cluster_interval([share for share, *_ in shares], [cluster for _, cluster, _ in shares])
            entries[key][metric.name] = Entry(replace(value, unscored=sum(count for *_, count in shares)))
    pack_hash = record.pack.rpartition("@")[2]
    examined = [
        one
        for one in qualifications
        if one.judge["id"] == record.judge["id"] and pack_hash and one.pack["hash"].startswith(pack_hash)
    ]
    standing = examined[-1].standing("contradict") if examined else NOT_EXAMINED
    builders = [builder for builder in (record.built_by, *(one.built_by for one in examined)) if builder]
    took_part = bool(builders) and is_same_model(builders[0], str(record.judge["annotator"]))
    return JudgedTalks(
        judge=str(record.judge["name"]),
        signature=record.signature,
        why="" if standing.qualified else standing.why,
        entries=dict(entries),
        notes=tuple(_notes(record, len(every) - len(rows), took_part=took_part)),
        took_part=took_part,
    )


def _notes(record: JudgedRecord, gone: int, *, took_part: bool) -> Iterator[str]:
    if took_part:
        yield TOOK_PART
    if gone:
        yield (
            f"{gone} verdicts are about conversations that are no longer there as they were judged, and are left out: "
            "`persbench judge` again asks about the new ones alone"
        )
    if missing := record.cases - len(record.rows):
        yield f"{missing} cases are not judged yet"
