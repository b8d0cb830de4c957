"""Read results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from persbench.commands.console import err_console, names_in, next_step, out_console
from persbench.commands.conversations import conversations
from persbench.commands.figures import figures
from persbench.errors import PersbenchError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.errors import Fault
    from persbench.judging.qualification import Qualification
    from persbench.report.cells import Cell
    from persbench.report.judged import JudgedTable

app = typer.Typer(help="Read results.", no_args_is_help=True)
app.command()(conversations)
app.command()(figures)


@app.command()
def table(
    folder: Annotated[Path, typer.Argument(help="What `persbench run --out` or `lm_eval run --output_path` wrote.")],
    style: Annotated[str, typer.Option("--format", help="text, markdown or csv.")] = "text",
) -> None:
    """Print the board: every system with intervals, counts, chance levels and signatures, and what judges said."""
    from persbench.report import judged_table
    from persbench.report import table as tables
    from persbench.report.board import lines_of, table_titles
    from persbench.report.cells import computing_from

    writers = {"text": tables.terminal_board, "markdown": tables.markdown_board, "csv": tables.csv_board}
    if style not in writers:
        raise UnknownNameError("format", style, list(writers))
    cells = cells_of(folder)
    with computing_from(folder):
        board = writers[style]({name: lines_of(cells, name) for name in table_titles()})
    judged = judged_of(folder, cells)
    if style == "text":
        out_console.print(board)
        if judged:
            out_console.print(judged_table.terminal_judged(judged))
        next_step(f"persbench report table {folder} --format markdown")
        return
    typer.echo(board, nl=False)
    if judged:
        typer.echo()
        typer.echo({"markdown": judged_table.markdown_judged, "csv": judged_table.csv_judged}[style](judged), nl=False)


@app.command()
def judges(
    folder: Annotated[Path, typer.Argument(help="A run that `persbench judge` has judged.")],
) -> None:
    """Say what judges are worth: their exams, and how far metrics without a judge agree with them (Markdown)."""
    from persbench.report.cells import computing_from
    from persbench.report.judge_agreement import markdown_agreement, metric_agreements
    from persbench.report.qualifications import markdown_qualifications

    cells = cells_of(folder)
    judged = judged_of(folder, cells)
    if not judged:
        raise PersbenchError(
            f"{folder} holds nothing that a judge said: `persbench judge {folder} --judge SPEC` first."
        )
    ids = {table.found.judge_id for table in judged}
    examined = [one for one in _qualifications(folder) if one.judge["id"] in ids]
    if examined:
        typer.echo(markdown_qualifications(examined))
    with computing_from(folder):
        found = [(table, metric_agreements(table, _of_run(cells, table.found.run))) for table in judged]
        told = markdown_agreement(found)
    typer.echo(told, nl=False)


@app.command()
def compare(
    folder: Annotated[Path, typer.Argument(help="What `persbench run --out` wrote.")],
    baseline: Annotated[str, typer.Option(help="System that the others are held against.")] = "prompt",
    tables: Annotated[str, typer.Option(help="Comma-separated tables of the board.")] = "board",
) -> None:
    """Hold every system against a baseline on the same items: paired differences, Holm, signs (Markdown)."""
    from persbench.report.cells import computing_from
    from persbench.report.compare import comparisons, markdown_comparisons

    cells = cells_of(folder, one_setting=True)
    with computing_from(folder):
        found = comparisons(cells, baseline, tables=names_in(tables))
    if not found:
        raise PersbenchError(f"{folder} holds no other system with items of {baseline}: run several --systems into it.")
    typer.echo(markdown_comparisons(found, baseline), nl=False)


@app.command()
def twins(folder: Annotated[Path, typer.Argument(help="Results of a run with choice tasks and their twins.")]) -> None:
    """Say how far choices by likelihood agree with the same choices by letter (Markdown)."""
    from persbench.report.cells import computing_from
    from persbench.report.twins import agreements, markdown_agreements

    cells = cells_of(folder, one_setting=True)
    with computing_from(folder):
        found = agreements(cells)
    if not found:
        raise PersbenchError(
            f"{folder} holds no choice task together with its twin: "
            "run --tasks persbench,persbench_gen into one --out first."
        )
    typer.echo(markdown_agreements(found), nl=False)


@app.command()
def confusion(
    folder: Annotated[Path, typer.Argument(help="Results of a run with persbench_who_said, or its twin.")],
    raw: Annotated[bool, typer.Option("--raw", help="Log-likelihoods as they are, without anchors.")] = False,
) -> None:
    """Say whose answers each system takes for the persona's own, by persona and stage (Markdown)."""
    from persbench.report.cells import computing_from
    from persbench.report.confusion import confusions, markdown_confusions

    cells = cells_of(folder, one_setting=True)
    with computing_from(folder):
        found = confusions(cells, raw=raw)
    if not found:
        raise PersbenchError(f"{folder} holds no who-said items: run --tasks persbench_who_said into it first.")
    typer.echo(markdown_confusions(found), nl=False)


