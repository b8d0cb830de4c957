"""The transcript page: one HTML file that holds all talks, with nothing to fetch and nothing unescaped.

Two systems stand side by side on the same scenario. The page forbids every script and style but its own by their
hashes, so that a text that an escape had missed could still not run.
"""

from __future__ import annotations

import base64
import hashlib
import math
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from persbench.conversation.judged import JUDGED
from persbench.conversation.layout import GREY, LEGEND, chance_row, columns_by_group, counts, ends, number
from persbench.conversation.lines import BASELINES, labels_of, pair_of
from persbench.conversation.measures import SIDES
from persbench.conversation.views import TalkView, Views, odds_of, shown
from persbench.errors import UnknownNameError
from persbench.records import write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from persbench.conversation.lines import Entry, Line, Metric
    from persbench.conversation.measures import Measured
    from persbench.conversation.records import Conversation, ConversationRecord
    from persbench.conversation.report import ConversationTable
    from persbench.packs.pack import Pack


def write_page(path: Path, records: Sequence[ConversationRecord], table: ConversationTable, pack: Pack) -> None:
    """Write the transcript page.

    Args:
        path: Of the file, as a rule `transcripts.html`.
        records: The conversations.
        table: Their figures, by `report.conversation_table`.
        pack: What they were played with.

    Raises:
        PersbenchError: It cannot be written.
    """
    write_atomic(path, page(records, table, pack).encode())


def page(records: Sequence[ConversationRecord], table: ConversationTable, pack: Pack, *, home: str = "") -> str:
    """Return the transcript page as HTML; arguments as of `write_page`, and the page that it leads back to, if any."""
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - slow to import, and of no use to the table
    from markupsafe import Markup  # noqa: PLC0415

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    own = {name: _own(name) for name in ("page.css", "page.js", "page.html.j2")}
    scenarios = _scenarios(records, table, pack)
    systems = list(dict.fromkeys(talk.system for one in scenarios for talk in one["talks"]))
    systems.sort(key=lambda name: BASELINES.index(name) if name in BASELINES else len(BASELINES))
    return environment.from_string(own["page.html.j2"]).render(
        world=shown(pack.world.name),
        home=home,
        style=Markup(own["page.css"]),  # noqa: S704 - our own file
        script=Markup(own["page.js"]),  # noqa: S704
        style_hash=_hash(own["page.css"]),
        script_hash=_hash(own["page.js"]),
        scenarios=scenarios,
        systems=systems,
        seeds=sorted({talk.seed for one in scenarios for talk in one["talks"]}),
        left=systems[0] if systems else "",
        right=systems[-1] if systems else "",
        talks=sum(len(record.conversations) for record in records),
        tables=_tables(table),
        notes=[shown(note) for note in table.notes],
        legend=LEGEND,
        signatures=[shown(text) for text in table.signatures],
    )


def _own(name: str) -> str:
    return files("persbench.conversation").joinpath("transcript", name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _scenarios(records: Sequence[ConversationRecord], table: ConversationTable, pack: Pack) -> list[dict[str, Any]]:
    """Gather the talks of all records by scenario, in the order in which they come."""
    every = [value for talks in table.measured for found in talks for odds in odds_of(found).values() for value in odds]
    scale = math.ceil(max([2.0, *(abs(value) for value in every if value is not None)]))
    views = Views(pack, scale)
    found: dict[str, dict[str, Any]] = {}
    for record, names, talks in zip(records, labels_of(records), table.measured, strict=True):
        label = pair_of(record, names)
        for one in talks:
            name = one.conversation.scenario
            if name not in found:
                found[name] = _scenario(name, one, record.scenarios.get(name, {}), views, pack)
                found[name]["anchor"] = f"scenario-{len(found)}"
            found[name]["talks"].append(views.talk(one, label))
    for one_scenario in found.values():
        one_scenario["talks"].sort(key=lambda talk: talk.seed)
    return list(found.values())


def _scenario(name: str, first: Measured, row: Mapping[str, Any], views: Views, pack: Pack) -> dict[str, Any]:
    talk = first.conversation
    speakers = {side: views.speaker(talk.agent(side)) for side in SIDES}
    talks: list[TalkView] = []
    return {
        "id": shown(name),
        "kind": shown(talk.kind),
        "between": " and ".join(speaker.name for speaker in speakers.values()),
        "setting": shown(str(row.get("setting", ""))),
        "aims": [(side, shown(str(row.get(f"aim_{side}", ""))), speakers[side]) for side in SIDES],
        "questions": [
            found for question in row.get("questions", ()) if (found := _question(question, talk, views, pack))
        ],
        "talks": talks,
    }


def _question(name: str, talk: Conversation, views: Views, pack: Pack) -> dict[str, Any] | None:
    try:
        question = pack.question(name)
        answers = {side: pack.persona(talk.agent(side).persona).answer(name, talk.agent(side).stage) for side in SIDES}
    except UnknownNameError:
        return None
    own = {side: answer.stance if answer else None for side, answer in answers.items()}
    stances = [
        {
            "id": shown(stance.id),
            "text": shown(stance.text),
            "holders": [(side, views.speaker(talk.agent(side)).name) for side in SIDES if own[side] == stance.id],
        }
        for stance in question.stances
    ]
    return {"id": shown(name), "text": shown(question.text), "stances": stances}


def _tables(table: ConversationTable) -> list[dict[str, Any]]:
    found = []
    for title, columns in columns_by_group():
        some = [c for c in columns if any(c.name in line.entries for line in table.lines)]
        if some:
            found.append(_table(title, some, table.lines, [line.entries for line in table.lines], []))
    for one in table.judged:
        entries = [one.entries.get((line.kind, line.label, line.persona), {}) for line in table.lines]
        title = f"Judged by {shown(one.judge)}{f' {GREY}' if one.why else ''}: without contradiction"
        notes = [*([f"{GREY} the judge {one.why}; its figures are no result"] if one.why else []), *one.notes]
        found.append(_table(title, JUDGED, table.lines, entries, [shown(n) for n in (*notes, one.signature)]))
    return found


def _table(
    title: str,
    columns: Sequence[Metric],
    lines: Sequence[Line],
    entries: Sequence[Mapping[str, Entry]],
    notes: Sequence[str],
) -> dict[str, Any]:
    kinds: dict[str, list[dict[str, Any]]] = {}
    for line, known in zip(lines, entries, strict=True):
        cells = [_cell(known.get(column.name), column.format) for column in columns]
        kinds.setdefault(shown(line.kind), []).append({"label": shown(line.label), "cells": cells})
    chances = chance_row([[known.get(column.name) for column in columns] for known in entries])
    return {"title": title, "columns": columns, "chances": chances, "kinds": list(kinds.items()), "notes": notes}


def _cell(entry: Entry | None, style: str) -> dict[str, str]:
    if entry is None:
        return {"value": "-", "ends": "", "counts": ""}
    if entry.value.mean is None:
        return {"value": "unscored", "ends": "", "counts": counts(entry)}
    return {"value": number(entry.value.mean, style), "ends": ends(entry, style), "counts": counts(entry)}
