"""`persbench train`: what stands between the command line and the pipeline."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from persbench.errors import PersbenchError
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from persbench.packs.pack import Pack
    from persbench.training.pipeline import TrainSettings

NEEDED = ("trl", "peft")


def train_command(settings: TrainSettings, console: Console, *, world: bool) -> list[Path]:
    """Train the personas named, or all of a world, with a progress bar.

    Args:
        settings: What to train.
        console: Where progress is shown.
        world: Whether all personas are meant.

    Returns:
        The folders that this process wrote or found finished; none in a process beside the one that writes.

    Raises:
        PersbenchError: TRL or PEFT is not installed, no persona or too many are named; or see `pipeline.train`.
    """
    require_extra()
    from persbench.training.machine import machine_of  # noqa: PLC0415 - after the check that it can be imported
    from persbench.training.pipeline import train  # noqa: PLC0415
    from persbench.training.progress import reporting  # noqa: PLC0415

    personas = personas_meant(load_pack(resolve_pack(settings.pack)), settings.personas, world=world, what="train")
    writes = machine_of(settings.device, settings.dtype).writes
    with reporting(console, len(personas), speaks=writes) as report:
        folders = train(replace(settings, personas=personas), report=report)
    return folders if writes else []


def personas_meant(pack: Pack, named: tuple[str, ...], *, world: bool, what: str) -> tuple[str, ...]:
    """Return the ids of the personas named, or of all of a world.

    Args:
        pack: The world.
        named: Ids; none where all are meant.
        world: Whether all are meant.
        what: What is to be done with them, a verb.

    Raises:
        PersbenchError: Both or neither is said.
    """
    names = tuple(data.persona.id for data in pack.personas)
    if world == bool(named):
        raise PersbenchError(
            f"name the personas to {what} (--persona {names[0]}) or take all of them (--world), one of the two. "
            f"{pack.world.id} has {', '.join(names)}."
        )
    return named or names


def require_extra() -> None:
    """Refuse to go on without the libraries of the extra `train`.

    Raises:
        PersbenchError: One is missing.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise PersbenchError(f"training needs {' and '.join(missing)}: pip install 'persbench[train]'")
