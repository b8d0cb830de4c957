"""What judges are worth, as tables: their exams beside judges that read nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich import box
from rich.markup import escape
from rich.table import Table

from persbench.judging.authored import FAMILIES
from persbench.judging.cases import KINDS
from persbench.report.table import ends, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.judging.measures import Exam
    from persbench.judging.qualification import Qualification
    from persbench.scoring.stats import Interval

HEAD: Final = (
    "judgement: of",
    "accuracy",
    "best trivial",
    "lead over it",
    "position",
    "length",
    "again",
    "unscored",
    "n",
)
LEGEND: Final = (
    "accuracy: pairs of authored texts of which the right one was told from the wrong one (chance 0.50) [95% interval, "
    "bootstrap over questions]. best trivial: the best of judges that read nothing (longest, shortest, random, "
    "embedding), on the same pairs. A judge qualifies where its lead over each of them has an interval above zero and "
    "at most a fifth of its verdicts are unscored. position: how much oftener the text shown first is put higher than "
    "lower. length: accuracy where the right text is the longer one, minus that where it is the shorter one. again: "
    "same verdict when asked again with another seed. unscored: share of verdicts that could not be had or read. "
    "n: pairs."
)


def exam_rows(found: Qualification) -> list[tuple[list[str], str]]:
    """Lay out the exams of a judge.

    Returns:
        For each exam the cells under `HEAD`, and why it was failed; empty if it was passed.
    """
    return [([f"{exam.kind}: {exam.family}", *_cells(exam)], exam.failure) for exam in found.exams]


def _cells(exam: Exam) -> list[str]:
    best = exam.best
    return [
        _value(exam.accuracy),
        f"{best} {number(exam.trivial[best].mean)}",
        _value(exam.gaps[best], "signed"),
        "-" if exam.position is None else _value(exam.position, "signed"),
        _value(exam.length, "signed"),
        "-" if exam.again is None else number(exam.again.mean),
        f"{exam.unscored_rate:.0%}",
        str(exam.accuracy.n),
    ]


def _value(value: Interval, style: str = "share") -> str:
    return "unscored" if value.mean is None else f"{number(value.mean, style)} {ends(value, style)}"


def verdict_lines(found: Qualification) -> list[str]:
    """Say of each kind of judgement whether the judge qualified, and what is against it."""
    lines = []
    for kind in KINDS:
        standing = found.standing(kind)
        lines.append(f"{kind}: {'qualified' if standing.qualified else standing.why}")
    return lines


def scope_lines(found: Qualification) -> list[str]:
    """Say of exams that were taken on part of the pack's pairs which part that was."""
    parts: dict[str, list[str]] = {}
    for exam in found.exams:
        if exam.limit is not None or exam.personas:
            told = "pairs" if exam.limit is None else f"the first {exam.limit} pairs"
            told += f" of {', '.join(exam.personas)}" if exam.personas else ""
            parts.setdefault(told, []).append(f"{exam.kind}: {exam.family}")
    return [f"examined on {told} alone: {'; '.join(names)}" for told, names in parts.items()]


def terminal_qualification(found: Qualification) -> Table:
    """Lay the exams out for a terminal; those that were failed are dim."""
    grid = Table(box=box.HORIZONTALS, pad_edge=False)
    for place, head in enumerate(HEAD):
        grid.add_column(head, justify="left" if place == 0 else "right", overflow="fold")
    for cells, failure in exam_rows(found):
        grid.add_row(*map(escape, cells), style="dim" if failure else "")
    return grid


def markdown_qualifications(found: Sequence[Qualification]) -> str:
    """Write the exams of several judges as Markdown, each with its signature."""
    blocks = []
    for one in found:
        head = f"**{one.judge['name']}** on {one.pack['id']} {one.pack['version']}"
        rows = [list(HEAD), ["---"] + ["---:"] * (len(HEAD) - 1)]
        rows += [cells for cells, _ in exam_rows(one)]
        blocks += [
            head,
            "\n".join(f"| {' | '.join(row)} |" for row in rows),
            "\n".join(f"- {line}" for line in [*verdict_lines(one), *scope_lines(one)]),
            f"```\n{one.signature}\n```",
        ]
    return "\n\n".join([*blocks, LEGEND]) + "\n"


def family_lines(found: Qualification) -> list[str]:
    """Say what each family of pairs in the exams is."""
    return [f"{family}: {told}" for family, told in FAMILIES.items() if any(e.family == family for e in found.exams)]
