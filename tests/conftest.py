"""Shared by all tests: no hub, no progress bars, and a copy of the fake pack to break."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from persbench.packs.bundled import fake_pack

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that run a real model: they take minutes, and at the end one of two workers would idle."""
    slow = {item.path for item in items if item.get_closest_marker("model")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the fake pack to break."""
    return shutil.copytree(fake_pack(), tmp_path / "fake")
