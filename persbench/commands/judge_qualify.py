"""Examine a judge on a pack's authored pairs, before its scores count."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from persbench.commands.console import err_console, names_in, next_step, out_console
from persbench.commands.judge_plan import show_plan

if TYPE_CHECKING:
    from persbench.judging.cases import Kind
    from persbench.judging.judge import Judge
    from persbench.judging.qualification import Qualification
    from persbench.judging.qualify import ExamSettings
    from persbench.packs.pack import Pack


def qualify(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="JUDGE",
            help="A judge's folder, or openai:MODEL[@BASE_URL] or local:MODEL with the bundled prompts.",
        ),
    ],
    annotator: Annotated[
        str | None, typer.Option(help="Who answers for a folder with judge.yaml, instead of what stands there.")
    ] = None,
    pack: Annotated[
        str | None, typer.Option(help="Pack whose authored pairs are asked about: a folder, or a bundled world.")
    ] = None,
    kinds: Annotated[
        str, typer.Option(help="Comma-separated: sort, agree, rank, resist, contradict (default: all).")
    ] = "",
    personas: Annotated[str, typer.Option(help="Comma-separated persona ids (default: all of the pack).")] = "",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Pairs of each sort: a fixed prefix, balanced over personas and stages.")
    ] = None,
    repeat: Annotated[int, typer.Option(min=0, help="Of these, how many are asked a second time.")] = 40,
    budget: Annotated[
        int | None, typer.Option(min=1, help="Tokens that it may take in all; it stops cleanly before.")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Where answers are stored (default: the user's cache).")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the result, such as a run's (default: the user's cache).")
    ] = None,
    embedder: Annotated[
        str | None,
        typer.Option(help="Folder or hub id of a sentence embedder (default: all-MiniLM-L6-v2, if fetched)."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask nothing: say how many calls and tokens it would take.")
    ] = False,
) -> None:
    """Examine a judge: is it right where the answer is known, and does it beat judges that read nothing?"""
    from persbench.annotators.progress import showing
    from persbench.judging.cases import KINDS
    from persbench.judging.judge import load_judge, shown_spec
    from persbench.judging.qualification import FOLDER, add_qualification, qualification_path
    from persbench.judging.qualify import ExamSettings
    from persbench.judging.qualify import qualify as examine
    from persbench.models.embedder import SentenceEmbedder, default_embedder
    from persbench.models.fetch import cache_dir
    from persbench.packs.bundled import resolve_pack
    from persbench.packs.load import load_pack

    loaded = load_pack(resolve_pack(pack))
    settings = ExamSettings(cast("tuple[Kind, ...]", names_in(kinds) or KINDS), names_in(personas), limit, repeat)
    stored = cache or cache_dir() / FOLDER
    if dry_run:
        _dry_run(load_judge(spec, cache=stored if stored.exists() else None, annotator=annotator), loaded, settings)
        return
    chosen = SentenceEmbedder(embedder) if embedder else default_embedder()
    stored.mkdir(parents=True, exist_ok=True)
    judge = load_judge(spec, cache=stored, budget=budget, annotator=annotator)
    with showing(err_console, "cases") as bars:
        found = examine(judge, loaded, chosen, settings, bars)
    path = qualification_path(out or cache_dir(), judge.id, loaded.hash)
    _show(add_qualification(path, found))
    err_console.print(f"written to {path}", highlight=False, markup=False, soft_wrap=True)
    next_step(f"persbench judge RUN --judge {shown_spec(spec)}, then persbench report table RUN")


def _dry_run(judge: Judge, pack: Pack, settings: ExamSettings) -> None:
    from persbench.judging.qualify import plan

    planned, cost = plan(judge, pack, settings)
    show_plan(judge, planned, cost)


def _show(found: Qualification) -> None:
    from persbench.report.qualifications import (
        LEGEND,
        family_lines,
        scope_lines,
        terminal_qualification,
        verdict_lines,
    )

    out_console.print(terminal_qualification(found))
    for line in family_lines(found):
        out_console.print(line, style="dim", highlight=False, markup=False)
    out_console.print(LEGEND, style="dim", highlight=False, markup=False)
    for line in scope_lines(found):
        out_console.print(line, style="yellow", highlight=False, markup=False, soft_wrap=True)
    for line in verdict_lines(found):
        colour = "green" if line.endswith(": qualified") else "yellow"
        out_console.print(line, style=colour, highlight=False, markup=False, soft_wrap=True)
    out_console.print(found.signature, style="dim", highlight=False, markup=False, soft_wrap=True)
