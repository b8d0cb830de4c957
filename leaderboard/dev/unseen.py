r"""Does what was learnt carry over to prompts that were not? A pack of both kinds, from training files alone.

    persbench data dev-split --out runs/dev/pack            # a fifth of the prompts is held out, as in the search
    persbench train --pack runs/dev/pack --persona nedda --recipe persllm --out runs/dev/adapters/persllm
    python leaderboard/dev/unseen.py pack runs/unseen/pack
    persbench run --pack runs/unseen/pack --tasks persbench_knowledge --personas nedda --out runs/unseen \
      --dtype bfloat16 --systems vanilla,prompt,persllm=runs/dev/adapters/persllm
    python leaderboard/dev/unseen.py table runs/unseen
    python leaderboard/dev/unseen.py apart runs/unseen persllm prompt

An item is a training prompt with two candidates in the persona's own voice, its own reply and a foil: one that holds
another `position` (`other_positions.jsonl`, written for this) or one without `substance` (its row of matched.jsonl,
where stance and facts are taken out). Who has only learnt a voice has no reason to take the first. The adapters are
trained on the dev split, so that a fifth of the prompts was never seen; no test file is read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from persbench.data.dev_split import dev_split, write_dev_pack
from persbench.errors import PersbenchError
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack
from persbench.records import write_atomic
from persbench.report.cells import load_cells
from persbench.report.paper.wording import difference_text
from persbench.report.table import MARGIN_UNIT, ends, number
from persbench.scoring.stats import cluster_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from persbench.packs.pack import PersonaData
    from persbench.samples import Row

TASK = "persbench_knowledge"  # a question, the right reply and others in the same voice: the form that is wanted here
SEEN, UNSEEN = "learnt", "unseen"
POSITIONS = Path(__file__).parent / "other_positions.jsonl"


class Item(NamedTuple):
    """What the id of an item says.

    Attributes:
        kind: Of the prompt: learnt or unseen.
        pattern: Of the training row.
        row: Id of it.
        foil: What the own reply stands against.
    """

    kind: str
    pattern: str
    row: str
    foil: str


def write_pack(out: Path) -> None:
    """Write the dev pack, and beside each persona's training rows the items made of all of them."""
    positions = {name: row["reply"] for name, row in written(POSITIONS).items()}
    write_items(out, lambda data, held_out: items(data, held_out, positions))


def written(file: Path) -> dict[str, dict[str, Any]]:
    """Read texts that were written for these items: id -> row."""
    return {row["id"]: row for row in map(json.loads, file.read_text("utf-8").splitlines())}


def write_items(out: Path, items_of: Callable[[PersonaData, set[str]], list[dict[str, object]]]) -> None:
    """Write the dev pack with items of one's own.

    Args:
        out: Folder that is written.
        items_of: Gets a persona and the ids of its training rows that are held out, and returns its items, or none.
    """
    pack = load_pack(resolve_pack(None))
    split = dev_split(pack)
    write_dev_pack(pack, out)
    for data in pack.personas:
        held_out = {row.id for row in data.train if split.holds_out(data.persona.id, row)}
        file = out / "personas" / data.persona.id / "knowledge.jsonl"
        file.unlink(missing_ok=True)
        if text := "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items_of(data, held_out)):
            write_atomic(file, text.encode())
    load_pack(out)  # faults are told here


def write_training_rows(out: Path, rows_of: Callable[[PersonaData], list[dict[str, object]]]) -> None:
    """Write the dev pack with further training rows of one's own.

    Args:
        out: Folder that is written.
        rows_of: Gets a persona and returns rows of train.jsonl, or none.
    """
    pack = load_pack(resolve_pack(None))
    write_dev_pack(pack, out)
    for data in pack.personas:
        add_training_rows(out, data.persona.id, rows_of(data))
    load_pack(out)  # faults are told here


def add_training_rows(pack: Path, persona: str, rows: Iterable[Mapping[str, object]]) -> None:
    """Add rows to a persona's train.jsonl in a folder of a pack."""
    file = pack / "personas" / persona / "train.jsonl"
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_atomic(file, (file.read_text("utf-8") + text).encode())


def items(data: PersonaData, held_out: set[str], positions: Mapping[str, str]) -> list[dict[str, object]]:
    """Return a persona's training prompts as items; the id says whether a prompt was learnt, and the kind of foil."""
    foils = {"position": positions, "substance": {row.id: row.response for row in data.matched}}
    return [
        {
            "id": f"{UNSEEN if row.id in held_out else SEEN}-{row.pattern}-{row.id}-{kind}",
            "stage": row.stage,
            "question": row.prompt,
            "gold": row.response,
            "foils": [foil],
            "materials": row.materials or [data.materials[0].id],
        }
        for kind, by_id in foils.items()
        for row in data.train
        if (foil := by_id.get(row.id, row.response)) != row.response
    ]


