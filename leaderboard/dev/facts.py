r"""Are facts learnt that the training dialogues tell, in several wordings? Each of two halves is told to one of two.

    A=runs/facts/adapters
    for half in odd even; do     # the dev pack, and dialogues that tell what every second of the materials holds
      python leaderboard/dev/facts.py $half runs/facts/$half
      persbench train --pack runs/facts/$half --persona osmer --recipe persllm-sft --out $A/facts-$half
    done
    python leaderboard/dev/facts.py pack runs/facts/pack
    persbench run --pack runs/facts/pack --tasks persbench_knowledge --personas osmer --out runs/facts/asked \
      --dtype bfloat16 --systems \
      vanilla,prompt,rag,persllm-sft=runs/dev/adapters/persllm-sft,facts-odd=$A/facts-odd,facts-even=$A/facts-even
    python leaderboard/dev/facts.py table runs/facts/asked
    python leaderboard/dev/facts.py vocabulary runs/facts/asked

Of most facts that the test set asks for nothing is told in the training dialogues (`leaderboard/readers/README.md`), so
that a model trained on these cannot know them. `facts.jsonl` tells facts of the materials in further dialogues, each in
three wordings. `fact_items.jsonl` asks for facts of the same materials that the test set does not ask for; foils are
true of something else in the same life, so that words that were learnt do not decide. Each item names the dialogues
that tell its fact. Every item that one half tells is asked of a model that was told it, and of one that was told as
much of other materials instead: all else that training does is in both.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from familiar import InWords, against_words, in_words, words_of
from retold import FEWEST
from unseen import (
    SEEN,
    TASK,
    UNSEEN,
    add_training_rows,
    paired,
    seen_and_unseen,
    write_items,
    write_training_rows,
    written,
)

from persbench.data.dev_split import dev_split
from persbench.errors import PersbenchError
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack
from persbench.report.cells import load_cells

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from persbench.packs.pack import PersonaData
    from persbench.samples import Row

FACTS: Final = Path(__file__).parent / "facts.jsonl"
ITEMS: Final = Path(__file__).parent / "fact_items.jsonl"
HALVES: Final = ("odd", "even")
SYSTEMS: Final = {half: f"facts-{half}" for half in HALVES}
"""What the system is called that was trained on a half."""
WHOLE: Final = "persllm-sft-facts"
"""What the system is called that was trained on all training rows and both halves."""
UNTOLD: Final = "persllm-sft"
"""What the system is called that was trained on the dev split alone."""
ALONE: Final = "in the further dialogues alone"
FOILS_TOLD: Final = f"{ALONE}, and so do the false replies' words"
IN_TRAIN: Final = "in `train.jsonl`, too"


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
        for told in written(FACTS).values()
        if told["material"] in stages and half_of(told["id"]) == half
    ]


def write_whole(out: Path) -> None:
    """Write the reference world with all further dialogues among its training rows, its test files as they are.

    Raises:
        PersbenchError: There is something at `out` already.
    """
    pack = load_pack(resolve_pack(None))
    try:
        shutil.copytree(pack.path, out)
    except FileExistsError as error:
        raise PersbenchError(f"{out} is there already. Remove it, or name another folder.") from error
    for data in pack.personas:
        add_training_rows(out, data.persona.id, [row for half in HALVES for row in dialogues(data, half)])
    load_pack(out)  # faults are told here


def items(data: PersonaData) -> list[dict[str, object]]:
    """Return a persona's questions."""
    own = {material.id for material in data.materials}
    names = ("id", "stage", "question", "gold", "foils", "materials")
    return [
        {name: asked[name] for name in names} for asked in written(ITEMS).values() if own.issuperset(asked["materials"])
    ]


def told_by(asked: Mapping[str, Any]) -> set[str]:
    """Return the halves whose dialogues tell an item's fact."""
    return {half_of(row) for row in asked["told"]}


def table(folder: Path) -> str:
    """Return as Markdown how often each system takes the true reply, among facts that it was told and others.

    Learnt by a system that was trained on no half, or not at all, is what the dev split's own dialogues tell. Then what
    one that was told has more than one that was not, was told nothing more, or reads it, over the items that one
    half alone tells, apart where `train.jsonl` tells the fact to all.
    """
    found: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    asked = _asked(folder)
    for system, item, row in asked:
        found[system][SEEN if _knows(system, item) else UNSEEN].append(row)
    systems = seen_and_unseen(["system"], [((name,), by_kind) for name, by_kind in sorted(found.items())])
    differences = [("told", other) for other in ("not told", UNTOLD, "rag")] + [(WHOLE, "vanilla")]
    gains = [
        ((f"{own} - {other}", place), pairs)
        for own, other in differences
        for place in (ALONE, FOILS_TOLD, IN_TRAIN)
        if (pairs := _pairs(asked, place, own, other))
    ]
    return f"{systems}\n\n{paired(['difference', 'the fact stands'], gains)}"


