r"""Is it the position that is known by heart, or the text? Learnt prompts asked anew, and learnt replies said anew.

    python leaderboard/dev/retold.py pack runs/retold/pack
    persbench run --pack runs/retold/pack --tasks persbench_knowledge --personas nedda,osmer --out runs/retold \
      --dtype bfloat16 --systems vanilla,prompt,persllm=runs/dev/adapters/persllm
    python leaderboard/dev/retold.py table runs/retold

    python leaderboard/dev/retold.py train runs/dev/wordings     # the dev pack, these positions in two wordings more
    persbench train --pack runs/dev/wordings --persona nedda --recipe persllm-sft --out runs/dev/adapters/wordings-sft
    python leaderboard/dev/retold.py vocabulary runs/retold

`unseen.py` finds that a trained system takes its own reply to every prompt that it learnt, over a foil in the same
voice with another position. Such foils keep long runs of the learnt words. Here the prompt is asked in other words, or
the own reply holds its position in other words, or the foil does so, too (`retold.jsonl`, written for this): no run of
four words is then shared with what was learnt. Who holds a position takes it whatever the words are; who knows texts by
heart takes the text that is nearest to them. `train` writes a dev pack in which each of these positions is learnt in
three wordings (`wordings.jsonl`), none of which shares a run of four words with what is asked here; `vocabulary`
tells whether the words that they do share explain what is taken.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Final

from scipy.stats import linregress
from unseen import POSITIONS, SEEN, TASK, parts_of, taken, write_items, write_training_rows, written

from persbench.errors import PersbenchError
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack
from persbench.report.cells import load_cells
from persbench.report.table import MARGIN_UNIT
from persbench.scoring.words import words

if TYPE_CHECKING:
    from persbench.packs.pack import PersonaData
    from persbench.samples import Row

RETOLD: Final = Path(__file__).parent / "retold.jsonl"
WORDINGS: Final = Path(__file__).parent / "wordings.jsonl"
IN_WORDINGS: Final = "wordings-sft"  # the system that was trained on them, as the committed records call it
LEARNT, ANEW, NEAR = "as learnt", "anew", "near"
FORMS: Final = {
    "learnt": (LEARNT, LEARNT, NEAR),
    "asked": (ANEW, LEARNT, NEAR),
    "said": (LEARNT, ANEW, NEAR),
    "both": (ANEW, ANEW, NEAR),
    "fair": (LEARNT, ANEW, ANEW),
    "all": (ANEW, ANEW, ANEW),
}
"""Last part of an item's id -> how its prompt stands there, its own reply, and its foil."""
FEWEST: Final = 3  # points of a line
TITLES: Final = ("system", "prompt", "own reply", "foil")


def items(data: PersonaData) -> list[dict[str, object]]:
    """Return an item of each form for each training prompt that is told anew, with ids as in `unseen.py`."""
    anew, near = written(RETOLD), written(POSITIONS)
    return [
        {
            "id": f"{SEEN}-{row.pattern}-{row.id}-{form}",
            "stage": row.stage,
            "question": row.prompt if prompt == LEARNT else anew[row.id]["prompt"],
            "gold": row.response if own == LEARNT else anew[row.id]["reply"],
            "foils": [near[row.id]["reply"] if foil == NEAR else anew[row.id]["foil"]],
            "materials": row.materials or [data.materials[0].id],
        }
        for form, (prompt, own, foil) in FORMS.items()
        for row in data.train
        if row.id in anew
    ]


def wordings(data: PersonaData) -> list[dict[str, object]]:
    """Return further training rows, each a learnt position in other words."""
    learnt = {row.id: row for row in data.train}
    return [
        learnt[told["of"]].model_dump(mode="json", exclude_none=True)
        | {"id": told["id"], "prompt_id": told["id"], "response": told["reply"]}
        | {name: told[name] for name in ("prompt", "analysis")}
        for told in written(WORDINGS).values()
        if told["of"] in learnt
    ]


def table(folder: Path) -> str:
    """Return as Markdown how often each system takes the own reply, by the form of prompt, reply and foil."""
    lines = [f"| {' | '.join(TITLES)} | own reply taken | margin | n |", f"|{'---|' * len(TITLES)}---:|---:|---:|"]
    for system, by_form in _by_system(folder).items():
        for form, told in FORMS.items():
            lines.append(f"| {' | '.join([system, *told, taken(by_form[form])])} |")
    return "\n".join(lines)


def vocabulary(folder: Path) -> str:
    """Return as Markdown how the margin over a foil told anew goes with the words that were learnt.

    For each item: the share of the own reply's words that stand in what was learnt of this position, less the foil's.
    If words alone were what is taken, the margin would rise with it, and be nothing where it is nothing. Learnt is the
    training row's reply, and the further wordings of a system called `wordings-sft`.

    Raises:
        PersbenchError: A run of too few items for a line.
    """
    titles = ("system", "prompt", "own words learnt", "foil's", "correlation with the margin", "margin at equal shares")
    lines = [f"| {' | '.join(titles)} |", f"|---|---|{'---:|' * 4}"]
    texts = written(RETOLD)
    learnt = {row.id: row.response for data in load_pack(resolve_pack(None)).personas for row in data.train}
    for system, by_form in _by_system(folder).items():
        known = {name: set(words(learnt[name])) for name in texts}
        for row in written(WORDINGS).values() if system == IN_WORDINGS else ():
            known[row["of"]].update(words(row["reply"]))
        for form in ("fair", "all"):
            names = [parts_of(row["id"]).row for row in by_form[form]]
            if len(names) < FEWEST:
                raise PersbenchError(f"{system} was asked {len(names)} items of the form {form}: too few for a line.")
            margins = [row["metrics"]["knowledge_margin"][0] * MARGIN_UNIT for row in by_form[form]]
            own, foil = ([_share(texts[name][side], known[name]) for name in names] for side in ("reply", "foil"))
            line = linregress([one - other for one, other in zip(own, foil, strict=True)], margins)
            told = (f"{fmean(own):.2f}", f"{fmean(foil):.2f}", f"{line.rvalue:+.2f}", f"{line.intercept:+.1f}")
            lines.append(f"| {' | '.join([system, FORMS[form][0], *told])} |")
    return "\n".join(lines)


def _share(text: str, known: set[str]) -> float:
    found = set(words(text))
    return len(found & known) / len(found)


def _by_system(folder: Path) -> dict[str, dict[str, list[Row]]]:
    found: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for cell in load_cells(folder)[0]:
        for row in cell.tasks.get(TASK, []):
            form = parts_of(row["id"]).foil
            if form not in FORMS:
                raise PersbenchError(f"{row['id']} is no item of a pack by retold.py, but of one by unseen.py.")
            found[cell.system][form].append(row)
    return dict(sorted(found.items()))


def main() -> None:
    """Write a pack, or print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["pack", "train", "table", "vocabulary"])
    parser.add_argument("folder", type=Path)
    wanted = parser.parse_args()
    try:
        if wanted.what == "pack":
            write_items(wanted.folder, lambda data, _: items(data))
        elif wanted.what == "train":
            write_training_rows(wanted.folder, wordings)
        else:
            print({"table": table, "vocabulary": vocabulary}[wanted.what](wanted.folder))
    except PersbenchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
