"""What a world holds, counted: the layout of the paper's table 1 (arXiv 2407.12393)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persbench.data.passages import passages

if TYPE_CHECKING:
    from persbench.packs.pack import Pack, PersonaData

TEST_FILES = ("answers", "contrast", "knowledge", "induction", "stage_items")


def table_1(pack: Pack) -> list[list[str]]:
    """Count raw material and data set by persona.

    Args:
        pack: The world.

    Returns:
        Rows of text, the head first: a label, one column a persona, the sum, and the words where the row has texts of
        its own. Knowledge items count once a question, attitude items once an answer to a shared question.
    """
    texts = passages(pack)
    stages = [stage.id for stage in pack.world.stages]

    def words(split: str, name: str = "") -> int:
        chosen = (p for p in texts if p.split == split and p.persona and (not name or p.file.endswith(f"{name}.jsonl")))
        return sum(len(p.text.split()) for p in chosen)

    def material(kind: str) -> tuple[list[int], int]:
        rows = [[m for m in data.materials if m.kind == kind] for data in pack.personas]
        return [len(row) for row in rows], sum(len(m.text.split()) for row in rows for m in row)

    table = [["", *[data.persona.name for data in pack.personas], "sum", "words"]]
    for kind, label in (("speech", "conversation"), ("experience", "experience"), ("knowledge", "knowledge")):
        counts, total = material(kind)
        table.append(_row(f"{label} paragraphs", counts, total))
    for number, stage in enumerate(stages):
        counts = [sum(row.stage == stage for row in data.train) for data in pack.personas]
        table.append(_row(f"train, {stage}", counts, words("train", "train") if number == 0 else None))
    for number, stage in enumerate(stages):
        counts = [_tested(data, stage) for data in pack.personas]
        table.append(_row(f"test, {stage}", counts, words("test") if number == 0 else None))
    table.append(_row("knowledge items in test", [len(data.knowledge) for data in pack.personas], None))
    table.append(_row("attitude items in test", [len(data.answers) for data in pack.personas], None))
    return table


def _tested(data: PersonaData, stage: str) -> int:
    """Count test rows of a stage; a stage item belongs to every stage it has a reply for."""
    rows = [row for name in TEST_FILES[:-1] for row in getattr(data, name)]
    return int(sum(row.stage == stage for row in rows) + sum(stage in item.replies for item in data.stage_items))


def _row(label: str, counts: list[int], words: int | None) -> list[str]:
    return [label, *map(str, counts), str(sum(counts)), "" if words is None else f"{words / 1000:.1f}k"]
