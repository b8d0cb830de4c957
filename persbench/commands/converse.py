"""Let two personas talk with each other, probe what they hold, and show what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from persbench.commands.console import err_console, names_in, next_step, out_console
from persbench.commands.conversations import report_conversations


def converse(
    a: Annotated[
        str,
        typer.Option("--a", help="Who opens: SYSTEM, or SYSTEM:PERSONA[:STAGE]; a trained system is NAME=DIR."),
    ],
    b: Annotated[str, typer.Option("--b", help="Who replies, in the same way.")],
    scenario: Annotated[
        str, typer.Option(help="Comma-separated scenarios, or `opposed`, `cooperative` (default: all that fit).")
    ] = "",
    turns: Annotated[int, typer.Option(min=1, max=200, help="Utterances after the opening.")] = 8,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="How often each scenario is played.")] = 2,
    probes: Annotated[
        str, typer.Option(help="Exchanges after which stances are asked off the record: 0,1,4 (default: four of them).")
    ] = "",
    baselines: Annotated[
        str, typer.Option(help="Comma-separated systems that play the same scenarios on both sides: vanilla,prompt.")
    ] = "",
    out: Annotated[Path, typer.Option(help="Folder for records; a repeated command plays what is missing.")] = Path(
        "runs/talk"
    ),
    pack: Annotated[str | None, typer.Option(help="Folder of a pack, or the name of a bundled world.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Local folder or hub id (default: SmolLM2-135M, fetched if needed).")
    ] = None,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")] = "auto",
    device: Annotated[str | None, typer.Option(help="cpu, cuda:0, ...")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, max=4096, help="Most tokens of an utterance.")] = 96,
    temperature: Annotated[
        float, typer.Option(min=0.0, max=5.0, help="Of the sampling; 0 takes the most probable token.")
    ] = 0.7,
    top_p: Annotated[float, typer.Option(min=0.01, max=1.0, help="Probability mass that is sampled from.")] = 0.9,
    model_args: Annotated[str, typer.Option(help="Further arguments of the model: key=value,key=value.")] = "",
    anchors: Annotated[Path | None, typer.Option(help="Folder of stored anchors (default: the user's cache).")] = None,
    embedder: Annotated[
        str | None, typer.Option(help="Sentence embedder of `rag` (default: all-MiniLM-L6-v2).")
    ] = None,
    chat_template: Annotated[bool, typer.Option(help="Render messages by the model's chat template.")] = True,
    trust_remote_code: Annotated[
        bool, typer.Option(help="Run code and read pickled weights that come with the model.")
    ] = False,
) -> None:
    """Let two personas talk: all scenarios at once, transcripts kept as they grow, stances probed along the way."""
    from persbench.conversation.plan import ConverseSettings
    from persbench.harness.settings import parse_arguments
    from persbench.packs.bundled import resolve_pack

    settings = ConverseSettings(
        pack=resolve_pack(pack),
        a=a,
        b=b,
        out=out,
        scenarios=names_in(scenario),
        baselines=names_in(baselines),
        turns=turns,
        seeds=seeds,
        depths=_depths(probes),
        model=model,
        dtype=dtype,
        device=device,
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        anchors=anchors,
        embedder=embedder,
        chat_template=chat_template,
        model_args=parse_arguments(model_args),
        trust_remote_code=trust_remote_code,
    )
    from persbench.annotators.progress import showing
    from persbench.conversation.run import converse as play

    def notice(line: str) -> None:
        err_console.print(line, highlight=False, markup=False, soft_wrap=True)

    with showing(err_console, "utterances") as bars:
        paths = play(settings, notice, bars)
    table, page = report_conversations(out, str(settings.pack))
    out_console.print(table.terminal())
    out_console.print(f"[green]{len(paths)} records[/green] in {paths[0].parent}", highlight=False)
    out_console.print(f"transcripts: {page}", highlight=False, markup=False, soft_wrap=True)
    next_step(f"persbench report conversations {out} --format csv")


def _depths(text: str) -> tuple[int, ...] | None:
    """Read `0,1,4`.

    Raises:
        PersbenchError: Something else.
    """
    from persbench.errors import PersbenchError

    names = names_in(text)
    if not all(name.isdecimal() for name in names):
        raise PersbenchError(f"--probes {text!r}: write numbers of exchanges, such as 0,1,4.")
    return tuple(map(int, names)) or None
