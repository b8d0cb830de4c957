"""Write the paper's tables."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from persbench.commands.console import err_console, next_step
from persbench.commands.report import cells_of, judged_of
from persbench.errors import PersbenchError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persbench.report.cells import Cell
    from persbench.report.paper.tables import Document

app = typer.Typer(help="The paper's tables, on your data and records.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="Folder with records of one evaluation.")]
Style = Annotated[
    str | None, typer.Option("--format", help="markdown, latex or csv; by default as --out ends, else markdown.")
]
Out = Annotated[
    list[Path] | None,
    typer.Option("--out", help="File to write (.md, .tex, .csv), as often as files; printed where there is none."),
]


@app.command("table-1")
def table_1(
    pack: Annotated[str | None, typer.Argument(help="Folder of a pack, or a bundled world.")] = None,
    style: Style = None,
    out: Out = None,
) -> None:
    """Count raw material and data set by persona, beside the published table 1."""
    from persbench.data.counts import table_1 as counted
    from persbench.packs.bundled import resolve_pack
    from persbench.packs.load import load_pack
    from persbench.report.paper.table_1 import table_1_document

    files = _files(style, out)
    found = load_pack(resolve_pack(pack))
    about = f"{found.world.id}-{found.world.version}@{found.hash[:12]}"
    _write(table_1_document(counted(found), about), files, f"persbench paper table-1{f' {pack}' if pack else ''}")


@app.command("table-2")
def table_2(
    folder: Folder,
    without: Annotated[str, typer.Option("--without", help="System trained without automatic DPO.")] = "persllm-sft",
    with_dpo: Annotated[str, typer.Option("--with", help="The same with it.")] = "persllm",
    style: Style = None,
    out: Out = None,
) -> None:
    """Say how distinct personas and stages are: Intra, Stage and Inter BLEU, beside the published table 2."""
    from persbench.report.paper.table_2 import WITH, WITHOUT, table_2_document

    files = _files(style, out)
    cells = cells_of(folder, one_setting=True)
    for system, default in ((without, WITHOUT), (with_dpo, WITH)):
        _known(system, default, cells)
    with _made_from(folder):
        document = table_2_document(cells, without, with_dpo)
    _write(document, files, f"persbench paper table-2 {folder}")


@app.command("main")
def main_table(
    folder: Folder,
    baseline: Annotated[str, typer.Option(help="System that signs over personas are counted against.")] = "prompt",
    style: Style = None,
    out: Out = None,
) -> None:
    """Write the headline scores of all systems, and what became of every claim."""
    from persbench.report.paper.main import main_document

    files = _files(style, out)
    cells = cells_of(folder, one_setting=True)
    _known(baseline, "prompt", cells)
    with _made_from(folder):
        document = main_document(cells, baseline)
    _write(document, files, f"persbench paper main {folder}")


@app.command()
def ablation(folder: Folder, style: Style = None, out: Out = None) -> None:
    """Write what the training scores with one part left out, and whether each part is needed."""
    from persbench.report.paper.ablation import ablation_document

    files = _files(style, out)
    cells = cells_of(folder, one_setting=True)
    with _made_from(folder):
        document = ablation_document(cells)
    _write(document, files, f"persbench paper ablation {folder}")


@app.command()
def judge(folder: Folder, style: Style = None, out: Out = None) -> None:
    """Write average ranks and judged scores, set back where the judge did not qualify."""
    from persbench.report.paper.judge import judge_document

    files = _files(style, out)
    cells = cells_of(folder)
    judged = judged_of(folder, cells)
    if not judged:
        raise PersbenchError(
            f"{folder} holds nothing that a judge said: `persbench judge {folder} --judge SPEC` first."
        )
    with _made_from(folder):
        document = judge_document(judged, cells)
    _write(document, files, f"persbench paper judge {folder}")


def _files(style: str | None, out: list[Path] | None) -> list[tuple[Path | None, str]]:
    """Return the files that were asked for and the format of each, before anything is computed; None is the terminal.

    Raises:
        UnknownNameError: There is no such format.
        PersbenchError: A file cannot be one, or stands twice.
    """
    from persbench.report.paper.formats import ENDINGS, WRITERS

    if style is not None and style not in WRITERS:
        raise UnknownNameError("format", style, list(WRITERS))
    named = out or []
    for path in named:
        if path.is_dir():
            raise PersbenchError(f"{path} is a folder: name a file in it, such as {path / 'table.tex'}.")
        if named.count(path) > 1:
            raise PersbenchError(f"--out {path} stands twice: name every file once.")
    if not named:
        return [(None, style or "markdown")]
    return [(path, style or ENDINGS.get(path.suffix.lower(), "markdown")) for path in named]


@contextmanager
def _made_from(folder: Path) -> Iterator[None]:
    """Say that tables are being made; and that they cannot be, where samples are not as persbench writes them."""
    from persbench.report.cells import computing_from

    with err_console.status("comparing systems ..."), computing_from(folder):
        yield


def _known(system: str, default: str, cells: list[Cell]) -> None:
    """Refuse a system that was named and is not there; the protocol's own may be missing, and are then named so.

    Raises:
        UnknownNameError: There is no such system in the records.
    """
    there = sorted({cell.system for cell in cells})
    if system != default and system not in there:
        raise UnknownNameError("system", system, there)


def _write(document: Document, files: list[tuple[Path | None, str]], command: str) -> None:
    """Print a document, or write it, each file whole or not at all; and say what is a good next step."""
    from persbench.records import write_atomic
    from persbench.report.paper.formats import WRITERS

    for out, style in files:
        text = WRITERS[style](document)
        if out is None:
            typer.echo(text, nl=False)
            next_step(f"{command} --out table.tex")
            return
        write_atomic(out, text.encode())
        err_console.print(f"wrote {out} ({style})", highlight=False, markup=False, soft_wrap=True)
    left = next((name for name in ("csv", "latex") if name not in {style for _, style in files}), None)
    if left is not None:
        next_step(f"{command} --format {left}")
