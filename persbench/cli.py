"""The command line: puts the commands together, and turns a user's mistake into one readable message."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from persbench import __version__
from persbench.commands import (
    build,
    chat,
    converse,
    data,
    evaluate,
    export,
    importing,
    judge,
    leaderboard,
    paper,
    report,
    study,
    train,
)
from persbench.commands.console import err_console
from persbench.errors import PersbenchError

app = typer.Typer(
    name="persbench",
    help="Does this model hold a personality, or does it only talk in a costume?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (evaluate.check, evaluate.run, evaluate.tasks, converse.converse, chat.chat, train.train):
    app.command()(command)
app.command(cls=build.ManyFiles)(build.build)
app.command("import")(importing.import_)
app.command()(export.export)
app.add_typer(data.model, name="model")
app.add_typer(report.app, name="report")
app.add_typer(paper.app, name="paper")
app.add_typer(data.app, name="data")
app.add_typer(judge.app, name="judge")
app.add_typer(study.app, name="study")
app.add_typer(leaderboard.app, name="leaderboard")


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
