"""Let a model judge what a run has saved; nothing is generated again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from typer.core import TyperGroup

from persbench.commands import judge_qualify
from persbench.commands.console import err_console, names_in, next_step, out_console
from persbench.commands.judge_plan import show_plan
from persbench.errors import FaultsError, PersbenchError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from persbench.judging.cases import Kind
    from persbench.judging.fit import Cell
    from persbench.judging.judge import Judge
    from persbench.judging.records import JudgedRecord
    from persbench.judging.run import Work


class RunFirst(TyperGroup):
    """A group in which a folder instead of a command means `run`: `persbench judge RUN ...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `run` before what names no command."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["run", *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


app = typer.Typer(
    cls=RunFirst,
    no_args_is_help=True,
    help="Let a model judge saved replies: `persbench judge RUN --judge SPEC`. Examine it first or after.",
    pretty_exceptions_enable=False,
)


app.command("qualify")(judge_qualify.qualify)


@app.command("run")
def judge_run(
    folder: Annotated[
        Path, typer.Argument(metavar="RUN", help="What `persbench run`, `persbench converse` or lm_eval wrote.")
    ],
    judge: Annotated[
        str,
        typer.Option(
            help="openai:MODEL[@BASE_URL], local:MODEL or a folder with annotator.yaml: asked by the bundled prompts; "
            "or a folder with judge.yaml and prompts of its own."
        ),
    ],
    annotator: Annotated[
        str | None, typer.Option(help="Who answers for a folder with judge.yaml, instead of what stands there.")
    ] = None,
    kinds: Annotated[
        str, typer.Option(help="Comma-separated: sort, agree, rank, resist, contradict (default: all that fit).")
    ] = "",
    pack: Annotated[
        str | None, typer.Option(help="The pack of the run: a folder, or a bundled world (default: the reference).")
    ] = None,
    instrument: Annotated[Path | None, typer.Option(help="The run's --instrument, if it had one.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Items of each task, system and persona.")] = None,
    budget: Annotated[
        int | None, typer.Option(min=1, help="Tokens that judging may take in all; it stops cleanly before.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="File or folder where answers are stored (default: RUN/judged).")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask nothing: say how many calls and tokens it would take.")
    ] = False,
) -> None:
    """Judge what a run has saved; a repeated command asks only what is missing."""
    from persbench.annotators.cache import FILE_NAME
    from persbench.annotators.progress import showing
    from persbench.judging.fit import CONVERSATIONS
    from persbench.judging.judge import load_judge, shown_spec
    from persbench.judging.records import FOLDER
    from persbench.judging.run import judge_run as run_judge

    work = _work(folder, pack, instrument, kinds, limit)
    stored = cache or folder / FOLDER / FILE_NAME
    if dry_run:
        asked = load_judge(judge, cache=stored if stored.exists() else None, annotator=annotator)
        _dry_run(asked, work)
        return
    asked = load_judge(judge, cache=stored, budget=budget, annotator=annotator)
    with showing(err_console, "cases") as bars:
        records = run_judge(asked, work, bars, lambda line: err_console.print(line, highlight=False, markup=False))
    out_console.print(judged_table(records))
    out_console.print(asked.signature, highlight=False, markup=False, soft_wrap=True)
    missing = sum(record.cases - len(record.rows) for record in records)
    shown = "conversations" if any(row.task == CONVERSATIONS for record in records for row in record.rows) else "table"
    if any(row.unscored == "unanswered" for record in records for row in record.rows):
        next_step("the same command again: it asks what stayed unanswered")
    elif missing:
        next_step("the same command without --limit")
    else:
        next_step(f"persbench judge qualify {shown_spec(judge)}, then persbench report {shown} {folder}")


def _work(folder: Path, pack: str | None, instrument: Path | None, kinds: str, limit: int | None) -> Work:
    from persbench.judging.cases import KINDS
    from persbench.judging.run import Work
    from persbench.packs.bundled import resolve_pack
    from persbench.packs.instrument import with_instrument
    from persbench.packs.load import load_pack

    wanted = tuple(dict.fromkeys(names_in(kinds))) or KINDS
    for kind in wanted:
        if kind not in KINDS:
            raise UnknownNameError("kind of judgement", kind, KINDS)
    run, cells = _said(folder)
    loaded = with_instrument(load_pack(resolve_pack(pack)), instrument)
    work = Work(run, cells, loaded, cast("tuple[Kind, ...]", wanted), limit)
    _ = work.subjects  # a run that cannot be judged is told of before anything is made
    return work


def _said(folder: Path) -> tuple[Path, Sequence[Cell]]:
    """Return the run that is judged and its cells: of an evaluation, or where there is none, of conversations."""
    from persbench.commands.report import cells_of
    from persbench.conversation.record_files import FOLDER, read_conversations

    talks = folder if folder.name == FOLDER else folder / FOLDER
    try:
        return folder, cells_of(folder, one_setting=True)
    except FaultsError:
        raise
    except PersbenchError:
        if not talks.is_dir():
            raise
    from persbench.conversation.judged import talk_cells  # loads what measures voices

    return talks, talk_cells(read_conversations(talks))


def _dry_run(judge: Judge, work: Work) -> None:
    from persbench.judging.run import plan

    planned, cost = plan(judge, work)
    if not planned:
        raise PersbenchError("every case has its judgement already: there is nothing to ask.")
    show_plan(judge, planned, cost)


def judged_table(records: Sequence[JudgedRecord]) -> Table:
    """Lay out what was judged; figures stand on the board, beside the judge's qualification."""
    from rich.table import Table

    table = Table("judgement", "cases", "scored", "unscored", "because", "tokens", "cost")
    for column in (1, 2, 3, 5, 6):
        table.columns[column].justify = "right"
    for record in records:
        why = Counter(row.unscored for row in record.rows if row.value is None)
        why["not judged yet"] = record.cases - len(record.rows)
        cost = "unknown" if record.cost is None else f"{record.cost['amount']:.4f} {record.cost['currency']}"
        table.add_row(
            record.kind,
            f"{record.cases:,}",
            f"{record.cases - record.unscored:,}",
            f"{record.unscored:,}",
            ", ".join(f"{name} {count:,}" for name, count in sorted(why.items()) if count),
            f"{sum(record.tokens):,}",
            cost,
        )
    return table
