"""Build a persona from raw text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperCommand

from persbench.commands.console import err_console, next_step, out_console
from persbench.errors import PersbenchError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

    from persbench.build.pipeline import Inputs
    from persbench.build.settings import BuildSettings
    from persbench.models.embedder import SentenceEmbedder

MANY: Final = ("--objective", "--subjective")


class ManyFiles(TyperCommand):
    """A command whose file options take several files at once, as a shell's pattern gives them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option before each of its files."""
        told: list[str] = []
        option = ""
        for arg in args:
            if arg.startswith("-") and len(arg) > 1:
                option = arg if arg in MANY else ""
                told += [] if option else [arg]
            else:
                told += [option, arg] if option else [arg]
        return super().parse_args(ctx, told)


def build(
    name: Annotated[str, typer.Option(help="The persona's name, as it is called in the text.")],
    stages: Annotated[
        Path, typer.Option(help="YAML: the stages of the life, each with id, temporal_label, year, date, description.")
    ],
    annotator: Annotated[
        str, typer.Option(help="openai:MODEL or openai:MODEL@URL, local:MODEL, or a folder with annotator.yaml.")
    ],
    licence: Annotated[str, typer.Option(help="Licence of the raw text; it is recorded in the pack.")],
    out: Annotated[Path, typer.Option(help="Folder for the pack: new or empty. A repeated command goes on.")],
    objective: Annotated[
        list[Path] | None, typer.Option(help="Files that tell of the persona: txt, md, jsonl, epub, pdf.")
    ] = None,
    subjective: Annotated[list[Path] | None, typer.Option(help="Files of what the persona said or wrote.")] = None,
    world: Annotated[
        str | None,
        typer.Option(
            help="Folder of a pack, or a bundled world: its questions are answered, its personas are contrasts."
        ),
    ] = None,
    persona: Annotated[str | None, typer.Option("--id", help="The persona's id (default: made of the name).")] = None,
    language: Annotated[str, typer.Option(help="Of the text, for a pack without --world.")] = "en",
    held_out: Annotated[
        float, typer.Option(min=0.05, max=0.5, help="Share of the material that tests are made from.")
    ] = 0.2,
    split: Annotated[
        str,
        typer.Option(help="material: nothing is learnt from what tests ask for; question: questions alone are apart."),
    ] = "material",
    questions: Annotated[int, typer.Option(min=1, max=10, help="Training questions raised from a unit.")] = 2,
    opinions: Annotated[int, typer.Option(min=0, max=10, help="Opinions raised from a unit.")] = 1,
    induced: Annotated[int, typer.Option(min=0, max=10, help="Induced questions raised from a unit.")] = 1,
    objective_words: Annotated[
        int,
        typer.Option(min=0, help="Words of other objective material shown beside a unit; fewer for a small context."),
    ] = 1500,
    speech_words: Annotated[int, typer.Option(min=0, help="The same for speech.")] = 500,
    budget: Annotated[
        int | None, typer.Option(min=1, help="Tokens that the build may take in all; it stops cleanly before.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Where answers are stored (default: OUT.calls beside OUT).")
    ] = None,
    embedder: Annotated[
        str | None,
        typer.Option(help="Folder or hub id of a sentence embedder (default: all-MiniLM-L6-v2, if fetched)."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask nothing: say how many calls and tokens it would take.")
    ] = False,
) -> None:
    """Build a persona from raw text: training dialogues, every test file, and a report of it."""
    from persbench.annotators.progress import showing
    from persbench.annotators.spec import load_annotator
    from persbench.build.pack_files import require_place
    from persbench.build.pipeline import build as build_pack
    from persbench.build.pipeline import read_inputs, save_traffic
    from persbench.build.settings import BuildSettings, id_of, split_named
    from persbench.models.embedder import SentenceEmbedder, default_embedder
    from persbench.packs.bundled import resolve_pack

    settings = BuildSettings(
        name=name,
        persona=id_of(name) if persona is None else persona,
        licence=licence,
        language=language,
        held_out=held_out,
        split=split_named(split),
        objective_words=objective_words,
        speech_words=speech_words,
        raised={"question": questions, "opinion": opinions, "induced": induced},
    )
    out = _named(out)
    if not objective:
        raise PersbenchError("no --objective file: a life cannot be told from what somebody said alone.")
    inputs = read_inputs(settings, objective, subjective or [], stages, resolve_pack(world) if world else None)
    chosen = SentenceEmbedder(embedder) if embedder else default_embedder()
    stored = cache or out.with_name(f"{out.name}.calls")
    if dry_run:
        _dry_run(settings, inputs, annotator, chosen, stored)
        return
    require_place(out)  # before anything is written beside it
    stored.mkdir(parents=True, exist_ok=True)
    asked = load_annotator(annotator, cache=stored, budget=budget)
    try:
        with showing(err_console, "calls") as bars:
            report = build_pack(settings, inputs, asked, chosen, out, bars, err_console.print)
    finally:
        save_traffic(asked, stored)
    out_console.print(built_table(report))
    total = report["total"]
    cost = "" if total["cost"] is None else f", {total['cost']:.4f} {total['currency']}"
    tokens = total["prompt_tokens"] + total["completion_tokens"]
    out_console.print(
        f"[green]built[/green] {out}: {total['calls']:,} calls, {tokens:,} tokens{cost} (BUILD.md)", highlight=False
    )
    lost, spent = asked.tally.total(), asked.tally.lost_cost()
    if tokens := lost.lost_prompt_tokens + lost.lost_completion_tokens:
        cost = "" if not spent else f", {spent:.4f} {total['currency']}"
        err_console.print(f"besides {tokens:,} tokens{cost} for answers that came to nothing in this run")
    next_step(f"persbench check {out}, then persbench train --pack {out} --persona {settings.persona} --out adapters")


def _named(out: Path) -> Path:
    """Return the output folder under a name of its own, beside which others can lie: `.` and `..` have none.

    Raises:
        PersbenchError: It is the root of a file system.
    """
    named = out if out.name not in {"", ".."} else out.resolve()
    if not named.name:
        raise PersbenchError(f"--out {out} has no place beside it. Name a folder: --out DIR.")
    return named


def _dry_run(settings: BuildSettings, inputs: Inputs, annotator: str, embedder: SentenceEmbedder, stored: Path) -> None:
    from persbench.annotators.dry_run import DryRun
    from persbench.annotators.progress import plan_table, showing
    from persbench.annotators.spec import load_annotator
    from persbench.build.pipeline import plan

    dry = DryRun(load_annotator(annotator, cache=stored if stored.exists() else None))
    with showing(err_console, "calls") as bars:
        planned = plan(settings, inputs, dry, embedder, bars)
    out_console.print(plan_table(planned))
    cost = dry.cost()
    at_most = "" if cost is None or dry.tally.prices is None else f" At most {cost:.4f} {dry.tally.prices.currency}."
    out_console.print(
        "Nothing was asked. `classify` and `stage` are exact; what follows depends on their answers, and is counted as "
        "if every unit were kept and no prompt repeated another: a build asks about as much or less, save for repairs "
        "of malformed answers. Answers are counted at their greatest length, and tokens of prompts estimated at "
        f"four characters each.{at_most}",
        highlight=False,
    )
    next_step("the same command without --dry-run")


def built_table(report: Mapping[str, Any]) -> Table:
    """Lay out what a build made and what it left out."""
    from rich.table import Table

    table = Table("made", "rows", "left out in", "because", "how many")
    for column in (1, 4):
        table.columns[column].justify = "right"
    made = [(stem, f"{n:,}") for stem, n in report["rows"].items()]
    lost = [(step, reason, f"{n:,}") for step, reasons in report["drops"].items() for reason, n in reasons.items()]
    for i in range(max(len(made), len(lost))):
        left = made[i] if i < len(made) else ("", "")
        right = lost[i] if i < len(lost) else ("", "", "")
        table.add_row(*left, *right)
    return table
