"""Talk with a persona in the terminal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from persbench.commands.console import err_console, next_step


def chat(
    who: Annotated[
        str,
        typer.Argument(
            metavar="SYSTEM:PERSONA[:STAGE]",
            help="Such as prompt:nedda:late; a trained system is NAME=DIR:PERSONA. Without a stage: the last one.",
        ),
    ],
    model: Annotated[
        str | None, typer.Option(help="Local folder or hub id of the base model (default: SmolLM2-135M).")
    ] = None,
    adapter: Annotated[
        Path | None, typer.Option(help="Adapter folder of a trained system: the same as NAME=DIR.")
    ] = None,
    pack: Annotated[str | None, typer.Option(help="Folder of a pack, or the name of a bundled world.")] = None,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")] = "auto",
    device: Annotated[str | None, typer.Option(help="cpu, cuda:0, ...")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of one reply.")] = 200,
    temperature: Annotated[float, typer.Option(min=0, help="0 takes the likeliest token.")] = 0.7,
    top_p: Annotated[float, typer.Option(min=0.01, max=1, help="Share of the probability to draw from.")] = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="Of the first reply; each further one has the next.")] = 0,
    trust_remote_code: Annotated[
        bool, typer.Option(help="Run code and read pickled weights that come with the model.")
    ] = False,
) -> None:
    """Talk with a persona. Inside: /stage, /again, /save FILE, /quit. Messages may come from a pipe, one a line."""
    from persbench.commands.chat_terminal import Terminal
    from persbench.conversation.asks import parse_voice
    from persbench.conversation.chat import Chat, warm_up
    from persbench.conversation.speakers import Speakers
    from persbench.packs.bundled import resolve_pack
    from persbench.packs.load import load_pack

    loaded = load_pack(resolve_pack(pack))
    voice = parse_voice(who, loaded)
    if adapter is not None:
        voice = replace(voice, system=f"{voice.system}={adapter}")
    persona = loaded.persona(voice.persona).persona
    stages = [stage for stage in loaded.world.stages if stage.id in persona.stages]
    try:
        with err_console.status("loading the model"):
            speakers = Speakers(
                loaded,
                [replace(voice, stage=stage.id) for stage in stages],
                model=model,
                dtype=dtype,
                device=device,
                max_tokens=max_tokens,
                temperature=temperature,
                top_p=top_p,
                trust_remote_code=trust_remote_code,
            )
            warm_up(speakers, voice)
    except KeyboardInterrupt:
        err_console.print("stopped")
        raise typer.Exit(130) from None
    terminal = Terminal(Chat(voice, seed), speakers, persona.name, stages)
    terminal.run()
    if terminal.failed and not terminal.asks:
        raise typer.Exit(1)  # whoever scripted the chat must not take half of it for the whole
    next_step("persbench study init STUDY.yaml, to have people talk with several systems and rate them")
