from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from persbench.packs import fake_pack

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the fake pack to break."""
    return shutil.copytree(fake_pack(), tmp_path / "fake")