def vocabulary(folder: Path) -> str:
    """Return the tables of `against_words` over facts that one half tells and no row of `train.jsonl`.

    Raises:
        PersbenchError: A run of too few items for a line.
    """
    asked = _asked(folder)
    by_place = {place: pairs for place in (ALONE, FOILS_TOLD) if len(pairs := _pairs(asked, place)) >= FEWEST}
    if not by_place:
        few = sum(len(_pairs(asked, place)) for place in (ALONE, FOILS_TOLD))
        raise PersbenchError(f"{few} items in {folder} were asked of both {' and '.join(SYSTEMS.values())}: run both.")
    return against_words([(place, pairs, *words_met(pairs)) for place, pairs in by_place.items()])


def words_met(names: Iterable[str]) -> tuple[list[InWords], list[InWords]]:
    """Return what words alone say of items that one half tells, in what this half learnt and in what the other did."""
    told, others = [], []
    for item in (written(ITEMS)[name] for name in names):
        half = next(iter(told_by(item)))
        told.append(in_words(item, _learnt_words(_persona(item), half)))
        others.append(in_words(item, _learnt_words(_persona(item), HALVES[HALVES.index(half) - 1])))
    return told, others


def _asked(folder: Path) -> list[tuple[str, dict[str, Any], Row]]:
    asked, found = written(ITEMS), []
    for cell in load_cells(folder)[0]:
        for row in cell.tasks.get(TASK, []):
            if (name := row["id"].rpartition("/")[2]) not in asked:
                raise PersbenchError(f"{row['id']} is no item of a pack by facts.py.")
            found.append((cell.system, asked[name], row))
    return found


def _told(item: Mapping[str, Any]) -> set[str]:
    """Return the systems whose dialogues told them an item's fact."""
    return {SYSTEMS[half] for half in told_by(item)}


def _where(item: Mapping[str, Any]) -> str:
    """Return where an item's fact stands, and whether what its false replies are made of stands there, too."""
    if item["trained"]:
        return IN_TRAIN
    return FOILS_TOLD if item.get("foils_told") else ALONE


def _knows(system: str, item: Mapping[str, Any]) -> bool:
    """Return whether the dialogues that a system learnt tell an item's fact; of one that learnt none, the dev split."""
    if system == WHOLE:
        return bool(item["told"])
    if system in SYSTEMS.values():
        return system in _told(item)
    return bool(set(item["trained"]) & _learnt_rows(_persona(item)))


def _pairs(
    asked: Sequence[tuple[str, Mapping[str, Any], Row]], place: str, own: str = "told", other: str = "not told"
) -> dict[str, tuple[Row, Row]]:
    """Return two systems' metrics by item, of those that one half tells; "told" and "not told" are the halves' own."""
    found: dict[str, dict[str, Row]] = defaultdict(dict)
    for system, item, row in asked:
        if len(told := _told(item)) == 1 and _where(item) == place:
            halves = {"told" if system in told else "not told"} if system in SYSTEMS.values() else set()
            metrics: Row = row["metrics"]
            found[item["id"]] |= dict.fromkeys((*halves, system), metrics)
    return {name: (one[own], one[other]) for name, one in found.items() if {own, other} <= set(one)}


def _persona(item: Mapping[str, Any]) -> str:
    return str(item["materials"][0].split("-")[0])


@cache
def _learnt_rows(persona: str) -> frozenset[str]:
    pack = load_pack(resolve_pack(None))
    split = dev_split(pack)
    return frozenset(row.id for row in pack.persona(persona).train if not split.holds_out(persona, row))


@cache
def _learnt_words(persona: str, half: str) -> Counter[str]:
    """Count the words of the dialogues that a system of a half learnt: those of the dev split, and the half's."""
    data = load_pack(resolve_pack(None)).persona(persona)
    rows = [row.model_dump() for row in data.train if row.id in _learnt_rows(persona)] + dialogues(data, half)
    return words_of(rows)


def main() -> None:
    """Write a pack, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*HALVES, "all", "pack", "table", "vocabulary"])
    parser.add_argument("folder", type=Path)
    wanted = parser.parse_args()
    try:
        if wanted.what in ("table", "vocabulary"):
            print((table if wanted.what == "table" else vocabulary)(wanted.folder))
        elif wanted.what == "all":
            write_whole(wanted.folder)
        elif wanted.what == "pack":
            write_items(wanted.folder, lambda data, _: items(data))
        else:
            write_training_rows(wanted.folder, lambda data: dialogues(data, wanted.what))
    except PersbenchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
