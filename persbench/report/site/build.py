"""Build the site: everything into a folder beside the old one, which it then replaces as a whole."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from persbench.errors import PersbenchError
from persbench.report.site.asked import asked_in_dialogues
from persbench.report.site.drawings import drawings_of
from persbench.report.site.evaluations import evaluations
from persbench.report.site.judges import judged_views
from persbench.report.site.pages import Site, render
from persbench.report.site.transcripts import transcripts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persbench.report.cells import Cell
    from persbench.report.judged import JudgedTable
    from persbench.report.site.asked import Asked

MARK: Final = '<meta name="generator" content="persbench">'  # of a folder that a later build may replace


def _nothing(_text: str, _done: int, _total: int) -> None:
    """Tell nobody how far it is."""


def build_site(
    cells: Sequence[Cell],
    out: Path,
    *,
    most: int = 4,
    figures: bool = True,
    judged: Sequence[JudgedTable] = (),
    asked: Asked | None = None,
    conversations: str = "",
    jobs: int = 1,
    progress: Callable[[str, int, int], None] = _nothing,
) -> int:
    """Write the whole site; equal cells give equal bytes.

    Args:
        cells: As `load_cells` reads them.
        out: Folder of the site. It is replaced as a whole, and is as it was if anything goes wrong.
        most: Dialogues of each task and persona whose transcripts are shown.
        figures: Draw figures.
        judged: What judges said of the same cells.
        asked: (pack hash, task, item id) -> what was asked, for replies whose records do not say it.
        conversations: HTML of a page about personas in conversation, which becomes the site's; none if empty.
        jobs: Processes that share the numbers.
        progress: Is told what is done, how much of it, and of how much.

    Returns:
        Number of files.

    Raises:
        PersbenchError: There is no system among the cells, `out` holds something else than a site, or the disk is full.
    """
    check_folder(out)
    nameless = sorted(
        cell.source for cell in cells if not (isinstance(cell.system, str) and isinstance(cell.persona, str))
    )
    if nameless:
        raise PersbenchError(f"{', '.join(nameless)}: system and persona must be text; take it out, and build again.")
    found = evaluations(cells, lambda done, total: progress("numbers", done, total), jobs=jobs)
    systems = [one for one in found if not one.is_sanity]
    if not systems:
        raise PersbenchError("the results hold sanity systems alone: a board needs a system, run --systems prompt.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.", suffix=".part") as held:
            new = Path(held) / "site"
            new.mkdir()
            shared, own, missing = (
                drawings_of(systems, new, _counted(progress, len(systems))) if figures else ([], {}, [])
            )
            talks = transcripts(systems, {**asked_in_dialogues(systems), **(asked or {})}, most)
            site = Site(found, talks, shared, own, tuple(judged_views(judged)), missing, conversations)
            if not site.tables:
                raise PersbenchError("the results hold no task that the board knows: run --tasks persbench.")
            for done, (name, text) in enumerate(render(site)):
                progress("pages", done, len(found) + len(talks))
                path = new / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text.encode("utf-8"))
            number = sum(path.is_file() for path in new.rglob("*"))
            _replace(out, new, Path(held) / "old")
    except OSError as error:
        raise PersbenchError(
            f"cannot write the site to {out}: {error.strerror or error}. What stood there before is kept: "
            "make room or choose another --out."
        ) from error
    return number


def check_folder(out: Path) -> None:
    """Refuse a folder that holds anything but an earlier site: all of it would be lost.

    Raises:
        PersbenchError: It does, or is a file.
    """
    if out.is_file() or out.is_symlink():
        raise PersbenchError(f"{out} is not a folder: give one for the site with --out.")
    index = out / "index.html"
    if out.is_dir() and any(out.iterdir()):
        is_site = index.is_file() and MARK.encode() in index.read_bytes()[:4096]
        if not is_site:
            raise PersbenchError(
                f"{out} holds something else than a site of persbench, and a build replaces the whole folder: "
                "give an empty or a new folder with --out."
            )


def _replace(out: Path, new: Path, old: Path) -> None:
    if out.exists():
        out.rename(old)
    try:
        new.rename(out)
    except OSError:
        if old.exists():
            old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _counted(progress: Callable[[str, int, int], None], total: int) -> Callable[[str], None]:
    done = iter(range(10**9))
    return lambda _name: progress("figures", min(next(done), total), total)
