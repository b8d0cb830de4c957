"""Draw results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from persbench.commands.console import err_console, names_in, next_step, out_console
from persbench.errors import PersbenchError


def figures(
    folder: Annotated[Path, typer.Argument(help="What `persbench run --out` or `lm_eval run --output_path` wrote.")],
    out: Annotated[Path, typer.Option(help="Folder for the figures and their captions.")] = Path("figures"),
    only: Annotated[str, typer.Option(help="Comma-separated names of figures (default: all).")] = "",
    baseline: Annotated[str, typer.Option(help="System that the others are held against.")] = "prompt",
    formats: Annotated[str, typer.Option(help="Comma-separated: png, svg, pdf.")] = "png,svg,pdf",
) -> None:
    """Draw every figure that the results allow, with captions; say what is missing for the others."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.table import Table

    from persbench.commands.report import cells_of
    from persbench.report.cells import computing_from
    from persbench.report.figures import FIGURES, draw_all
    from persbench.report.figures.captions import write_captions

    cells, names = cells_of(folder), names_in(only)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("figures"))
    with Progress(*columns, console=err_console, transient=True, disable=not err_console.is_terminal) as bar:
        task = bar.add_task("drawing", total=len(names or FIGURES) + 1, completed=-1)

        def begun(name: str) -> None:
            bar.update(task, description=name, advance=1)

        with computing_from(folder):
            drawn, missing = draw_all(
                cells, out, baseline=baseline, only=names or None, endings=names_in(formats), begun=begun
            )
    for told in missing:
        err_console.print(f"not drawn: {told}", style="yellow", highlight=False, markup=False, soft_wrap=True)
    if not drawn:
        raise PersbenchError(f"{folder} holds nothing to draw of what was asked for; above stands what is missing.")
    table = Table("figure", "what is seen", box=None)
    for one in drawn:
        table.add_row(one.name, one.title)
    out_console.print(table, markup=False)
    captions = write_captions(drawn, out)
    next_step(f"open {captions}, which shows the figures with how to read them")
