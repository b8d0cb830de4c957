r"""Is the position lost in the thought? The items of `unseen.py` again, after an analysis that is not the model's own.

    python leaderboard/dev/unseen.py pack runs/unseen/pack
    python leaderboard/dev/thoughts.py score --pack runs/unseen/pack --records leaderboard/dev/unseen \
      --adapter persllm=runs/dev/adapters/persllm --out runs/thoughts.jsonl
    python leaderboard/dev/thoughts.py table runs/thoughts.jsonl

Both candidates of an item are scored after the `own` analysis, as the records of `unseen.py` keep it (these scores must
be the recorded ones again: the program says how far off they are); after the `written` one, which the persona's author
put before that very reply; and after `another`, written for another prompt of the same persona, stage and pattern. What
`written` has beyond `another` comes from what it says, and not from its being well written.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from lm_eval.api.instance import Instance
from rich.progress import track
from unseen import SEEN, TASK, UNSEEN, told

from persbench.errors import PersbenchError
from persbench.harness.adapters import use_adapter
from persbench.harness.analysis import prefilled
from persbench.harness.choice_tasks import KnowledgeTask
from persbench.harness.documents import documents_of
from persbench.harness.prefix_lm import PrefixLM
from persbench.harness.rendering import render
from persbench.models.fetch import fetch_model
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack
from persbench.records import write_atomic
from persbench.report.cells import load_cells
from persbench.scoring.choice import anchor, per_byte
from persbench.systems.registry import get_system
from persbench.systems.trained import adapter_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persbench.packs.pack import PersonaData
    from persbench.samples import Row

OWN, WRITTEN, ANOTHER = KINDS = ("own", "written", "another")
BATCH: Final = 16


def written_thoughts(data: PersonaData) -> dict[str, dict[str, str]]:
    """Return for each training row the analysis written for it, and one written for another row of its kind."""
    alike = defaultdict(list)
    for row in data.train:
        alike[row.stage, row.pattern].append(row)
    return {
        row.id: {WRITTEN: row.analysis, ANOTHER: rows[(at + 1) % len(rows)].analysis}
        for rows in alike.values()
        for at, row in enumerate(rows)
    }


def row_of(item: str) -> str:
    """Return the id of the training row that an item of `unseen.py` asks about."""
    return "-".join(item.rpartition("/")[2].split("-")[2:-1])


def score(items: Sequence[Any], thoughts: Mapping[str, str], anchors: Mapping[str, Any], lm: Any) -> list[Row]:
    """Score items after given analyses.

    Args:
        items: Documents of `persbench_knowledge`.
        thoughts: Item id -> the analysis before its candidates.
        anchors: Item id -> nats per byte of its candidates without a persona.
        lm: The model, with its adapter.

    Returns:
        One row an item: id, log-likelihoods in nats in the documents' order, metrics as in a sample.
    """
    pairs = []
    for doc in items:
        after = prefilled(render(doc["messages"], lm.apply_chat_template), thoughts[doc["id"]])
        pairs += [(after.context, after.delimiter + text) for text in doc["candidates"]]
    found = iter(
        lm.loglikelihood([Instance("loglikelihood", {}, both, at, (TASK, at, 1)) for at, both in enumerate(pairs)])
    )
    rows = []
    for doc in items:
        nats = [float(next(found)[0]) for _ in doc["candidates"]]
        metrics = KnowledgeTask.score(doc, anchor(per_byte(nats, doc["candidates"]), anchors[doc["id"]]))
        counted = {name: [value, value is not None] for name, value in metrics.items()}
        rows.append({"id": doc["id"], "loglikelihoods": nats, "metrics": counted})
    return rows


def score_all(pack_folder: Path, records: Path, adapters: Mapping[str, Path]) -> list[Row]:
    """Score every recorded item of every system three times.

    Raises:
        PersbenchError: A folder holds no adapter for a persona of the records.
    """
    pack, source = load_pack(pack_folder), load_pack(resolve_pack(None))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # In the arithmetic of `persbench run`.
    lm = PrefixLM(
        pretrained=str(fetch_model()), dtype="bfloat16", softmax_dtype="float32", device=device, batch_size=BATCH
    )
    cells = [cell for cell in load_cells(records)[0] if cell.system in adapters]
    rows: list[Row] = []
    for cell in track(cells, "scoring"):
        folder = adapter_folder(adapters[cell.system], cell.persona)
        if folder is None:
            raise PersbenchError(f"{adapters[cell.system]} holds no adapter for {cell.persona}")
        recorded = {row["id"]: row for row in cell.tasks[TASK] if not _by_heart(row["id"])}
        written = written_thoughts(source.persona(cell.persona))
        use_adapter(lm, folder)
        documents = documents_of(TASK, pack, pack.persona(cell.persona), get_system(cell.system, adapter=folder))
        items = [doc for doc in documents if doc["id"] in recorded]
        anchors = {name: row["anchors"] for name, row in recorded.items()}
        for kind in KINDS:
            thoughts = {
                name: row["analysis"] if kind == OWN else written[row_of(name)][kind] for name, row in recorded.items()
            }
            scored = score(items, thoughts, anchors, lm)
            if kind == OWN:
                print(f"{cell.system} as {cell.persona}: {apart(scored, recorded)}", file=sys.stderr)
            rows += [{"system": cell.system, "persona": cell.persona, "analysis": kind} | row for row in scored]
    return rows


def _by_heart(item: str) -> bool:
    """Whether nothing is to be learnt from an item: a reply known by heart against one without substance."""
    return f"/{SEEN}-" in item and item.endswith("-substance")


def apart(scored: Sequence[Row], recorded: Mapping[str, Row]) -> str:
    """Say how far scores after the recorded analysis are from the recorded ones."""
    gaps = [
        abs(own - then)
        for row in scored
        for own, then in zip(row["loglikelihoods"], recorded[row["id"]]["loglikelihoods"], strict=True)
    ]
    taken = sum(row["metrics"]["knowledge_acc"] != recorded[row["id"]]["metrics"]["knowledge_acc"] for row in scored)
    return (
        f"after the own analysis {max(gaps):.2f} nats at most from the records, {taken} of {len(scored)} choices differ"
    )


def table(file: Path) -> str:
    """Return as Markdown how often the own reply is taken after each analysis, by foil and kind of prompt."""
    found: dict[tuple[str, str, str], dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in map(json.loads, file.read_text("utf-8").splitlines()):
        parts = row["id"].rpartition("/")[2].split("-")
        found[row["system"], parts[-1], row["analysis"]][parts[0]].append(row)
    head = [f"{kind}: own reply taken | margin | n" for kind in (SEEN, UNSEEN)]
    lines = [f"| system | foil | analysis | {' | '.join(head)} |", f"|---|---|---|{'---:|' * 6}"]
    for (system, foil, kind), prompts in sorted(
        found.items(), key=lambda each: (*each[0][:2], KINDS.index(each[0][2]))
    ):
        lines.append(f"| {system} | {foil} | {kind} | {' | '.join(told(prompts[at]) for at in (SEEN, UNSEEN))} |")
    return "\n".join(lines)


def _named(text: str) -> tuple[str, Path]:
    name, _, folder = text.partition("=")
    return name, Path(folder)


def main() -> None:
    """Score, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="what", required=True)
    scoring = parts.add_parser("score")
    scoring.add_argument("--pack", type=Path, required=True)
    scoring.add_argument("--records", type=Path, required=True)
    scoring.add_argument("--adapter", type=_named, action="append", required=True, metavar="NAME=FOLDER")
    scoring.add_argument("--out", type=Path, required=True)
    parts.add_parser("table").add_argument("file", type=Path)
    wanted = parser.parse_args()
    try:
        if wanted.what == "table":
            print(table(wanted.file))
            return
        rows = score_all(wanted.pack, wanted.records, dict(wanted.adapter))
        write_atomic(wanted.out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
        print(table(wanted.out))
    except PersbenchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
