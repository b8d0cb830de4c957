"""A browser for the pages of a study, and a study that is served."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served_study import Served, write_study


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Headless Chromium for the tests of one file, which are skipped where there is none.

    Not for longer: while it runs, no other test could begin a browser or an event loop.
    """
    api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    where = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=where, args=["--no-sandbox"])
        except api.Error as error:
            pytest.skip(f"no Chromium can be started: {str(error).splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One study for all tests of a file, each with raters of its own."""
    folder = tmp_path_factory.mktemp("study")
    server = Served(write_study(folder), folder / "store")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Served]:
    """A study of the test's own, not yet started."""
    server = Served(write_study(tmp_path), tmp_path / "store")
    yield server
    server.stop()
