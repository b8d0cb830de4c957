"""What free replies answer: from dialogues that ask the same question, or from the very pack of the records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from persbench.report.site.evaluations import reading

if TYPE_CHECKING:
    from collections.abc import Iterable

    from persbench.packs.pack import Pack
    from persbench.report.site.evaluations import Evaluation

Asked = Mapping[tuple[str, str, str], str]
"""(pack hash, task or nothing, item or question id) -> text."""


def asked_in_dialogues(found: Iterable[Evaluation]) -> dict[tuple[str, str, str], str]:
    """Return the shared questions that probes of dialogues ask, each in one of its wordings."""
    texts: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for one in found:
        with reading(one):
            for row in (row for cell in one.cells for rows in cell.tasks.values() for row in rows):
                asks = (probe["ask"] for probes in (row.get("probes") or {}).values() for probe in probes)
                texts[str(row.get("pack_hash", "")), "", str(row["cluster"])].update(map(str, asks))
    return {key: min(asks) for key, asks in texts.items() if asks}


def asked_by(pack: Pack) -> dict[tuple[str, str, str], str]:
    """Return what a pack asks for free replies; it answers for records of its own hash alone."""
    found = {(pack.hash, "", question.id): question.text for question in pack.questions}
    for data in pack.personas:
        for item in data.induction:
            found[pack.hash, "persbench_induction_reply", f"induction_reply/{item.id}"] = item.induced
        for dialogue in pack.general:
            users = [message.content for message in dialogue.messages if message.role == "user"]
            found[pack.hash, "persbench_general_reply", f"general_reply/{data.persona.id}/{dialogue.id}"] = users[-1]
    return found
