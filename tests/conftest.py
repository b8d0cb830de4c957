"""Shared by all tests: no hub, no progress bars, and a copy of the fake pack to break."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from persbench.packs.bundled import fake_pack

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

pytest_plugins = ("study_fixtures",)  # a study that is served: tests/study is on the path (pyproject)

LONG = ("harness", "training", "test_cli.py")  # folders and files whose tests begin processes or train


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that run a real model, then those that take seconds: at the end one of two workers idles."""
    real = {item.path for item in items if item.get_closest_marker("model")}
    here = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        if item.path in real:
            return 0
        return 1 if item.path.relative_to(here).parts[0] in LONG else 2

    items.sort(key=place)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the fake pack to break."""
    return shutil.copytree(fake_pack(), tmp_path / "fake")


@pytest.fixture
def short_talks(folder: Path) -> Path:
    """The fake pack with dialogues of two turns, each fed back and probed: half the time of a real model."""
    path = folder / "dialogues.jsonl"
    talks = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    path.write_text(
        "".join(json.dumps(talk | {"turns": talk["turns"][:2], "probes_after": [1, 2]}) + "\n" for talk in talks)
    )
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Headless Chromium for the tests of one file, which are skipped where there is none.

    Not for longer: while it runs, no other test could begin a browser or an event loop.
    """
    api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    where = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=where, args=["--no-sandbox"], timeout=120_000)
        except api.Error as error:
            pytest.skip(f"no Chromium can be started: {str(error).splitlines()[0]}")
        yield browser
        browser.close()
