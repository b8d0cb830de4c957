"""Shared by all tests: no hub, no progress bars, and a copy of the fake pack to break."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from persbench.packs.bundled import fake_pack

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the fake pack to break."""
    return shutil.copytree(fake_pack(), tmp_path / "fake")
