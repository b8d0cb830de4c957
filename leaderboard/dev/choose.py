"""Choose the settings of `persllm` by the protocol's rule: the greatest mean of two margins on the dev split.

    python leaderboard/dev/choose.py runs/dev/runs --recipe persbench/training/recipes/persllm.yaml --write

Prints the table of the search as Markdown, best first. Supervised tuning and preferences are chosen each by itself.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from pathlib import Path
from statistics import fmean

from persbench.report.cells import load_cells

MARGINS = {"persbench_who_said": "who_margin", "persbench_stages": "stage_item_margin"}
ACCURACIES = {"persbench_who_said": "persona_acc", "persbench_stages": "stage_item_acc"}


def means(folder: Path) -> dict[str, dict[str, float]]:
    """Return system -> metric -> mean over all dev items of all personas (margins in nats a byte)."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for cell in load_cells(folder)[0]:
        for wanted in (MARGINS, ACCURACIES):
            for task, metric in wanted.items():
                for row in cell.tasks.get(task, []):
                    value, scored = row["metrics"][metric]
                    if scored:
                        values[cell.system][metric].append(value)
    return {system: {metric: fmean(found) for metric, found in by.items()} for system, by in values.items()}


def objective(by_metric: dict[str, float]) -> float:
    """The protocol's rule."""
    return fmean(by_metric[metric] for metric in MARGINS.values())


def chosen(found: dict[str, dict[str, float]], prefix: str) -> str:
    """Return the best system of one half of the grid."""
    names = [name for name in found if name.startswith(prefix)]
    if not names:
        raise SystemExit(f"nothing to choose from: no system is called {prefix}*; run that half of the grid first")
    return max(names, key=lambda name: objective(found[name]))


def main() -> None:
    """Print the table, and write the choice if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--write", action="store_true", help="put the choice into the recipe")
    options = parser.parse_args()
    found = means(options.folder)
    print("| system | mean margin | who said: margin | accuracy | stages: margin | accuracy |")
    print("|---|---:|---:|---:|---:|---:|")
    for name in sorted(found, key=lambda name: -objective(found[name])):
        by = found[name]
        cells = [
            100 * objective(by),
            100 * by["who_margin"],
            by["persona_acc"],
            100 * by["stage_item_margin"],
            by["stage_item_acc"],
        ]
        print(f"| {name} | {' | '.join(f'{value:.2f}' for value in cells)} |")
    sft, dpo = chosen(found, "sft-"), chosen(found, "dpo-")
    rate, repeat = re.fullmatch(r"sft-(.+)-(\d+)", sft).groups()
    preference, beta = re.fullmatch(r"dpo-(.+)-([\d.]+)", dpo).groups()
    print(f"\nchosen: {sft}, {dpo} (margins in hundredths of a nat per byte)")
    if options.write:
        head, marker, tail = options.recipe.read_text("utf-8").partition("\ndpo:\n")
        head = re.sub(r"(?m)^  learning_rate: .*$", f"  learning_rate: {rate}", head)
        head = re.sub(r"(?m)^  repeat: .*$", f"  repeat: {repeat}", head)
        tail = re.sub(r"(?m)^  learning_rate: .*$", f"  learning_rate: {preference}", tail)
        tail = re.sub(r"(?m)^  beta: .*$", f"  beta: {beta}", tail)
        options.recipe.write_text(head + marker + tail, "utf-8")


if __name__ == "__main__":
    main()
