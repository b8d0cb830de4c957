"""The leaderboard: its site, made from records; and records that others submit to it."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from persbench.commands.console import err_console, next_step, out_console

if TYPE_CHECKING:
    from persbench.report.cells import Cell
    from persbench.submission.submit import Submission

app = typer.Typer(help="Make the leaderboard, and submit to it.", no_args_is_help=True)


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
    conversations: Annotated[
        Path | None, typer.Option(help="What `persbench converse --out` wrote, for a page of conversations.")
    ] = None,
) -> None:
    """Build a static site from records: tables, ranks, figures and transcripts; it needs no server and no network."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from persbench.commands.report import cells_of, judged_of
    from persbench.report.cells import computing_from
    from persbench.report.site.build import build_site, check_folder

    check_folder(out)
    cells = cells_of(records)
    talks = "" if conversations is None else _conversations_page(conversations, pack)
    columns = (TextColumn("{task.description:8}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=err_console, transient=True) as bars:
        tasks = {}

        def progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        judged, asked = judged_of(records, cells), _asked(cells, pack)
        with computing_from(records):
            number = build_site(
                cells,
                out,
                most=transcripts,
                figures=figures,
                judged=judged,
                asked=asked,
                conversations=talks,
                jobs=os.cpu_count() or 1,
                progress=progress,
            )
    err_console.print(f"{number} files in {out}", highlight=False, markup=False, soft_wrap=True)
    next_step(f"open {out / 'index.html'} in a browser")


def _conversations_page(folder: Path, pack: str | None) -> str:
    from persbench.commands.conversations import measured
    from persbench.conversation.page import page

    records, table, loaded = measured(folder, pack)
    return page(records, table, loaded, home="index.html")


@app.command()
def submit(
    records: Annotated[
        Path, typer.Argument(help="A record, or the folder of `persbench run --out` or `lm_eval run --output_path`.")
    ],
    to: Annotated[Path, typer.Option(help="Folder of the board's records.")] = Path("leaderboard/records"),
    pack: Annotated[str | None, typer.Option(help="Pack of the records (default: the bundled one).")] = None,
    embedder: Annotated[
        str | None, typer.Option(help="Embedder that the records were scored with (default: all-MiniLM-L6-v2).")
    ] = None,
    without_embedder: Annotated[
        bool, typer.Option("--without-embedder", help="Leave out what needs an embedder; the record is marked so.")
    ] = False,
) -> None:
    """Check records in every number and put them on the board; what is wrong is told at once, and nothing written."""
    from persbench.packs.load import load_pack, resolve_pack
    from persbench.submission.examiner import Examiner
    from persbench.submission.submit import submit as submit_records

    def notice(line: str) -> None:
        err_console.print(line, highlight=False, markup=False, soft_wrap=True)

    examiner = Examiner(load_pack(resolve_pack(pack)), embedder, without_embedder=without_embedder)
    done = submit_records(records, to, examiner, notice, lambda name: notice(f"checking {name}"))
    _print_accepted(done)
    next_step(f"persbench leaderboard build {to} --out runs/site, to look at it")


@app.command()
def rescore(
    records: Annotated[Path, typer.Argument(help="A record, or a folder of them; each is replaced where it stands.")],
    pack: Annotated[str | None, typer.Option(help="Pack of the records (default: the bundled one).")] = None,
    embedder: Annotated[
        str | None, typer.Option(help="Embedder that the records were scored with (default: all-MiniLM-L6-v2).")
    ] = None,
) -> None:
    """Score records of an earlier version of a task by the present one, from the answers they hold, without a model."""
    from persbench.errors import PersbenchError
    from persbench.packs.load import load_pack, resolve_pack
    from persbench.submission.examiner import Examiner
    from persbench.submission.rescore import rescore_file, rescored_before
    from persbench.submission.submit import files_of

    examiner, faults = Examiner(load_pack(resolve_pack(pack)), embedder), []
    for path in files_of(records):
        try:
            record, changed = rescore_file(path, examiner)
        except PersbenchError as error:
            faults.append(str(error))
            continue
        tasks = ", ".join(
            f"{name.removeprefix('persbench_')} of {was}" for name, was in rescored_before(record).items()
        )
        told = f"{path.name}: {changed} values changed ({tasks})" if tasks else f"{path.name}: as it was"
        err_console.print(told, highlight=False, markup=False, soft_wrap=True)
    if faults:
        raise PersbenchError("\n".join([*faults, "These are as they were."]))
    next_step(f"persbench report table {records if records.is_dir() else records.parent}")


def _print_accepted(done: Submission) -> None:
    """Say what was checked: a line a system, and what could not be computed again."""
    from rich.table import Column, Table

    from persbench.submission.findings import counted

    table = Table(*(Column(name, overflow="fold") for name in ("system", "personas")))
    for name in ("tasks", "samples", "metrics recomputed", "unscored"):
        table.add_column(name, justify="right")
    for system in dict.fromkeys(one.record.system for one in done.checked):
        own = [one for one in done.checked if one.record.system == system]
        tasks = {name for one in own for name in one.record.tasks}
        counts = (sum(one.samples for one in own), *(sum(getattr(one.recount, k) for one in own) for k in _COUNTS))
        personas = ", ".join(sorted({one.record.persona for one in own}))
        table.add_row(system, personas, str(len(tasks)), *(f"{number:,}" for number in counts))
    out_console.print(table)
    left_out = sorted({name for one in done.checked for name in one.recount.left_out})
    told = (
        f"not recomputed, for want of an embedder: {', '.join(left_out)}; the records are marked so"
        if left_out
        else "every metric of every sample was computed again"
    )
    out_console.print(
        f"{told}; {counted(len(done.stored), 'record')} accepted, in", highlight=False, markup=False, soft_wrap=True
    )
    for folder, number in Counter(path.parent for path in done.stored).items():
        out_console.print(f"  {folder}: {number}", highlight=False, markup=False, soft_wrap=True)


_COUNTS = ("same", "unscored")


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
