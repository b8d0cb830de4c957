"""Make every committed table, figure and page from the committed records alone, byte for byte: no model, no network.

    python leaderboard/rebuild.py            # into leaderboard/: RESULTS.md, further.md, tables/, figures/, site/
    python leaderboard/rebuild.py FOLDER     # the same beside it, to compare (a test does)

These are the commands that anyone would type. In one process, since most of their time is reading the same records and
drawing the same intervals.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import Final

os.environ["COLUMNS"] = "160"  # of tables for a terminal; rich looks when it is imported

import results

from persbench.cli import app
from persbench.errors import PersbenchError

HERE: Final = Path(__file__).resolve().parent
RECORDS: Final = HERE / "records"
COMPARED: Final = RECORDS / "seed1"
"""The comparison of protocol.md: verdicts and differences are about these, whatever else is submitted to the board."""


def persbench(*words: str | Path, to: Path | None = None) -> None:
    """Run a command of persbench; what it prints goes into a file.

    Raises:
        PersbenchError: It ended with an exit code other than 0.
    """
    arguments = list(map(str, words))
    print("persbench", *arguments, file=sys.stderr)
    with ExitStack() as stack:
        if to is not None:
            stack.enter_context(redirect_stdout(stack.enter_context(to.open("w", encoding="utf-8", newline="\n"))))
        code = app(arguments, standalone_mode=False)  # typer returns the code of an Exit
    if code:
        raise PersbenchError(f"persbench {' '.join(arguments)} ended with exit code {code}")


def rebuild(out: Path) -> None:
    """Write all of it into a folder."""
    tables = out / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    results.write(COMPARED, out)
    persbench("report", "table", RECORDS, "--format", "markdown", to=tables / "board.md")
    persbench("report", "compare", COMPARED, "--baseline", "prompt", to=tables / "compare.md")
    persbench("report", "confusion", COMPARED, to=tables / "confusion.md")
    for name in ("main", "ablation", "table-2"):
        persbench("paper", name, COMPARED, *outs(tables, name, "md", "tex", "csv"))
    persbench("report", "conversations", HERE, *outs(tables, "conversations", "md", "csv"))
    persbench("report", "figures", RECORDS, "--formats", "png,svg", "--out", out / "figures")
    persbench("leaderboard", "build", RECORDS, "--conversations", HERE, "--out", out / "site")


def outs(folder: Path, name: str, *endings: str) -> list[str | Path]:
    """Return `--out FILE` for each ending."""
    return [word for ending in endings for word in ("--out", folder / f"{name}.{ending}")]


if __name__ == "__main__":
    try:
        rebuild(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
    except PersbenchError as error:
        sys.exit(f"error: {error}")
