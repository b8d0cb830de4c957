"""What a build leaves out: every drop with its step, its place and its reason, so that none goes unseen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

Reason = Literal[
    "not read", "not about the persona", "belongs to no stage", "unanswered", "malformed answer",
    "repeats a prompt", "repeats a row", "leaks a test text",
]  # fmt: skip
REASONS: Final[tuple[Reason, ...]] = Reason.__args__  # type: ignore[attr-defined]


class Drop(NamedTuple):
    """One thing left out.

    Attributes:
        step: The step that left it out, by the name of its prompt where it asks one.
        where: What was left out: a place in the raw text, a question, an id.
        reason: One of a few, to be counted.
        detail: What exactly was wrong.
    """

    step: str
    where: str
    reason: Reason
    detail: str


@dataclass
class Drops:
    """The drops of one build, in the order in which they fell."""

    rows: list[Drop]

    def add(self, step: str, where: str, reason: Reason, detail: str = "") -> None:
        """Note one more."""
        self.rows.append(Drop(step, where, reason, detail))

    def counted(self) -> dict[str, dict[str, int]]:
        """Return how many were left out, by step and reason."""
        found = Counter((drop.step, drop.reason) for drop in self.rows)
        steps = dict.fromkeys(step for step, _ in found)
        return {step: {r: found[step, r] for r in REASONS if found[step, r]} for step in steps}
