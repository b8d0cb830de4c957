"""Write RESULTS.md and further.md from their templates: every number and quotation is looked up in the records.

    python leaderboard/results.py leaderboard/records/seed1 --out leaderboard

In a template (Jinja) stand prose and calls: `score("prompt", "content")`, `claim("1")`, `grid("comparisons")`,
`difference("persllm", "prompt", "content")`, `reply("persllm", "reply/nedda/early/q26")`. A name that is not on the
board, or an item that is not in the records, ends with an error: nothing is left blank. Methods of `Results` are all
that a template may call; below `first` stands the same of the records made before amendment 3 of protocol.md, in
`trainings` of each training of the systems that were trained more than once, in `again` of the records of adapters that
were trained again (`anew`) and of the others on the same personas (`before`), for each group of tasks that these were
asked (`live`, `choices`), below `readers` what `readers.py` counts.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Final

from asked import Results, readable
from jinja2 import Environment, StrictUndefined, UndefinedError
from readers import Readers

from persbench.errors import PersbenchError
from persbench.records import write_atomic

HERE: Final = Path(__file__).parent
PAGES: Final = {"RESULTS.md": "results.md.j2", "further.md": "further.md.j2"}
FIRST: Final = HERE / "before-amendment-3"
OTHER_SEEDS: Final = HERE / "records-of-other-seeds"
AGAIN: Final = HERE / "records-trained-again"
SEEDED: Final = ("nedda", "osmer")  # the personas of further seeds


def render(results: Results, template: str, **others: object) -> str:
    """Fill a template in.

    Args:
        results: What it may ask.
        template: Text of it.
        others: What else it may ask, by name.

    Raises:
        PersbenchError: The template asks for what the records do not hold.
    """
    environment = Environment(
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        autoescape=False,  # noqa: S701 - Markdown; quotations escape themselves
    )
    asked: dict[str, Any] = {name: getattr(results, name) for name in dir(results) if not name.startswith("_")}
    try:
        return environment.from_string(template).render(asked | others)
    except (StopIteration, RuntimeError, LookupError, ValueError, UndefinedError) as error:
        raise PersbenchError(f"the template asks for what the records do not hold: {error!r}") from error


def trainings(folder: Path, others: Path = OTHER_SEEDS) -> dict[str, Results]:
    """Return what may be asked of each training of a system that was trained with several seeds, by the seed's name.

    Args:
        folder: The records of seed 1, with the systems that no seed changes.
        others: Beside it a folder of records for each further seed.
    """
    further = {seed.name: Results(folder, seed, SEEDED) for seed in sorted(others.iterdir())}
    return {folder.name: Results(folder, personas=SEEDED)} | further


def trained_again(folder: Path, anew: Path) -> dict[str, Results]:
    """Return what may be asked of adapters trained again, and of the records that they are held against.

    Args:
        folder: The comparison's records.
        anew: Records of some of its systems, of adapters trained again, on some of its personas.

    Returns:
        `before`: the comparison on those personas. `anew`: the same with the systems of `anew` in their own place.
    """
    personas = {cell.persona for cell in readable(anew)}
    return {"before": Results(folder, personas=personas), "anew": Results(folder, anew, personas)}


def write(folder: Path, out: Path) -> None:
    """Write the pages of a folder of records into another folder.

    Raises:
        PersbenchError: A record cannot be read, or a template asks for what the records do not hold.
    """
    found = Results(folder)
    others = {
        "first": Results(folder, FIRST),
        "trainings": trainings(folder),
        "again": {group.name: trained_again(folder, group) for group in sorted(AGAIN.iterdir())},
        "readers": Readers(),
    }
    texts = {page: render(found, (HERE / name).read_text(encoding="utf-8"), **others) for page, name in PAGES.items()}
    for page, text in texts.items():
        write_atomic(out / page, text.encode())


def main() -> None:
    """Read the command line, write the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    wanted = parser.parse_args()
    try:
        write(wanted.folder, wanted.out)
    except PersbenchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
