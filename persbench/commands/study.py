"""People talk with systems and rate them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from persbench.commands import study_serve
from persbench.commands.console import next_step, out_console
from persbench.errors import UnknownNameError

app = typer.Typer(help="People talk with systems, blinded, and rate them.", no_args_is_help=True)
app.command("init")(study_serve.init)
app.command("serve")(study_serve.serve)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="What `persbench study serve --out` wrote.")],
    style: Annotated[str, typer.Option("--format", help="text or markdown.")] = "text",
) -> None:
    """Print ratings with intervals, preferences, agreement of raters, and how far raters came."""
    from persbench.study.reading import read_study
    from persbench.study.report import study_report
    from persbench.study.report_text import markdown_report, terminal_report

    if style not in ("text", "markdown"):
        raise UnknownNameError("format", style, ["text", "markdown"])
    found = study_report(read_study(folder))
    if style == "markdown":
        typer.echo(markdown_report(found), nl=False)
        return
    out_console.print(terminal_report(found))
    next_step(f"persbench study export {folder} --out ratings.csv")


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="What `persbench study serve --out` wrote.")],
    out: Annotated[Path, typer.Option(help="A file that ends in .csv; one of that name is replaced.")],
    rows: Annotated[str, typer.Option(help="ratings, preferences, messages or raters.")] = "ratings",
) -> None:
    """Write ratings, preferences, messages or raters as CSV, safe to open in a spreadsheet."""
    from persbench.errors import PersbenchError
    from persbench.records import write_atomic
    from persbench.study.export import EXPORTS, csv_export
    from persbench.study.reading import read_study

    if out.suffix.lower() != ".csv" or out.is_dir():
        raise PersbenchError(f"--out {out} is not a file that ends in .csv. Name one.")
    text = csv_export(read_study(folder), rows)
    write_atomic(out, text.encode())
    out_console.print(f"[green]{rows}[/green] in {out}", highlight=False)
    others = [name for name in EXPORTS if name != rows]
    next_step(f"persbench study export {folder} --rows {others[0]} --out {others[0]}.csv")
