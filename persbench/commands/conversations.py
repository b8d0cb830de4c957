"""Read what `persbench converse` has played: the table, and the page of transcripts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from persbench.commands.console import err_console, next_step, out_console
from persbench.errors import PersbenchError, UnknownNameError
from persbench.records import write_atomic

if TYPE_CHECKING:
    from persbench.conversation.records import ConversationRecord
    from persbench.conversation.report import ConversationTable
    from persbench.packs.pack import Pack

PAGE = "transcripts.html"
FILES = (".md", ".csv")


def conversations(
    folder: Annotated[Path, typer.Argument(help="What `persbench converse --out` wrote.")],
    style: Annotated[str, typer.Option("--format", help="text, markdown or csv.")] = "text",
    out: Annotated[
        list[Path] | None,
        typer.Option(help="File to write (.md or .csv), as often as files; printed where there is none."),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(help=f"Where the page of transcripts goes (default: FOLDER/{PAGE}; none where --out is given)."),
    ] = None,
    pack: Annotated[
        str | None, typer.Option(help="The pack of the talks: a folder, or a bundled world (default: the reference).")
    ] = None,
) -> None:
    """Say what came of conversations: opinions, voices, repetition, matter; and write a page of all transcripts."""
    if style not in ("text", "markdown", "csv"):
        raise UnknownNameError("format", style, ["text", "markdown", "csv"])
    for path in out or []:
        if path.suffix not in FILES or path.is_dir():
            raise PersbenchError(f"--out {path}: name a file that ends in {' or '.join(FILES)}.")
    if page is not None or not out:
        table, written = report_conversations(folder, pack, page)
        told = [f"transcripts: {written}"]
    else:
        _, table, _ = measured(folder, pack)
        told = []
    for path in out or []:
        write_atomic(path, (table.csv() if path.suffix == ".csv" else table.markdown()).encode())
    if out:
        told.insert(0, f"tables: {', '.join(map(str, out))}")
    else:
        _show(table, style)
    err_console.print("\n".join(told), highlight=False, markup=False, soft_wrap=True)
    if style != "text":
        return
    if table.judged:
        next_step(f"persbench report conversations {folder} --format csv, for every persona by itself")
    else:
        run = folder.parent if folder.is_file() else folder
        next_step(f"persbench judge {run} --judge SPEC, if a judge is to look for contradictions")


def _show(table: ConversationTable, style: str) -> None:
    if style == "text":
        out_console.print(table.terminal())
    else:
        typer.echo(table.markdown() if style == "markdown" else table.csv(), nl=False)


def report_conversations(
    folder: Path, pack: str | None = None, page: Path | None = None
) -> tuple[ConversationTable, Path]:
    """Compute the table of a folder's conversations, and write their page.

    Returns:
        The table, and where the page stands.

    Raises:
        PersbenchError: No conversations, one that cannot be read, or another pack's.
    """
    from persbench.conversation.page import write_page

    records, table, loaded = measured(folder, pack)
    written = page or (folder.parent if folder.is_file() else folder) / PAGE
    write_page(written, records, table, loaded)
    return table, written


def measured(folder: Path, pack: str | None = None) -> tuple[list[ConversationRecord], ConversationTable, Pack]:
    """Read a folder's conversations and measure them.

    Returns:
        The records, their table, and the pack they were played with.

    Raises:
        PersbenchError: No conversations, one that cannot be read, or another pack's.
    """
    from persbench.conversation.record_files import read_conversations
    from persbench.conversation.report import conversation_table
    from persbench.judging.qualification import FOLDER, load_qualifications
    from persbench.judging.records import load_judged
    from persbench.models.fetch import cache_dir
    from persbench.packs.bundled import resolve_pack
    from persbench.packs.load import load_pack

    records = read_conversations(folder)
    home = folder.parent if folder.is_file() else folder
    judged, faults = load_judged(home)
    examined, more = load_qualifications(home, cache_dir() / FOLDER) if judged else ([], [])
    for fault in (*faults, *more):
        err_console.print(f"left out: {fault}", style="yellow", highlight=False, markup=False, soft_wrap=True)
    loaded = load_pack(resolve_pack(pack))
    with err_console.status("learning the voices of the pack and measuring the talks"):
        table = conversation_table(records, loaded, judged=judged, qualifications=examined)
    return records, table, loaded
