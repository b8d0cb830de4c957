"""What sorting replies by program is worth, as a table, beside what two readings of the same replies agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from persbench.scoring.resistance import REPLY_CLASSES

if TYPE_CHECKING:
    from persbench.scoring.reply_examination import Agreement, Examination

WANTED: Final = 0.6  # "substantial" by Landis and Koch (1977, doi:10.2307/2529310); below it the board says so


def markdown_examination(found: Examination) -> str:
    """Write agreement, accuracy and kappa, over all, by system and by kind, and the confusion matrix."""
    rows = [
        ("two readings (the ceiling)", found.ceiling),
        ("program against labels", found.classifier),
        *((f"program, system {name}", part) for name, part in found.by_system.items()),
        *((f"program, kind {name}", part) for name, part in found.by_kind.items()),
    ]
    lines = [
        "| | accuracy | Cohen's kappa | n |",
        "|---|---:|---:|---:|",
        *(_row(name, part) for name, part in rows),
        f"| the commonest label always | {found.majority:.2f} | 0.00 | {found.classifier.n} |",
        "",
        f"| label | {' | '.join(f'sorted as {name}' for name in REPLY_CLASSES)} |",
        "|---|" + "---:|" * len(REPLY_CLASSES),
        *(
            f"| {label} | {' | '.join(str(found.confusion.get((label, said), 0)) for said in REPLY_CLASSES)} |"
            for label in REPLY_CLASSES
        ),
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, part: Agreement) -> str:
    kappa = "-" if part.kappa is None else f"{part.kappa:.2f}"
    return f"| {name} | {part.accuracy:.2f} | {kappa} | {part.n} |"
