"""A study on the toy pack, served by a process of its own whose systems need no weights: they repeat what they hear."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from persbench.packs.bundled import fake_pack

STUDY: dict[str, Any] = {
    "title": "Talking with somebody from Toy Harbour",
    "consent": "You will talk with several chat programs and rate each of them.\nYou may stop at any moment.",
    "instructions": "Talk as you like. Your partner is a program that plays a person of another time and place.",
    "pack": str(fake_pack()),
    "systems": {"plain-one": "vanilla", "told-one": "prompt"},
    "parts": [{"persona": "ada", "stage": "late"}, {"persona": "bo", "stage": "early"}],
    "turns": {"min": 2, "max": 3},
    "scales": {
        "likeness": {
            "question": "How much did your partner talk like the person described here?",
            "anchors": ["not at all", "a little", "in part", "largely", "entirely"],
            "shows_persona": True,
        },
        "consistency": {
            "question": "How well did what your partner said fit together?",
            "anchors": [
                "contradicted itself",
                "often did not fit",
                "fitted in part",
                "mostly fitted",
                "fitted throughout",
            ],
        },
        "naturalness": {
            "question": "How natural was the way your partner talked?",
            "anchors": ["not at all", "a little", "in between", "rather", "entirely"],
        },
        "engagement": {
            "question": "How much did you want to go on talking?",
            "anchors": ["not at all", "a little", "somewhat", "much", "very much"],
        },
    },
    "preference": "Which of the two was more like the person described here?",
    "limits": {"messages_per_minute": 600},
}


def write_study(folder: Path, **changes: Any) -> Path:
    path = folder / "STUDY.yaml"
    path.write_text(yaml.safe_dump(STUDY | changes, sort_keys=False, allow_unicode=True), "utf-8")
    return path


def heard(text: str) -> str:
    """What a system answers to a message."""
    return f"I heard <b>{text}</b>."


def speak(wanted: Any) -> Iterator[str]:
    """Repeat the last message, word by word; the word `fail` breaks it, and `slow` takes its time."""
    text = wanted.history[-1]["content"]
    if text == "fail" and not Path(os.environ["STUDY_MENDED"]).exists():
        raise RuntimeError("out of memory")
    pause = 0.3 if "slow" in text else 0.01
    for word in heard(text).split(" "):
        time.sleep(pause)
        yield word + " "


class Served:
    """A running server.

    Args:
        study: STUDY.yaml.
        folder: Where the database comes into.
        host: Where to listen; the port is one that was free, and stays the same over restarts.
    """

    def __init__(self, study: Path, folder: Path, host: str = "127.0.0.1") -> None:
        self.study, self.folder, self.host = study, folder, host
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.mended = folder / "mended"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, __file__, str(self.study), str(self.folder), self.host, str(self.port)]
        environment = os.environ | {"STUDY_MENDED": str(self.mended)}
        self.process = subprocess.Popen(command, env=environment)
        for _ in range(400):
            if self.process.poll() is not None:
                break
            try:
                urllib.request.urlopen(self.url + "/static/study.css", timeout=2).read()
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError("the server of the study does not answer")

    def kill(self) -> None:
        """End it as a power failure would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=20)
        self.process = None

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=20)
            self.process = None


def main() -> None:
    from persbench.study.database import database_in
    from persbench.study.server import build_app
    from persbench.study.serving import access_key, listen, needs_key, run
    from persbench.study.settings import load_study
    from persbench.study.store import Store

    study, folder, host, port = sys.argv[1:]
    settings, pack = load_study(Path(study))
    Path(folder).mkdir(parents=True, exist_ok=True)
    store = Store(database_in(Path(folder)), settings)
    key = access_key(Path(folder)) if needs_key(host) else None

    def complain(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    app = build_app(store, pack, speak, local=not needs_key(host), key=key, complain=complain)
    run(app, listen(host, int(port)), lambda: None)


if __name__ == "__main__":
    main()