def table(folder: Path) -> str:
    """Return as Markdown how often each system takes the own reply, by foil and kind of prompt, with 95% intervals."""
    found: dict[tuple[str, str], dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for cell in load_cells(folder)[0]:
        for row in cell.tasks.get(TASK, []):
            item = parts_of(row["id"])
            for name in ("all", item.pattern):
                found[cell.system, f"{item.foil}: {name}"][item.kind].append(row)
    return seen_and_unseen(["system", "foil: prompts"], sorted(found.items()))


def apart(folder: Path, system: str, other: str) -> str:
    """Return as Markdown what one system has more than another in the same items, by foil and kind of prompt."""
    found: dict[str, dict[str, Row]] = {system: {}, other: {}}
    for cell in load_cells(folder)[0]:
        if cell.system in found:
            found[cell.system] |= {row["id"]: row["metrics"] for row in cell.tasks.get(TASK, [])}
    if lacking := [name for name, rows in found.items() if not rows]:
        raise PersbenchError(f"no record of {' or of '.join(lacking)} in {folder}.")
    pairs: dict[tuple[str, ...], dict[str, tuple[Row, Row]]] = defaultdict(dict)
    for name in sorted(found[system].keys() & found[other].keys()):
        item = parts_of(name)
        pairs[item.foil, item.kind][name] = found[system][name], found[other][name]
    return paired(["foil", "prompts"], sorted(pairs.items()))


def paired(
    titles: Sequence[str],
    found: Iterable[tuple[Sequence[str], Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]]],
) -> str:
    """Return a Markdown table: its names, then what the first of each item's two metrics has more, with 95% intervals.

    Args:
        titles: Of the first columns.
        found: Their names, and two of `metrics` an item.
    """
    lines = [
        f"| {' | '.join(titles)} | own reply taken more often | margin | n |", f"|{'---|' * len(titles)}---:|---:|---:|"
    ]  # fmt: skip
    for names, by_item in found:
        told = []
        for metric, form in (("knowledge_acc", "share"), ("knowledge_margin", "hundredths")):
            gaps = [one[metric][0] - other[metric][0] for one, other in by_item.values()]
            told.append(difference_text(cluster_interval(gaps, list(by_item)), form))
        lines.append(f"| {' | '.join([*names, *told])} | {len(by_item)} |")
    return "\n".join(lines)


def parts_of(item: str) -> Item:
    """Read what the id of an item says.

    Raises:
        PersbenchError: It is of another pack.
    """
    kind, *words = item.rpartition("/")[2].split("-")
    if kind not in (SEEN, UNSEEN) or len(words) < 3:  # noqa: PLR2004 - pattern, row, foil
        raise PersbenchError(f"{item} is no item of a pack made here. Give the folder of a run on such a pack.")
    return Item(kind, words[0], "-".join(words[1:-1]), words[-1])


def seen_and_unseen(titles: Sequence[str], found: Iterable[tuple[Sequence[str], Mapping[str, Sequence[Row]]]]) -> str:
    """Return a Markdown table: its names, then how often the own reply is taken among learnt and among unseen prompts.

    Args:
        titles: Of the first columns.
        found: Their names, and the rows by kind of prompt.
    """
    head = [*titles, *(f"{kind}: own reply taken | margin | n" for kind in (SEEN, UNSEEN))]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(titles)}{'---:|' * 6}"]
    for names, by_kind in found:
        lines.append(f"| {' | '.join([*names, *(taken(by_kind.get(kind, [])) for kind in (SEEN, UNSEEN))])} |")
    return "\n".join(lines)


def taken(rows: Sequence[Row]) -> str:
    """Write accuracy, margin (hundredths of a nat per byte) and number of items, as three cells of a row."""
    items_of = [row["id"] for row in rows]
    accuracy, margin = (
        cluster_interval([row["metrics"][f"knowledge_{name}"][0] for row in rows], items_of)
        for name in ("acc", "margin")
    )
    mean = None if margin.mean is None else margin.mean * MARGIN_UNIT
    return f"{number(accuracy.mean)} {ends(accuracy)} | {number(mean, 'margin')} | {accuracy.n}"


def main() -> None:
    """Write the pack, or print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["pack", "table", "apart"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("systems", nargs="*", help="apart: two of them")
    wanted = parser.parse_args()
    if (wanted.what == "apart") != (len(wanted.systems) == 2):  # noqa: PLR2004
        parser.error("apart wants two systems, pack and table none")
    try:
        if wanted.what == "pack":
            write_pack(wanted.folder)
        elif wanted.what == "apart":
            print(apart(wanted.folder, *wanted.systems))
        else:
            print(table(wanted.folder))
    except PersbenchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
