r"""Is the position lost in the thought? The items of `unseen.py` again, after an analysis that is not the model's own.

    python leaderboard/dev/unseen.py pack runs/unseen/pack
    python leaderboard/dev/thoughts.py score --pack runs/unseen/pack --records leaderboard/dev/unseen \
      --system vanilla --system persllm=runs/dev/adapters/persllm --out runs/thoughts.jsonl
    python leaderboard/dev/thoughts.py table runs/thoughts.jsonl

Both candidates of an item are scored after the system's `own` analysis, as the records of `unseen.py` keep it, or after
none where it makes none (these scores must be the recorded ones again: the program says how far off they are); after
the `written` one, which the persona's author put before that very reply; and after `another`, written for another
prompt of the same persona, stage and pattern. What `written` has beyond `another` comes from what it says, and not from
its being well written. Untuned systems say what the base model could make of such a thought before any training.
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
from unseen import SEEN, TASK, paired, parts_of, seen_and_unseen

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

NONE, OWN, WRITTEN, ANOTHER = KINDS = ("none", "own", "written", "another")
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


def score(items: Sequence[Any], thoughts: Mapping[str, str | None], anchors: Mapping[str, Any], lm: Any) -> list[Row]:
    """Score items after given analyses.

    Args:
        items: Documents of `persbench_knowledge`.
        thoughts: Item id -> the analysis before its candidates; None for none.
        anchors: Item id -> nats per byte of its candidates without a persona.
        lm: The model, with its adapter.

    Returns:
        One row an item: id, log-likelihoods in nats in the documents' order, metrics as in a sample.
    """
    pairs = []
    for doc in items:
        thought, after = thoughts[doc["id"]], render(doc["messages"], lm.apply_chat_template)
        after = after if thought is None else prefilled(after, thought)
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


def score_all(pack_folder: Path, records: Path, systems: Mapping[str, Path | None]) -> list[Row]:
    """Score every recorded item of every system three times.

    Args:
        pack_folder: By `unseen.py`.
        records: Of the same items.
        systems: Name -> folder of adapters; None for a system of the untuned model.

    Raises:
        PersbenchError: A folder holds no adapter for a persona of the records.
    """
    pack, source = load_pack(pack_folder), load_pack(resolve_pack(None))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # In the arithmetic of `persbench run`.
    lm = PrefixLM(
        pretrained=str(fetch_model()), dtype="bfloat16", softmax_dtype="float32", device=device, batch_size=BATCH
    )
    cells = [cell for cell in load_cells(records)[0] if cell.system in systems]
    rows: list[Row] = []
    for cell in track(cells, "scoring"):
        of_all = systems[cell.system]
        folder = None if of_all is None else adapter_folder(of_all, cell.persona)
        if of_all is not None and folder is None:
            raise PersbenchError(f"{of_all} holds no adapter for {cell.persona}")
        recorded = {row["id"]: row for row in cell.tasks[TASK] if not _by_heart(row["id"])}
        written = written_thoughts(source.persona(cell.persona))
        use_adapter(lm, folder)
        documents = documents_of(TASK, pack, pack.persona(cell.persona), get_system(cell.system, adapter=folder))
        items = [doc for doc in documents if doc["id"] in recorded]
        anchors = {name: row["anchors"] for name, row in recorded.items()}
        recalled = {name: row.get("analysis") for name, row in recorded.items()}
        first = NONE if None in recalled.values() else OWN
        for kind in (first, WRITTEN, ANOTHER):
            thoughts = recalled if kind == first else {name: written[parts_of(name).row][kind] for name in recorded}
            scored = score(items, thoughts, anchors, lm)
            if kind == first:
                print(f"{cell.system} as {cell.persona}: {apart(scored, recorded)}", file=sys.stderr)
            rows += [{"system": cell.system, "persona": cell.persona, "analysis": kind} | row for row in scored]
    return rows


def _by_heart(item: str) -> bool:
    """Whether nothing is to be learnt from an item: a reply known by heart against one without substance."""
    parts = parts_of(item)
    return (parts.kind, parts.foil) == (SEEN, "substance")


def apart(scored: Sequence[Row], recorded: Mapping[str, Row]) -> str:
    """Say how far scores that were asked for as the recorded ones are from these."""
    gaps = [
        abs(own - then)
        for row in scored
        for own, then in zip(row["loglikelihoods"], recorded[row["id"]]["loglikelihoods"], strict=True)
    ]
    taken = sum(row["metrics"]["knowledge_acc"] != recorded[row["id"]]["metrics"]["knowledge_acc"] for row in scored)
    return f"as they were recorded: {max(gaps):.2f} nats at most apart, {taken} of {len(scored)} choices differ"


def table(file: Path) -> str:
    """Return as Markdown how often the own reply is taken after each analysis, by foil and kind of prompt."""
    found: dict[tuple[str, str, str], dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in map(json.loads, file.read_text("utf-8").splitlines()):
        item = parts_of(row["id"])
        found[row["system"], item.foil, row["analysis"]][item.kind].append(row)
    ordered = sorted(found.items(), key=lambda each: (*each[0][:2], KINDS.index(each[0][2])))
    return seen_and_unseen(["system", "foil", "analysis"], ordered)


def gains(file: Path) -> str:
    """Return as Markdown by how much `written` beats `another` in the same items, with 95% intervals."""
    found: dict[tuple[str, ...], dict[str, dict[str, dict[str, Any]]]] = defaultdict(lambda: defaultdict(dict))
    for row in map(json.loads, file.read_text("utf-8").splitlines()):
        item = parts_of(row["id"])
        found[row["system"], item.foil, item.kind][row["id"]][row["analysis"]] = row["metrics"]
    return paired(
        ["system", "foil", "prompts"],
        [
            (names, {item: (each[WRITTEN], each[ANOTHER]) for item, each in by_item.items()})
            for names, by_item in sorted(found.items())
        ],
    )


def _named(text: str) -> tuple[str, Path | None]:
    name, _, folder = text.partition("=")
    return name, Path(folder) if folder else None


def main() -> None:
    """Score, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="what", required=True)
    scoring = parts.add_parser("score")
    scoring.add_argument("--pack", type=Path, required=True)
    scoring.add_argument("--records", type=Path, required=True)
    scoring.add_argument("--system", type=_named, action="append", required=True, metavar="NAME[=ADAPTERS]")
    scoring.add_argument("--out", type=Path, required=True)
    parts.add_parser("table").add_argument("file", type=Path)
    wanted = parser.parse_args()
    try:
        if wanted.what == "table":
            print(table(wanted.file), gains(wanted.file), sep="\n\n")
            return
        rows = score_all(wanted.pack, wanted.records, dict(wanted.system))
        write_atomic(wanted.out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
        print(table(wanted.out), gains(wanted.out), sep="\n\n")
    except PersbenchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
