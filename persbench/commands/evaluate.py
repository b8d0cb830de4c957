"""Check a pack, evaluate systems on it, list the tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from persbench.commands.console import err_console, names_in, next_step, out_console


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
    next_step(f"persbench run --pack {pack or loaded.world.id} --limit 4 --out runs/first")


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
        str,
        typer.Option(help="What a thinking system does first: its own `greedy` analysis, or `none`."),
    ] = "greedy",
    jobs: Annotated[
        int,
        typer.Option(
            min=1, help="Processes that share the personas and the cores; a small model alone keeps few cores busy."
        ),
    ] = 1,
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
        systems=names_in(systems),
        personas=names_in(personas),
        tasks=names_in(tasks),
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
        jobs=jobs,
    )
    from persbench.harness.run import run as run_cells

    paths = run_cells(settings, lambda line: err_console.print(line, highlight=False, markup=False, soft_wrap=True))
    out_console.print(f"[green]{len(paths)} records[/green] in {out / 'records'}", highlight=False)
    next_step(f"persbench report table {out}")


def tasks() -> None:
    """List groups and tasks, what each asks, their versions, and the folder that lm-eval's --include_path wants."""
    from rich.table import Table

    from persbench.harness.task_index import read_tasks, tasks_folder

    single = Table("task", "version", "asks", box=None, pad_edge=False)
    groups = Table("group", "version", "holds", box=None, pad_edge=False)
    for task in sorted(read_tasks(tasks_folder()).values(), key=lambda task: task.name):
        table, told = (groups, " ".join(task.members)) if task.is_group else (single, task.about)
        table.add_row(task.name, task.version, told)
    out_console.print(single, "", groups, "", sep="\n", highlight=False)
    typer.echo(f"--include_path {tasks_folder()}")
    next_step("persbench run --tasks persbench_alignment --limit 4 --out runs/first")
