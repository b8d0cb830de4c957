"""Records of the toy pack by the fake model, made once a process, and ways to write them, changed or not."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from word_embedder import WordEmbedder

from persbench.harness import reply
from persbench.harness.run import run
from persbench.harness.settings import RunSettings
from persbench.packs.bundled import fake_pack
from persbench.packs.load import load_pack
from persbench.provenance import digest
from persbench.submission.check import check_record
from persbench.submission.examiner import Examiner
from persbench.submission.findings import Findings, RefusedError
from persbench.submission.form import record_of
from persbench.submission.submit import Submission, submit

Content = dict[str, Any]
TWINS = ("persbench_costume_gen", "persbench_pressure_gen")
SYSTEMS = ("prompt", "vanilla", "sanity:longest", "sanity:unigram_fluency")


class Words(WordEmbedder):
    name = "somewhere/words"


@contextmanager
def words_embedder() -> Iterator[None]:
    """Let an embedder that needs no model be the default one."""
    rooms = ("harness.reply", "harness.run", "submission.examiner", "submission.metrics")
    reply.sorter_named.cache_clear()
    with ExitStack() as stack:
        for room in rooms:
            stack.enter_context(
                patch(f"persbench.{room}.embedder_named", lambda name: None if name == "none" else Words())
            )
        yield
    reply.sorter_named.cache_clear()


@cache
def _made() -> dict[str, Content]:
    with tempfile.TemporaryDirectory() as folder, words_embedder():
        out = Path(folder)
        settings = RunSettings(
            model="fake", pack=fake_pack(), out=out, systems=SYSTEMS, personas=("ada",), tasks=("persbench", *TWINS),
            backend="persbench-fake", anchors=out / "anchors",
        )  # fmt: skip
        paths = run(settings, lambda _line: None)
        return {path.stem: json.loads(path.read_text()) for path in paths}


def record(name: str = "prompt__ada", *tasks: str) -> Content:
    """Return a fresh copy of a record, with some of its tasks alone where any are named."""
    content = deepcopy(_made()[name])
    if tasks:
        content["tasks"] = {task: content["tasks"][task] for task in tasks}
        rekey(content)
    return content


def rekey(content: Content) -> Content:
    """Give a changed record the key that belongs to it, as a careful forger would."""
    facts = {key: value for key, value in content["signature"].items() if key != "anchors"}
    tasks = sorted((name, task["version"], task["hash"]) for name, task in content["tasks"].items())
    content["key"] = digest([facts, content["persona"], tasks], 16)
    return content


def write(path: Path, content: Content | str | bytes) -> Path:
    """Write a record, packed where the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = (
        content
        if isinstance(content, bytes)
        else (content if isinstance(content, str) else json.dumps(content)).encode()
    )
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


@cache
def examiner() -> Examiner:
    return Examiner(load_pack(fake_pack()))


def faults(content: Content) -> Findings:
    """Check one record as it stands and return what is wrong."""
    found = Findings()
    formed = record_of(content, found)
    if formed is not None:
        check_record(formed, examiner(), found)
    return found


def messages(content: Content) -> str:
    return faults(content).text()


def refused(records: Path, board: Path) -> str:
    """Submit what must be refused, and return what is said; nothing may be written."""
    before = sorted(board.rglob("*"))
    try:
        submit(records, board, examiner(), lambda _line: None)
    except RefusedError as error:
        assert sorted(board.rglob("*")) == before
        return str(error)
    raise AssertionError("accepted")


def accepted(records: Path, board: Path) -> Submission:
    return submit(records, board, examiner(), lambda _line: None)
