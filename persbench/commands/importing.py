"""Import other projects' data sets as packs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from persbench.commands.console import err_console, next_step, out_console

if TYPE_CHECKING:
    from rich.table import Table

    from persbench.importers.importing import Imported


def import_(
    form: Annotated[
        str,
        typer.Argument(metavar="FORMAT", help="persllm, rolebench, charactereval or personagym.", show_default=False),
    ],
    source: Annotated[
        Path,
        typer.Argument(metavar="SRC", help="The data set's folder as downloaded, or its file.", show_default=False),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the pack: new, empty, or this very import.", show_default=False)
    ],
    accept_licence: Annotated[
        str | None,
        typer.Option(help="Name of the licence that you accept for a source without one; world.yaml records it."),
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="Language of the texts, such as en (default: the format's own).")
    ] = None,
    profiles: Annotated[
        Path | None, typer.Option(help="JSON object from name to description, instead of the source's own.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The persona's name, where the files lie in no folder of its name (persllm).")
    ] = None,
    stages: Annotated[
        Path | None, typer.Option(help="YAML file with the world's stages: id, temporal_label, year, date.")
    ] = None,
) -> None:
    """Import another project's data set as a pack, and say what of it fits nowhere."""
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from persbench.importers.form import Options, read_stages
    from persbench.importers.importing import import_pack

    options = Options(accept_licence, language, name, profiles, read_stages(stages) if stages else ())
    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TextColumn("rows"))
    with Progress(*columns, TimeElapsedColumn(), console=err_console, transient=True) as bar:
        task = bar.add_task(f"reading {source.name}", total=None)
        done = import_pack(form, source, out, options, lambda n: bar.advance(task, n))
    what = "was imported before, and is the same" if done.unchanged else "imported"
    out_console.print(
        f"{out} {what}: {done.counts['personas']:,} personas, licence {done.licence.text}", markup=False, soft_wrap=True
    )
    for flag in done.licence.flags:
        err_console.print(f"licence: {flag}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    out_console.print(_table(done))
    tasks = ", ".join(done.tasks) or "none of its own; personality scales run with --instrument FILE.csv"
    out_console.print(f"tasks with items: {tasks}", highlight=False, markup=False, soft_wrap=True)
    out_console.print(f"every name: {out / 'IMPORT.md'}", highlight=False, markup=False, soft_wrap=True)
    next_step(_next(done, out))


def _table(done: Imported) -> Table:
    """Show rows by file, and what was left out or noticed by reason with the first of each."""
    from rich.markup import escape
    from rich.table import Table

    from persbench.importers.findings import printable

    table = Table("", "count", "the first", box=None, pad_edge=False)
    for stem, count in sorted(done.counts.items()):
        if stem != "personas":
            table.add_row(f"[green]{stem}[/green]", f"{count:,}", "")
    groups = (("left out", "red", done.findings.dropped), ("look at", "yellow", done.findings.noticed))
    for label, colour, found in groups:
        for reason, group in sorted(found.items(), key=lambda item: -item[1].count):
            table.add_row(f"[{colour}]{label}[/{colour}] {escape(reason)}", f"{group.count:,}", escape(group.names[0]))
    if done.findings.aside:
        first = min(done.findings.aside)
        table.add_row("files that nothing was taken from", f"{len(done.findings.aside):,}", escape(printable(first)))
    return table


def _next(done: Imported, out: Path) -> str:
    if done.tasks:
        return f"persbench run --pack {out} --tasks {','.join(done.tasks)} --limit 4 --out runs/imported"
    if done.counts.get("train"):
        return f"persbench train --pack {out} --world --recipe no-general --out adapters/imported"
    return f"persbench run --pack {out} --tasks persbench_traits --instrument FILE.csv --out runs/imported"
