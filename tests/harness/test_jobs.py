"""Several processes write what one would, and what goes wrong in one of them is told."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest
from shares import act, budget, outlive

from persbench.errors import PersbenchError
from persbench.harness.jobs import shared_out
from persbench.harness.run import run
from persbench.harness.settings import RunSettings
from persbench.packs.bundled import fake_pack
from persbench.records import load_record


def settings(out: Path, **more: object) -> RunSettings:
    made = RunSettings(
        model="any", pack=fake_pack(), out=out, backend="persbench-fake", systems=("vanilla", "prompt"),
        tasks=("persbench_attitude",), anchors=out / "anchors",
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def test_two_processes_write_what_one_writes(tmp_path: Path) -> None:
    lines: list[str] = []
    one = [load_record(path) for path in run(settings(tmp_path / "one"), lambda _: None)]
    two = [load_record(path) for path in run(settings(tmp_path / "two", jobs=3), lines.append)]
    assert lines[0] == "--jobs 3: a persona is evaluated by one process, so 2 will run."

    def scores(records: list[object]) -> dict[tuple[str, str], object]:
        return {(r.system, r.persona): r.tasks for r in records}  # type: ignore[attr-defined]

    assert scores(list(two)) == scores(list(one))
    assert len(two) == 4
    assert sum("vanilla as" in line for line in lines) == 2
    lines.clear()
    run(settings(tmp_path / "two"), lines.append)  # what two processes finished, one knows
    assert "4 of 4 cells were finished before" in lines
    assert not any(" as " in line for line in lines)


def test_a_fault_in_one_share_is_told_and_the_others_end(tmp_path: Path) -> None:
    lines: list[str] = []
    with pytest.raises(PersbenchError, match="bad: mend it"):
        shared_out(partial(act, tmp_path), ["a", "bad", "c", "never"], 2, lines.append, tmp_path / "logs")
    assert {path.name for path in tmp_path.iterdir()} == {"a", "c", "logs"}
    assert sorted(lines) == ["at a", "at bad", "at c"]


def test_a_killed_process_is_an_error_with_a_next_step(tmp_path: Path) -> None:
    with pytest.raises(PersbenchError, match=r"was killed .* the same command goes on"):
        shared_out(partial(act, tmp_path), ["killed", "b"], 2, lambda _: None, tmp_path / "logs")
    assert (tmp_path / "b").read_text() == "b", "the others go on"


def test_a_process_ends_with_its_share_and_gives_its_memory_back(tmp_path: Path) -> None:
    found = shared_out(partial(outlive, tmp_path), ["first", "second"], 2, lambda _: None, tmp_path / "logs")
    assert [path.name for path in found] == ["first", "second"]


def test_a_process_of_three_takes_a_third_of_half_the_free_memory(tmp_path: Path) -> None:
    found = shared_out(partial(budget, tmp_path), ["a", "b", "c"], 3, lambda _: None, tmp_path / "logs")
    assert [path.read_text() for path in found] == ["6"] * 3


def test_the_processes_end_with_the_one_that_began_them(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "if __name__ == '__main__':\n"
        "    from functools import partial; from pathlib import Path; from shares import wait\n"
        "    from persbench.harness.jobs import shared_out\n"
        "    out = Path(sys.argv[1]); shared_out(partial(wait, out), ['a', 'b'], 2, print, out / 'logs')\n"
    )
    (tmp_path / "main.py").write_text(code)
    parent = subprocess.Popen([sys.executable, tmp_path / "main.py", tmp_path, Path(__file__).parent])
    begun = time.monotonic()
    while not all((tmp_path / name).is_file() and (tmp_path / name).read_text() for name in "ab"):
        assert time.monotonic() - begun < 50
        assert parent.poll() is None
        time.sleep(0.1)
    children = [int((tmp_path / name).read_text()) for name in "ab"]
    assert all(psutil.pid_exists(child) for child in children)
    parent.kill()
    parent.wait()
    begun = time.monotonic()
    while any(psutil.pid_exists(child) for child in children):
        assert time.monotonic() - begun < 10, "they outlive it"
        time.sleep(0.1)
