"""The material of one PersLLM persona: paragraphs each once, and what an item's retrieved lines refer to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from persbench.importers.naming import row_id, text_digest
from persbench.importers.persllm_files import unlabelled

if TYPE_CHECKING:
    from persbench.importers.persllm_files import Item
    from persbench.importers.writer import Origin, PackWriter
    from persbench.packs.schema import MaterialKind

GAP: Final = "..."  # what the released script writes after each retrieved paragraph
_GAPS: Final = re.compile(r"\.\.\.(?!\.)")  # of more dots in a row the last three are the gap
JOINED: Final = 8  # a paragraph with gaps of its own is looked for in so many pieces


class Materials:
    """The material of one persona.

    Args:
        writer: Writes the rows.
        persona: The persona's id.
        stages: Ids of the stages in order: material of a later stage is no item's.
    """

    def __init__(self, writer: PackWriter, persona: str, stages: tuple[str, ...]) -> None:
        self.writer, self.persona = writer, persona
        self._order = {stage: place for place, stage in enumerate(stages)}
        self._known: dict[str, tuple[str, int]] = {}  # digest of the text -> (id, place of its stage)

    def add(self, text: str, stage: str, kind: MaterialKind, origin: Origin) -> str | None:
        """Write a paragraph unless it is there already, at this stage or before.

        Returns:
            The row's id; None where the paragraph is empty or nothing that a pack can hold.
        """
        text = unlabelled(text)
        if not text:
            return None
        if (there := self.find(text, stage)) is not None:
            return there
        digest = text_digest(text)
        # A paragraph that is known of a later stage alone comes a second time, under the earlier one.
        name = row_id(self.persona, f"m-{digest[:12]}" if digest not in self._known else f"m-{digest[:12]}-{stage}")
        row = {"id": name, "stage": stage, "kind": kind, "text": text}
        if not self.writer.row("materials", row, origin, self.persona):
            return None
        self._known[digest] = name, self._order[stage]
        return name

    def find(self, text: str, stage: str) -> str | None:
        """Return the id of a paragraph that is known at a stage or before."""
        found = self._known.get(text_digest(text))
        return found[0] if found is not None and found[1] <= self._order[stage] else None

    def of_item(self, item: Item, stage: str) -> tuple[list[str], int]:
        """Find the material of an item: its own unit first, then what was retrieved.

        The unit is written if it is new; which of the two retrieved lines begins with it says what kind it is.

        Returns:
            (ids, each once; number of retrieved pieces that are no known paragraph).
        """
        unit = unlabelled(item.unit)
        is_speech = bool(unit) and item.speech.startswith(unit) and not item.objective.startswith(unit)
        own = self.add(unit, stage, "speech" if is_speech else "knowledge", item.origin)
        found = dict.fromkeys([own] if own else [])
        unknown = 0
        for line in (item.objective, item.speech):
            ids, missed = self._retrieved(line.removeprefix(unit), stage)
            found |= dict.fromkeys(ids)
            unknown += missed
        return list(found), unknown

    def _retrieved(self, line: str, stage: str) -> tuple[list[str], int]:
        """Take a line of retrieved paragraphs apart at its gaps, the longest known paragraph first."""
        pieces = _GAPS.split(line)
        ids: list[str] = []
        unknown = at = 0
        while at < len(pieces):
            for end in range(min(len(pieces), at + JOINED), at, -1):
                if (name := self.find(unlabelled(GAP.join(pieces[at:end])), stage)) is not None:
                    ids.append(name)
                    at = end
                    break
            else:
                unknown += bool(pieces[at].strip())
                at += 1
        return ids, unknown
