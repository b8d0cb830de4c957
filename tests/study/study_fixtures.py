"""A study that is served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from served_study import Served, write_study


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
