"""A real OpenAI-compatible server on loopback, `transformers serve`: live dialogue through lm-eval's chat client."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers.utils.import_utils import is_serve_available

from persbench.harness.run import run
from persbench.harness.settings import RunSettings
from persbench.models.fetch import fetch_model
from persbench.records import load_record

COMMAND = Path(sys.executable).with_name("transformers")
TASKS = ("persbench_consistency_gen", "persbench_reply")
PATIENCE = 90  # seconds until the server must answer

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(
        not is_serve_available() or shutil.which(str(COMMAND)) is None,
        reason="`transformers serve` is not installed: pip install 'transformers[serving]'",
    ),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log"
    command = [str(COMMAND), "serve", str(fetch_model()), "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w") as told:
        server = subprocess.Popen(
            [*command, "--device", "cpu", "--dtype", "float32"],
            stdout=told, stderr=told, env=os.environ | {"HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
        try:
            _wait(f"http://127.0.0.1:{port}/health", server, log)
            yield f"http://127.0.0.1:{port}/v1/chat/completions"
        finally:
            server.kill()
            server.wait()


def _wait(health: str, server: subprocess.Popen[Any], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert server.poll() is None, log.read_text("utf-8")[-2000:]
        try:
            with urllib.request.urlopen(health, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    pytest.fail(f"no answer in {PATIENCE} s: {log.read_text('utf-8')[-2000:]}")


def played(out: Path, pack: Path, **more: Any) -> dict[str, Any]:
    """Run two tasks of the fake pack on the default model, one item each."""
    settings = RunSettings(
        model=str(fetch_model()), pack=pack, out=out, systems=("prompt",), personas=("ada",), tasks=TASKS,
        limit=1, batch_size=1, device="cpu", **more,
    )  # fmt: skip
    (path,) = run(settings, lambda _: None)
    return load_record(path).tasks


def test_a_real_server_plays_the_same_dialogue_as_local_weights(url: str, tmp_path: Path, short_talks: Path) -> None:
    # Some servers refuse a special token as a stop string; ordinary text that nobody says passes everywhere.
    served = played(
        tmp_path / "served",
        short_talks,
        backend="local-chat-completions",
        model_args={"base_url": url, "eos_string": "<end of reply>"},
    )
    local = played(tmp_path / "local", short_talks, backend="hf", dtype="float32")
    (talk,) = served["persbench_consistency_gen"]["samples"]
    said = [exchange["reply"] for exchange in talk["transcripts"]["talk"]]
    assert len(said) == 2 and all(said) and not talk["faults"]  # noqa: PT018 - one dialogue, whole
    for task in TASKS:
        for ours, theirs in zip(served[task]["samples"], local[task]["samples"], strict=True):
            for part in ("transcripts", "chosen", "reply", "metrics"):
                assert ours.get(part) == theirs.get(part), (task, part)
