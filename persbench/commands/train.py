"""Train personas."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from persbench.commands.console import err_console, names_in, next_step, out_console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.training.pipeline import TrainSettings


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
        personas=names_in(persona),
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
        next_step(run_command(settings, [folder.name for folder in folders]))


def run_command(settings: TrainSettings, personas: Sequence[str]) -> str:
    """Write the command that evaluates what was trained, quoted for the shell: a recipe's file may have any name."""
    given = [("--model", settings.base), ("--pack", settings.pack)]
    words = [word for option, value in given if value is not None for word in (option, value)]
    systems = f"prompt,{Path(settings.recipe).stem}={settings.out}"
    words += ["--personas", ",".join(personas), "--systems", systems, "--out", "runs/trained"]
    return shlex.join(["persbench", "run", *words])
