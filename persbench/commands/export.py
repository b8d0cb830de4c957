"""Export training data for other trainers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from persbench.commands.console import err_console, names_in, next_step, out_console


def export(
    out: Annotated[
        Path, typer.Option(help="A file that ends in .jsonl, for one persona, or a folder, which gets a file for each.")
    ],
    pack: Annotated[
        str | None, typer.Argument(help="Folder of a pack, or a bundled world (default: the reference world).")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="sharegpt, trl-sft or trl-preference.")] = "trl-sft",
    persona: Annotated[str, typer.Option(help="Comma-separated persona ids.")] = "",
    world: Annotated[bool, typer.Option("--world", help="All personas of the pack, a file each.")] = False,
    recipe: Annotated[
        str, typer.Option(help="Name of a recipe, or path of a YAML file: which rows, in which form, how often.")
    ] = "persllm",
    seed: Annotated[int | None, typer.Option(min=0, help="Of the order, instead of the recipe's.")] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Each different row once, not as often as an epoch of the recipe has it.")
    ] = False,
) -> None:
    """Write what `persbench train` learns from as ShareGPT or TRL files, with a card beside them."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.table import Table

    from persbench.packs.bundled import resolve_pack
    from persbench.packs.load import load_pack
    from persbench.training.command import personas_meant
    from persbench.training.export import ExportSettings
    from persbench.training.export import export as write

    names = personas_meant(load_pack(resolve_pack(pack)), names_in(persona), world=world, what="export")
    settings = ExportSettings(out=out, format=form, personas=names, recipe=recipe, pack=pack, seed=seed, once=once)
    columns = (TextColumn("personas"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err_console, transient=True, disable=not err_console.is_terminal) as bar:
        task = bar.add_task("", total=len(names))
        files = write(settings, advance=lambda: bar.advance(task))
    table = Table("file", "persona", "rows", "ordinary dialogue", "left out", box=None)
    for file in files:
        table.add_row(str(file.path), file.persona, *map(str, (file.rows, file.ordinary, len(file.dropped))))
    out_console.print(table)
    source = f"'json', data_files='{out}'" if out.suffix == ".jsonl" else f"'{out}', '{names[0]}'"
    next_step(f'python -c "import datasets; print(datasets.load_dataset({source}))"')
