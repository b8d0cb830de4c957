r"""Are facts learnt that the training dialogues tell, in several wordings? Each of two halves is told to one of two.

    for half in odd even; do     # the dev pack, and dialogues that tell what every second of the materials holds
      python leaderboard/dev/facts.py $half runs/facts/$half
      persbench train --pack runs/facts/$half --persona osmer --recipe persllm-sft --out runs/facts/adapters/facts-$half
    done
    python leaderboard/dev/facts.py pack runs/facts/pack
    persbench run --pack runs/facts/pack --tasks persbench_knowledge --personas osmer --out runs/facts/asked \
      --dtype bfloat16 \
      --systems vanilla,prompt,rag,facts-odd=runs/facts/adapters/facts-odd,facts-even=runs/facts/adapters/facts-even
    python leaderboard/dev/facts.py table runs/facts/asked

Of most facts that the test set asks for nothing is told in the training dialogues (`leaderboard/readers/README.md`), so
that a model trained on these cannot know them. `facts.jsonl` tells facts of the materials in further dialogues, each in
three wordings. `fact_items.jsonl` asks for facts of the same materials that the test set does not ask for; foils are
true of something else in the same life, so that words that were learnt do not decide. Each item names the dialogues
that tell its fact. Every item that one half tells is asked of a model that was told it, and of one that was told as
much of other materials instead: all else that training does is in both.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from unseen import SEEN, TASK, UNSEEN, paired, seen_and_unseen, write_items, write_training_rows

from persbench.errors import PersbenchError
from persbench.report.cells import load_cells

if TYPE_CHECKING:
    from collections.abc import Mapping

    from persbench.packs.pack import PersonaData
    from persbench.samples import Row

FACTS: Final = Path(__file__).parent / "facts.jsonl"
ITEMS: Final = Path(__file__).parent / "fact_items.jsonl"
HALVES: Final = ("odd", "even")
PREFIX: Final = "facts-"
"""What a system is called that was trained on a half: `facts-odd`."""


def read(file: Path) -> list[dict[str, Any]]:
    """Read texts that were written for this, a row a line."""
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def half_of(row: str) -> str:
    """Return the half that a dialogue belongs to: that of its material's number (`osmer-m07-2b`: odd)."""
    return HALVES[int(row.split("-")[1].removeprefix("m")) % 2 == 0]


def dialogues(data: PersonaData, half: str) -> list[dict[str, object]]:
    """Return a persona's further training rows: those that tell one half of the materials."""
    stages = {material.id: material.stage for material in data.materials}
    return [
        {
            "id": told["id"],
            "prompt_id": told["id"],
            "pattern": "question",
            "stage": stages[told["material"]],
            **{name: told[name] for name in ("prompt", "analysis", "response")},
            "materials": [told["material"]],
        }
        for told in read(FACTS)
        if told["material"] in stages and half_of(told["id"]) == half
    ]


def items(data: PersonaData) -> list[dict[str, object]]:
    """Return a persona's questions."""
    own = {material.id for material in data.materials}
    names = ("id", "stage", "question", "gold", "foils", "materials")
    return [{name: asked[name] for name in names} for asked in read(ITEMS) if own.issuperset(asked["materials"])]


def told_by(asked: Mapping[str, Any]) -> set[str]:
    """Return the halves whose dialogues tell an item's fact."""
    return {half_of(row) for row in asked["told"]}


def table(folder: Path) -> str:
    """Return as Markdown how often each system takes the true reply, among facts that it was told and others.

    And what one that was told has more than one that was not, over the items of which one half alone tells, apart where
    `train.jsonl` tells the fact to both.

    Raises:
        PersbenchError: The run is of another pack.
    """
    asked = {row["id"]: row for row in read(ITEMS)}
    found: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    pairs: dict[bool, dict[str, dict[bool, Row]]] = {False: defaultdict(dict), True: defaultdict(dict)}
    for cell in load_cells(folder)[0]:
        half = cell.system.removeprefix(PREFIX)
        for row in cell.tasks.get(TASK, []):
            item = asked.get(name := row["id"].rpartition("/")[2])
            if item is None:
                raise PersbenchError(f"{row['id']} is no item of a pack by facts.py.")
            told = told_by(item)
            found[cell.system][SEEN if half in told else UNSEEN].append(row)
            if half in HALVES and len(told) == 1:
                pairs[bool(item["trained"])][name][half in told] = row["metrics"]
    both = {
        apart: {name: (one[True], one[False]) for name, one in by_item.items() if len(one) == len(HALVES)}
        for apart, by_item in pairs.items()
    }
    titles = {False: "in the further dialogues alone", True: "in `train.jsonl`, too"}
    gains = paired(["told - not told, where the fact stands"], [((titles[k],), v) for k, v in both.items() if v])
    return f"{seen_and_unseen(['system'], [((name,), by_kind) for name, by_kind in sorted(found.items())])}\n\n{gains}"


def main() -> None:
    """Write a pack, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*HALVES, "pack", "table"])
    parser.add_argument("folder", type=Path)
    wanted = parser.parse_args()
    try:
        if wanted.what == "table":
            print(table(wanted.folder))
        elif wanted.what == "pack":
            write_items(wanted.folder, lambda data, _: items(data))
        else:
            write_training_rows(wanted.folder, lambda data: dialogues(data, wanted.what))
    except PersbenchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
