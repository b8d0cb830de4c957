"""Begin a study, and serve its page."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from persbench.commands.console import err_console, next_step, out_console

if TYPE_CHECKING:
    from persbench.conversation.speakers import Speakers
    from persbench.packs.pack import Pack
    from persbench.study.conversations import Speak
    from persbench.study.settings import StudySettings

DEFAULT = Path("STUDY.yaml")
_PLAIN: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False, "soft_wrap": True}


def init(study: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="The file to write.")] = DEFAULT) -> None:
    """Write a commented STUDY.yaml to start from."""
    from persbench.study.settings import write_example

    write_example(study)
    out_console.print(f"[green]wrote[/green] {study}: read it, and change what is yours", highlight=False)
    next_step(f"persbench study serve {study} --out studies/first")


def serve(
    study: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="Settings; `persbench study init` writes some.")],
    out: Annotated[Path, typer.Option(help="Folder of the study's database; a repeated command goes on with it.")],
    host: Annotated[
        str, typer.Option(help="Where to listen; others reach it only at an address that is not loopback.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 7860,
    key: Annotated[
        bool,
        typer.Option("--key", help="Ask for an access key on loopback too, such as behind a proxy; elsewhere always."),
    ] = False,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")] = "auto",
    device: Annotated[str | None, typer.Option(help="cpu, cuda:0, ...")] = None,
    trust_remote_code: Annotated[
        bool, typer.Option(help="Run code and read pickled weights that come with the model.")
    ] = False,
) -> None:
    """Serve the page on which people talk with systems and rate them; everything is stored as it happens."""
    _require_web()
    from persbench.study.database import DATABASE
    from persbench.study.server import build_app
    from persbench.study.serving import access_key, link, listen, needs_key, run
    from persbench.study.settings import load_study
    from persbench.study.store import Store

    settings, pack = load_study(study)
    with closing(listen(host, port)) as listening:
        with err_console.status("loading the model"):
            speakers = _speakers(settings, pack, dtype=dtype, device=device, trust_remote_code=trust_remote_code)
        with closing(Store(out / DATABASE, settings, facts=_facts(settings, pack, speakers))) as store:
            shown_key = access_key(out) if key or needs_key(host) else None
            local = not needs_key(host)
            app = build_app(store, pack, _speak(speakers), local=local, key=shown_key, complain=_complain)

            def ready() -> None:
                out_console.print(f"the study is open: {link(host, listening.getsockname()[1], shown_key)}", **_PLAIN)
                if not local:
                    err_console.print("what is sent is not encrypted: put a proxy with TLS before it", style="yellow")
                err_console.print("Ctrl-C closes it; nothing that was sent is lost: the same command goes on", **_PLAIN)

            run(app, listening, ready)
    next_step(f"persbench study report {out}")


def _complain(line: str) -> None:
    err_console.print(line, style="red", **_PLAIN)


def _require_web() -> None:
    """Refuse to begin where the optional packages are missing."""
    from importlib.util import find_spec

    from persbench.errors import PersbenchError

    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise PersbenchError(f"the page of a study needs {', '.join(missing)}: pip install 'persbench[study]'.")


def _speakers(settings: StudySettings, pack: Pack, **how: Any) -> Speakers:
    from persbench.conversation.asks import Voice
    from persbench.conversation.chat import warm_up
    from persbench.conversation.speakers import Speakers

    voices = [
        Voice(system, part.persona, part.stage) for system in settings.systems.values() for part in settings.parts
    ]
    replies = settings.replies
    speakers = Speakers(
        pack,
        voices,
        model=replies.model,
        max_tokens=replies.max_tokens,
        temperature=replies.temperature,
        top_p=replies.top_p,
        **how,
    )
    for voice in sorted(voices, key=lambda voice: "=" not in voice.system):  # adapters first: they forget the others
        warm_up(speakers, voice)
    return speakers


def _speak(speakers: Speakers) -> Speak:
    from persbench.conversation.asks import Ask, Voice
    from persbench.study.conversations import Wanted

    def speak(wanted: Wanted) -> Any:
        voice = Voice(wanted.system, wanted.persona, wanted.stage)
        return speakers.stream(Ask(voice, wanted.history, wanted.seed))

    return speak


def _facts(settings: StudySettings, pack: Pack, speakers: Speakers) -> dict[str, str]:
    """Return what else decides whom raters meet: world, weights, systems and adapters."""
    from persbench.conversation.asks import Voice
    from persbench.harness.backend import describe_backend
    from persbench.harness.settings import RunSettings
    from persbench.provenance import digest

    plain = RunSettings(model=None, pack=pack.path, out=pack.path)
    described = describe_backend(speakers.lm)
    facts = {"pack": pack.hash[:12], "model": str(described.get("weights") or described.get("fingerprint"))[:12]}
    for name, system in settings.systems.items():
        voices = [Voice(system, part.persona, part.stage) for part in settings.parts]
        facts[f"system {name}"] = digest([speakers.role(voice).cast.facts(plain) for voice in voices], 12)
    return facts
