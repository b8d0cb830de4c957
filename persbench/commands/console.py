"""What all commands share: where they print, and how they end."""

from __future__ import annotations

from rich.console import Console

out_console = Console()
err_console = Console(stderr=True)


def next_step(command: str) -> None:
    """End with one good next step."""
    err_console.print(f"next: {command}", style="dim", highlight=False, markup=False, soft_wrap=True)


def names_in(text: str) -> tuple[str, ...]:
    """Split a comma-separated list."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
