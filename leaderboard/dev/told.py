"""Which test items of "knowledge" ask for what the training dialogues tell? The board's records, apart by that.

    python leaderboard/dev/told.py table leaderboard/records/seed1
    python leaderboard/dev/told.py table leaderboard/records/seed1 leaderboard/dev/facts_on_test
    python leaderboard/dev/told.py vocabulary leaderboard/records/seed1 leaderboard/dev/facts_on_test

`knowledge_told.jsonl` names for each item the dialogues that tell its fact: those of `train.jsonl`, from which the
trained systems learnt, and those of `facts.jsonl`, from which only they learnt that `facts.py` speaks of. Readers
marked them who saw no record. Nothing is chosen by these numbers, and no score of the board changes by them.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from facts import ALONE, HALVES, WHOLE, dialogues
from familiar import InWords, against_words, in_words, words_of
from unseen import TASK, paired, taken, written

from persbench.errors import PersbenchError
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack
from persbench.report.board import system_order
from persbench.report.cells import load_cells
from persbench.scoring.sanity import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from persbench.samples import Row

TOLD: Final = Path(__file__).parent / "knowledge_told.jsonl"
IN_TRAIN: Final = "in `train.jsonl`"
NOWHERE: Final = "nowhere"
PLACES: Final = (IN_TRAIN, ALONE, NOWHERE)
DIFFERENCES: Final = (
    *product(("persllm-sft", "persllm"), ("vanilla", "prompt", "stylized-matched")),
    *((WHOLE, other) for other in ("persllm-sft", "vanilla", "prompt")),
)
"""Who is laid beside whom: a trained system, and one that was not told, or not as much."""
FEWEST: Final = 20
"""Of fewer items nothing is said."""


def place_of(item: Mapping[str, Any]) -> str:
    """Return where an item's fact is told."""
    if item["trained"]:
        return IN_TRAIN
    return ALONE if item["told"] else NOWHERE


def table(folders: Sequence[Path]) -> str:
    """Return as Markdown how often each system takes the true reply, by where its fact is told, and what that adds.

    Raises:
        PersbenchError: A record asks for what `knowledge_told.jsonl` does not know.
    """
    found = _by_place(folders)
    lines = ["| system | the fact is told | true reply taken | margin | n |", "|---|---|---:|---:|---:|"]
    order = [name for name in system_order() if name in found]
    order += sorted(set(found) - set(order))
    for system in order:
        lines += [
            f"| {system} | {place} | {taken(list(found[system][place].values()))} |"
            for place in PLACES
            if len(found[system][place]) >= FEWEST
        ]
    gaps = [
        ((f"{system} - {other}", place), pairs)
        for system, other in DIFFERENCES
        for place in PLACES
        if len(pairs := _pairs(found[system][place], found[other][place])) >= FEWEST
    ]
    return "\n".join([*lines, "", paired(["difference", "the fact is told"], gaps)])


def vocabulary(folders: Sequence[Path]) -> str:
    """Return the tables of `against_words`: who learnt the further dialogues, too, beside who did not, by place.

    Raises:
        PersbenchError: See `table`; or nothing was asked of either.
    """
    found = _by_place(folders)
    own, other = found[WHOLE], found["persllm-sft"]
    by_place = {place: pairs for place in PLACES if len(pairs := _pairs(own[place], other[place])) >= FEWEST}
    if not by_place:
        raise PersbenchError(f"Fewer than {FEWEST} items were asked of both {WHOLE} and persllm-sft.")
    pack = load_pack(resolve_pack(None))
    asked = {item.id: (data, item.model_dump()) for data in pack.personas for item in data.knowledge}
    trained = {data.persona.id: [row.model_dump() for row in data.train] for data in pack.personas}
    further = {data.persona.id: [row for half in HALVES for row in dialogues(data, half)] for data in pack.personas}
    few = {name: words_of(rows) for name, rows in trained.items()}
    many = {name: few[name] + words_of(rows) for name, rows in further.items()}

    def said(names: Iterable[str], learnt: Mapping[str, Mapping[str, int]]) -> list[InWords]:
        return [in_words(item, learnt[data.persona.id]) for data, item in (asked[name] for name in names)]

    return against_words([(place, pairs, said(pairs, many), said(pairs, few)) for place, pairs in by_place.items()])


def _pairs(own: Mapping[str, Row], other: Mapping[str, Row]) -> dict[str, tuple[Row, Row]]:
    return {name: (row["metrics"], other[name]["metrics"]) for name, row in own.items() if name in other}


def _by_place(folders: Sequence[Path]) -> dict[str, dict[str, dict[str, Row]]]:
    """Return system -> place -> item -> row."""
    known = written(TOLD)
    found: dict[str, dict[str, dict[str, Row]]] = defaultdict(lambda: {place: {} for place in PLACES})
    for folder in folders:
        cells, faults = load_cells(folder)
        if faults:
            raise PersbenchError("; ".join(map(str, faults)))
        for cell in cells:
            if cell.system.startswith(PREFIX):  # looks at the surface alone, and has no margins
                continue
            for row in cell.tasks.get(TASK, []):
                item = row["id"].rpartition("/")[2]
                if item not in known:
                    raise PersbenchError(f"{row['id']} is no test item. Give a folder of records of the test set.")
                found[cell.system][place_of(known[item])][item] = row
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["table", "vocabulary"])
    parser.add_argument("folder", type=Path, nargs="+")
    wanted = parser.parse_args()
    try:
        print((table if wanted.what == "table" else vocabulary)(wanted.folder))
    except PersbenchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
