"""Processes that are killed, and processes at the same time: nothing that was answered is asked again."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from scripted_server import ScriptedServer, conversation_key, random_faults

from persbench.annotators.cache import FILE_NAME

COUNT = 60
PATIENCE = 300  # seconds, for a machine that is busy with other things; each process takes two
ASK = """
import sys
from persbench.annotators.asking import CachedAnnotator
from persbench.annotators.cache import CallCache
from persbench.annotators.calls import Call
from persbench.annotators.endpoint import EndpointBackend
from persbench.annotators.settings import EndpointSettings
from pathlib import Path

url, cache, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
settings = EndpointSettings(model="scripted", base_url=url, backoff=0.002, concurrency=4)
annotator = CachedAnnotator(EndpointBackend(settings), CallCache(cache))
calls = [Call("talk", "v1", ({"role": "user", "content": f"q{i}"},), 20) for i in range(count)]
print([reply.text for reply in annotator.ask(calls)])
"""


def start(server: ScriptedServer, cache: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ASK, server.url, str(cache), str(COUNT)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))


def expected() -> str:
    return str([f"you said q{i}" for i in range(COUNT)])


def test_a_process_killed_again_and_again_asks_nothing_twice(tmp_path: Path) -> None:
    drawn = random.Random(5)
    with ScriptedServer(
        lambda messages: f"you said {messages[-1]['content']}", faults=random_faults(0.2, seed=5), delay=0.02
    ) as server:
        known: set[str] = set()
        asked_before = 0
        for _ in range(3):
            process = start(server, tmp_path)
            target = len(server.asked) + drawn.randrange(12, 18)
            while len(server.asked) < target and process.poll() is None:
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=PATIENCE)
            assert process.returncode == -signal.SIGKILL
            assert stored(tmp_path) > known  # each life brings the work forward, and none takes it back
            assert known.isdisjoint(map(conversation_key, server.asked[asked_before:]))
            known = stored(tmp_path)
            time.sleep(0.2)  # what the server is still sending goes nowhere
            asked_before = len(server.asked)
        process = start(server, tmp_path)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, err
        assert known.isdisjoint(map(conversation_key, server.asked[asked_before:]))
        # Only what a kill caught between the server and the file was asked again: at most one call a thread.
        assert sum(server.answered.values()) - COUNT <= 3 * 4
    assert out.strip() == expected()
    assert len(stored(tmp_path)) == COUNT


def test_two_processes_at_once_share_the_work(tmp_path: Path) -> None:
    with ScriptedServer(lambda messages: f"you said {messages[-1]['content']}", delay=0.01) as server:
        both = [start(server, tmp_path), start(server, tmp_path)]
        for process in both:
            out, err = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, err
            assert out.strip() == expected()
        assert set(server.answered.values()) == {1}
        assert len(server.asked) == COUNT


def stored(folder: Path) -> set[str]:
    """Return the keys of the conversations whose answers the cache holds, as the server counts them."""
    db = sqlite3.connect(folder / FILE_NAME)
    rows = [json.loads(asked) for (asked,) in db.execute("SELECT asked FROM answers")]
    db.close()
    return {conversation_key({**row, "temperature": 0.0}) for row in rows}
