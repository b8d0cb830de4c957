"""The leaderboard: its site, made from records."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from persbench.commands.console import err_console, next_step

if TYPE_CHECKING:
    from persbench.report.cells import Cell

app = typer.Typer(help="Make the leaderboard.", no_args_is_help=True)


@app.command()
def build(
    records: Annotated[Path, typer.Argument(help="Folder with results, as `persbench run --out` writes them.")],
    out: Annotated[Path, typer.Option(help="Folder of the site, replaced as a whole.")] = Path("leaderboard/site"),
    transcripts: Annotated[
        int, typer.Option(min=0, help="Dialogues shown of each task and persona; of free replies four times as many.")
    ] = 4,
    figures: Annotated[bool, typer.Option(help="Draw figures.")] = True,
    pack: Annotated[
        str | None,
        typer.Option(help="Pack of the records, for the prompts that they do not hold (default: the bundled one)."),
    ] = None,
) -> None:
    """Build a static site from records: tables, ranks, figures and transcripts; it needs no server and no network."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from persbench.commands.report import cells_of, judged_of
    from persbench.report.site.build import build_site, check_folder

    check_folder(out)
    cells = cells_of(records)
    columns = (TextColumn("{task.description:8}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=err_console, transient=True) as bars:
        tasks = {}

        def progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        number = build_site(
            cells,
            out,
            most=transcripts,
            figures=figures,
            judged=judged_of(records, cells),
            asked=_asked(cells, pack),
            jobs=os.cpu_count() or 1,
            progress=progress,
        )
    err_console.print(f"{number} files in {out}", highlight=False, markup=False, soft_wrap=True)
    next_step(f"open {out / 'index.html'} in a browser")


def _asked(cells: list[Cell], pack: str | None) -> dict[tuple[str, str, str], str]:
    """Return the prompts of free replies, where a pack is the very one of the records."""
    from persbench.packs.load import load_pack, resolve_pack
    from persbench.report.site.asked import asked_by

    loaded = load_pack(resolve_pack(pack))
    known = {row.get("pack_hash") for cell in cells for rows in cell.tasks.values() for row in rows[:1]}
    if loaded.hash in known:
        return asked_by(loaded)
    if pack is not None:
        err_console.print(
            f"{pack} is not the pack of these records (its hash is {loaded.hash[:12]}): the prompts of free replies "
            "are left out.",
            style="yellow",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    return {}
