"""Evaluate one cell of the board again, and hold what comes out against its record, number by number and text by text.

    python leaderboard/reevaluate.py leaderboard/records/seed1 --draw 7            # a cell drawn by that seed
    python leaderboard/reevaluate.py leaderboard/records/seed1 --cell prompt__nedda
    python leaderboard/reevaluate.py leaderboard/records/seed1 --cell persllm__nedda --adapters ADAPTERS

The stored anchors are not used: those of the untuned model are computed anew, too. Ends with exit code 0 if everything
but `run` (times, commit) is the same, else with 1 and what differs.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persbench.errors import PersbenchError
from persbench.records import CellRecord, load_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SHOWN = 20
SETTINGS = {"dtype": "--dtype", "device": "--device", "batch": "--batch-size", "analysis": "--analysis"}


def drawn(folder: Path, cell: str | None, seed: int) -> Path:
    """Return the record that is asked for, or one drawn among those that a model made.

    Raises:
        PersbenchError: There is none.
    """
    paths = sorted(p for p in folder.rglob("*.json.gz") if cell in (None, p.name.partition(".json")[0]))
    paths = [p for p in paths if cell or not p.name.startswith("sanity")]
    if not paths:
        raise PersbenchError(f"{folder} holds no record {cell or 'of a model'}.")
    return random.Random(seed).choice(paths)  # noqa: S311 - a draw that can be repeated


def command_of(record: CellRecord, adapters: Path | None, model: str | None, out: Path) -> list[str]:
    """Return the command that evaluates a record's cell again.

    Raises:
        PersbenchError: A trained system without its adapters.
    """
    system = record.system
    if "adapter" in record.signature:
        if adapters is None:
            raise PersbenchError(f"{system} is a trained system: name the folder of its adapters (--adapters).")
        system = f"{system}={adapters}"
    words = ["run", "--tasks", ",".join(record.tasks), "--personas", record.persona, "--systems", system]
    for fact, option in SETTINGS.items():
        words += [option, str(record.signature[fact])] if fact in record.signature else []
    words += ["--anchors", str(out / "anchors"), "--out", str(out)]
    return [sys.executable, "-m", "persbench", *words, *(["--model", model] if model else [])]


def differences(old: Any, new: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Walk through two values of JSON, and yield where they differ, and how."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            if key not in old or key not in new:
                yield f"{place}/{key}", "only in the record" if key in old else "only in what came out"
            else:
                yield from differences(old[key], new[key], f"{place}/{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, pair in enumerate(zip(old, new, strict=True)):
            yield from differences(*pair, f"{place}/{number}")
    elif old != new:
        both = [one for one in (old, new) if isinstance(one, float)]
        yield place, f"by {abs(old - new):.1e}" if len(both) == 2 else f"{old!r:.60} became {new!r:.60}"  # noqa: PLR2004


def compare(old: CellRecord, new: CellRecord) -> list[tuple[str, str]]:
    """Return everything in which two records of a cell differ, `run` left aside."""
    return list(differences(_content(old), _content(new)))


def _content(record: CellRecord) -> dict[str, Any]:
    tasks = {
        name: {**task, "samples": {row["id"]: row for row in task["samples"]}} for name, task in record.tasks.items()
    }
    return {"key": record.key, "signature": record.signature, "provenance": record.provenance, "tasks": tasks}


def report(record: CellRecord, found: Sequence[tuple[str, str]]) -> str:
    """Say what came of it."""
    items = sum(len(task["samples"]) for task in record.tasks.values())
    head = f"{record.system} as {record.persona}: {items} items of {len(record.tasks)} tasks"
    if not found:
        return f"{head}: the same record again"
    by_task = Counter(place.split("/")[2] for place, _ in found if place.startswith("/tasks/"))
    return "\n".join(
        [
            f"{head}: {len(found)} values differ",
            *(f"  {count} in {task}" for task, count in by_task.most_common()),
            *(f"{place}: {how}" for place, how in found[:SHOWN]),
            *([f"... and {len(found) - SHOWN} more"] if len(found) > SHOWN else []),
        ]
    )


def main() -> None:
    """Read the command line, evaluate, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cell", help="SYSTEM__PERSONA, as the record's file is called")
    parser.add_argument("--draw", type=int, default=0, help="seed of the draw, where no cell is named")
    parser.add_argument("--adapters", type=Path, help="folder with the adapter of each persona, for a trained system")
    parser.add_argument("--model", help="the base model, if it is not the default one")
    parser.add_argument("--out", type=Path, help="where the new record is kept (default: nowhere)")
    wanted = parser.parse_args()
    try:
        path = drawn(wanted.folder, wanted.cell, wanted.draw)
        old = load_record(path)
        with tempfile.TemporaryDirectory() as scratch:
            out = wanted.out or Path(scratch)
            print(f"evaluating {old.system} as {old.persona} again", file=sys.stderr, flush=True)
            subprocess.run(command_of(old, wanted.adapters, wanted.model, out), check=True)  # noqa: S603 - our own command
            found = compare(old, load_record(out / "records" / path.name.removesuffix(".gz")))
    except (PersbenchError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")
    print(report(old, found))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
