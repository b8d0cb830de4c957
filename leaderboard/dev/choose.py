"""Choose the settings of `persllm` by the protocol's rule: the greatest mean of two margins on the dev split.

    python leaderboard/dev/choose.py leaderboard/dev/records                        # the table of the search
    python leaderboard/dev/choose.py runs/dev/runs --part sft --recipe persbench/training/recipes/persllm.yaml

Prints the table of the search as Markdown, best first, and what it chooses: supervised tuning (systems called
sft-RATE-REPEAT), preferences on top of it (dpo-RATE-BETA), and the baselines' own rates (stylized-RATE,
stylized-matched-RATE; by the who-said margin alone, since a costume knows no stages). With --recipe the choice is
written there.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from pathlib import Path
from statistics import fmean

from persbench.report.cells import load_cells

MARGINS = {"persbench_who_said": "who_margin", "persbench_stages": "stage_item_margin"}
FORMS = {
    "sft": re.compile(r"sft-(?P<learning_rate>.+)-(?P<repeat>\d+)"),
    "dpo": re.compile(r"dpo-(?P<learning_rate>.+)-(?P<beta>[\d.]+)"),
    "stylized": re.compile(r"stylized-(?P<learning_rate>\d.+)"),
    "stylized-matched": re.compile(r"stylized-matched-(?P<learning_rate>\d.+)"),
}
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


def chosen(found: dict[str, dict[str, float]], part: str) -> re.Match[str]:
    """Return the best system of one part of the search, by its name, and the settings in it."""
    names = [match for name in found if (match := FORMS[part].fullmatch(name))]
    if not names:
        raise SystemExit(f"nothing to choose from: no system is called like {FORMS[part].pattern}; run that part first")
    if part in {"sft", "dpo"}:
        return max(names, key=lambda name: objective(found[name.string]))
    return max(names, key=lambda name: found[name.string]["who_margin"])


def write(recipe: Path, part: str, settings: dict[str, str]) -> None:
    """Put settings into their part of a recipe; comments and all else stay."""
    head, marker, tail = recipe.read_text("utf-8").partition("\ndpo:\n")
    for key, value in settings.items():
        line = re.compile(rf"(?m)^  {key}: .*$")
        if part == "dpo":
            tail = line.sub(f"  {key}: {value}", tail, count=1)
        else:
            head = line.sub(f"  {key}: {value}", head)
    recipe.write_text(head + marker + tail, "utf-8")


def main() -> None:
    """Print the table, and write the choice if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--part", choices=list(FORMS), help="choose only this; all that was run by default")
    parser.add_argument("--recipe", type=Path, help="YAML file into which the choice is put")
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
    print("\n(margins in hundredths of a nat per byte)")
    ran = [part for part, form in FORMS.items() if any(map(form.fullmatch, found))]
    for part in [options.part] if options.part else ran:
        best = chosen(found, part)
        print(f"chosen: {best.string}")
        if options.recipe:
            write(options.recipe, part, best.groupdict())


if __name__ == "__main__":
    main()
