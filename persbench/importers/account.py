"""IMPORT.md of an imported pack: where everything came from, what it was called, and what was left out, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from persbench.importers.findings import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from persbench.importers.findings import Findings, Group
    from persbench.importers.form import Format
    from persbench.importers.licence import Licence

FILE: Final = "IMPORT.md"
ABOUT: Final = (
    "Texts and ids are the source's own; nothing was written for this pack. Candidates are not matched for length or "
    "manner, as those of the reference worlds are: read the sanity systems' scores beside every other. Where each row "
    "stands in the source, and under which id, is told in ORIGINS.tsv."
)


def account(
    form: Format,
    licence: Licence,
    files: Mapping[str, str],
    counts: Mapping[str, int],
    tasks: tuple[str, ...],
    findings: Findings,
) -> str:
    """Write the account of an import (Markdown). It holds no time and no path, so that equal imports write equal ones.

    Args:
        form: The source's format.
        licence: What world.yaml says.
        files: Name of each file that was read to its SHA-256.
        counts: File stem to rows.
        tasks: Tasks with items.
        findings: Everything else.
    """
    lines = [
        f"# Imported from {form.title}",
        "",
        ABOUT,
        "",
        f"Licence: {printable(licence.text)} (from {printable(licence.origin)}).",
        *(f"- {printable(flag)}" for flag in licence.flags),
        "",
        f"Rows: {', '.join(f'{name} {n:,}' for name, n in sorted(counts.items())) or 'none'}.",
        f"Tasks with items: {', '.join(tasks) or 'none'}.",
        *(f"\n{text}" for text in findings.notes),
        "",
        "## Files read",
        *(f"- {_code(name)} sha256 {digest}" for name, digest in files.items()),
        *_groups("Left out", findings.dropped),
        *_groups("Taken over, and to be looked at", findings.noticed),
    ]
    if findings.aside:
        lines += ["", "## Files that nothing was taken from"]
        lines += [f"- {_code(name)}: {reason}" for name, reason in sorted(findings.aside.items())]
    return "\n".join(lines) + "\n"


def _groups(title: str, groups: Mapping[str, Group]) -> Iterator[str]:
    if groups:
        yield from ("", f"## {title}")
    for reason, group in sorted(groups.items(), key=lambda item: (-item[1].count, item[0])):
        yield from ("", f"### {reason}: {group.count:,}")
        yield from (f"- {_code(name)}" for name in group.names)
        if len(group.names) < group.count:
            yield f"- and {group.count - len(group.names):,} more"


def _code(text: str) -> str:
    """Show a stranger's text as code, so that nothing in it is taken for markup."""
    return f"`{printable(text).replace('`', chr(39))}`"
