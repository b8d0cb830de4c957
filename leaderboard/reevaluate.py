"""Evaluate one cell of the board again, and hold what comes out against its record, number by number and text by text.

    python leaderboard/reevaluate.py leaderboard/records/seed1 --draw 7            # a cell drawn by that seed
    python leaderboard/reevaluate.py leaderboard/records/seed1 --cell prompt__nedda
    python leaderboard/reevaluate.py leaderboard/records/seed1 --cell persllm__nedda --adapters ADAPTERS
    python leaderboard/reevaluate.py leaderboard/records/seed1 --draw 7 --anchors runs/anchors

The untuned model's log-likelihoods (anchors) are computed anew, too, unless the stored ones are named: a text that
personas share was computed in the batches of whoever was evaluated first, and arithmetic of less than 32 bits rounds
other batches otherwise. Ends with exit code 0 if everything but `run` (times, commit) is the same, else with 1 and what
differs: how much of it is of the system itself (loglikelihoods, analysis, reply), and whether an accuracy is touched.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from persbench.errors import PersbenchError
from persbench.records import CellRecord, load_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SHOWN = 20  # differences told one by one, of each kind
SETTINGS = {"dtype": "--dtype", "device": "--device", "batch": "--batch-size", "analysis": "--analysis"}


class Difference(NamedTuple):
    """A value in which two records of a cell differ.

    Attributes:
        place: The way to it, as `/tasks/persbench_costume/samples/ID/loglikelihoods/1`.
        how: What it was and has become.
        size: By how much, where both are numbers.
    """

    place: str
    how: str
    size: float | None = None

    @property
    def kind(self) -> str:
        """The name of what differs: that of a metric, `loglikelihoods`, `anchors`, `reply`..."""
        return next(name for name in reversed(self.place.split("/")) if not name.isdigit())


def drawn(folder: Path, cell: str | None, seed: int) -> Path:
    """Return the record that is asked for, or one drawn among those that a model made.

    Raises:
        PersbenchError: There is none, or several of that name.
    """
    paths = sorted(p for p in folder.rglob("*.json.gz") if cell in (None, p.name.partition(".json")[0]))
    paths = [p for p in paths if cell or not p.name.startswith("sanity")]
    if not paths:
        raise PersbenchError(f"{folder} holds no record {cell or 'of a model'}.")
    if cell and len(paths) > 1:
        parts = ", ".join(str(path.parent) for path in paths)
        raise PersbenchError(f"{cell} has its tasks in {len(paths)} records: name one's folder ({parts}).")
    return random.Random(seed).choice(paths)  # noqa: S311 - a draw that can be repeated


def command_of(
    record: CellRecord, adapters: Path | None, model: str | None, out: Path, anchors: Path | None = None
) -> list[str]:
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
    words += ["--anchors", str(anchors or out / "anchors"), "--out", str(out)]
    return [sys.executable, "-m", "persbench", *words, *(["--model", model] if model else [])]


def differences(old: Any, new: Any, place: str = "") -> Iterator[Difference]:
    """Walk through two values of JSON, and yield where they differ, and how."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            if key not in old or key not in new:
                yield Difference(f"{place}/{key}", "only in the record" if key in old else "only in what came out")
            else:
                yield from differences(old[key], new[key], f"{place}/{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, pair in enumerate(zip(old, new, strict=True)):
            yield from differences(*pair, f"{place}/{number}")
    elif old != new:
        numbers = type(old) is type(new) is float
        yield Difference(place, f"{old!r:.60} became {new!r:.60}", abs(old - new) if numbers else None)


def compare(old: CellRecord, new: CellRecord) -> list[Difference]:
    """Return everything in which two records of a cell differ, `run` left aside."""
    return list(differences(_content(old), _content(new)))


def _content(record: CellRecord) -> dict[str, Any]:
    tasks = {
        name: {**task, "samples": {row["id"]: row for row in task["samples"]}} for name, task in record.tasks.items()
    }
    return {"key": record.key, "signature": record.signature, "provenance": record.provenance, "tasks": tasks}


def report(record: CellRecord, found: Sequence[Difference]) -> str:
    """Say what came of it: how many values of each kind differ, by how much at most, and the first of them."""
    items = sum(len(task["samples"]) for task in record.tasks.values())
    head = f"{record.system} as {record.persona}: {items} items of {len(record.tasks)} tasks"
    if not found:
        return f"{head}: the same record again"
    kinds: dict[tuple[str, str], list[Difference]] = defaultdict(list)
    for one in found:
        kinds[one.place.split("/")[2] if one.place.startswith("/tasks/") else "the cell", one.kind].append(one)
    lines = [f"{head}: {len(found)} values differ"]
    for (task, kind), ones in sorted(kinds.items(), key=lambda pair: (pair[0][0], -len(pair[1]))):
        sizes = [one.size for one in ones if one.size is not None]
        lines.append(f"  {len(ones)} {kind} in {task}" + (f", by {max(sizes):.1e} at most" if sizes else ""))
    for ones in kinds.values():
        lines += [f"{one.place}: {one.how}" for one in ones[:SHOWN]]
        lines += [f"... and {len(ones) - SHOWN} more of them"] if len(ones) > SHOWN else []
    return "\n".join(lines)


def main() -> None:
    """Read the command line, evaluate, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cell", help="SYSTEM__PERSONA, as the record's file is called")
    parser.add_argument("--draw", type=int, default=0, help="seed of the draw, where no cell is named")
    parser.add_argument("--adapters", type=Path, help="folder with the adapter of each persona, for a trained system")
    parser.add_argument("--model", help="the base model, if it is not the default one")
    parser.add_argument("--anchors", type=Path, help="folder of stored anchors (default: they are computed anew)")
    parser.add_argument("--out", type=Path, help="where the new record is kept (default: nowhere)")
    wanted = parser.parse_args()
    try:
        path = drawn(wanted.folder, wanted.cell, wanted.draw)
        old = load_record(path)
        with tempfile.TemporaryDirectory() as scratch:
            out = wanted.out or Path(scratch)
            print(f"evaluating {old.system} as {old.persona} again", file=sys.stderr, flush=True)
            command = command_of(old, wanted.adapters, wanted.model, out, wanted.anchors)
            subprocess.run(command, check=True)  # noqa: S603 - our own command
            found = compare(old, load_record(out / "records" / path.name.removesuffix(".gz")))
    except (PersbenchError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")
    print(report(old, found))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
