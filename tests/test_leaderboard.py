"""What is committed of the leaderboard follows from the committed records, byte for byte."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LEADERBOARD = Path(__file__).parent.parent / "leaderboard"
PARTS = ("RESULTS.md", "further.md", "tables", "figures", "site")


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for part in PARTS
        for path in sorted([folder / part, *(folder / part).rglob("*")])
        if path.is_file()
    }


@pytest.mark.skipif(not (LEADERBOARD / "records").is_dir(), reason="no records here")
def test_every_committed_table_figure_and_page_follows_from_the_records(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, LEADERBOARD / "rebuild.py", tmp_path],
        check=False,
        capture_output=True,
        timeout=900,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found, committed = files_below(tmp_path), files_below(LEADERBOARD)
    assert found.keys() == committed.keys()
    other = sorted(name for name in found if found[name] != committed[name])
    assert not other, f"leaderboard/rebuild.py gives other bytes: {', '.join(other)}"
    assert {name.partition("/")[0] for name in found} == set(PARTS)
    assert {f"tables/{name}.{end}" for name in ("main", "table-2") for end in ("md", "tex", "csv")} <= found.keys()
    assert {f"tables/conversations.{ending}" for ending in ("md", "csv")} | {"site/conversations.html"} <= found.keys()