@app.command("inventory")
def report_inventory(
    folder: Annotated[Path, typer.Argument(help="Results of persbench_traits with an IPIP-NEO as --instrument.")],
    sex: Annotated[str, typer.Option(help="Of the norms: M, F, or N for the mean of both.")] = "N",
    age: Annotated[int, typer.Option(help="Of the norms, 10 to 110.")] = 40,
) -> None:
    """Score whole IPIP-NEO inventories by five-factor-e: percentiles by persona and stage (Markdown)."""
    from persbench.report.cells import computing_from
    from persbench.report.inventories import inventories, markdown_inventories

    cells = cells_of(folder, one_setting=True)
    with computing_from(folder):
        found = inventories(cells, sex=sex, age=age)
    if not found:
        raise PersbenchError(
            f"{folder} holds no trait items: run --tasks persbench_traits --instrument FILE.csv first."
        )
    typer.echo(markdown_inventories(found, sex=sex, age=age), nl=False)


@app.command()
def sorting() -> None:
    """Say what sorting free replies to induction prompts is worth: agreement with labels (Markdown)."""
    from persbench.models.embedder import default_embedder
    from persbench.report.sorting import markdown_examination
    from persbench.scoring.reply_examination import examine

    typer.echo(markdown_examination(examine(default_embedder())), nl=False)


def judged_of(folder: Path, cells: list[Cell]) -> list[JudgedTable]:
    """Read what judges said of the runs below a folder, and say what of it is left out."""
    from persbench.report.cells import computing_from
    from persbench.report.judged import judged_runs, judged_tables

    with computing_from(folder):
        runs, faults = judged_runs(folder, cells)
        _tell(faults)
        return judged_tables(runs, _qualifications(folder)) if runs else []


def _qualifications(folder: Path) -> list[Qualification]:
    """Read the qualifications that lie in the folder, and those in the user's cache."""
    from persbench.judging.qualification import FOLDER, load_qualifications
    from persbench.models.fetch import cache_dir

    found, faults = load_qualifications(folder, cache_dir() / FOLDER)
    _tell(faults)
    return found


def _of_run(cells: list[Cell], run: str) -> list[Cell]:
    """Return the cells that lie in one run's folder."""
    return [cell for cell in cells if not run or cell.source.startswith(f"{run}/")]


def _tell(faults: Sequence[Fault]) -> None:
    for fault in faults:
        err_console.print(f"left out: {fault}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def cells_of(folder: Path, *, one_setting: bool = False) -> list[Cell]:
    """Read results, and say what is left out; refuse two settings of one system where they could not stand apart."""
    from persbench.report.cells import load_cells
    from persbench.report.duplicates import require_one_setting

    cells, faults = load_cells(folder)
    _tell(faults)
    if one_setting:
        require_one_setting(cells)
    return cells
