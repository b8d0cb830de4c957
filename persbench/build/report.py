"""What a build tells of itself: build.json, drops.jsonl and the data card BUILD.md, in the pack."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from persbench import __version__
from persbench.build.pack_files import REPORT
from persbench.records import write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from persbench.build.asking import Asker
    from persbench.build.composing import Composed
    from persbench.build.settings import BuildSettings
    from persbench.packs.pack import Pack

FORMAT: Final = 1
DROPS: Final = "built/drops.jsonl"
NO_PERSON: Final = (
    "Profiles, prompts, replies, labels and trait targets were written by the annotator named above from the raw text; "
    "no person has verified them."
)


def report_of(
    settings: BuildSettings,
    sources: Sequence[Mapping[str, Any]],
    composed: Composed,
    pack: Pack,
    world: Pack | None,
    asker: Asker,
    embedder: str,
) -> dict[str, Any]:
    """Gather all facts of a build. Two builds of equal text, settings and answers have equal reports.

    Args:
        settings: Its settings.
        sources: For each file of raw text: name, side, bytes and units.
        composed: The persona as written.
        pack: The pack as loaded.
        world: The world it was built into.
        asker: What was asked and what fell out.
        embedder: Fingerprint of the embedder.
    """
    tables = {stem: len(rows) for stem, rows in composed.tables.items()}
    train = Counter(f"{row.stage}/{row.pattern}" for row in pack.persona(settings.persona).train)
    kinds = Counter(f"{piece.stage}/{piece.kind}" for piece in composed.pieces)
    total = asker.annotator.tally.total()
    return {
        "format": FORMAT,
        "persbench": __version__,
        "pack": {"id": pack.world.id, "hash": pack.hash, "licence": pack.world.licence},
        "world": None if world is None else {"id": world.world.id, "version": world.world.version, "hash": world.hash},
        "settings": settings.facts(),
        "annotator": asker.annotator.id,
        "prompts": dict(sorted(asker.versions.items())),
        "embedder": embedder,
        "sources": list(sources),
        "units": sum(source["units"] for source in sources),
        "material": {"kept": len(composed.pieces), "held_out": len(composed.held_out)} | dict(sorted(kinds.items())),
        "rows": tables,
        "train": dict(sorted(train.items())),
        "drops": asker.drops.counted(),
        "dropped": len(asker.drops.rows),
        "calls": asker.annotator.tally.work(),
        "total": {
            "calls": total.calls,
            "prompt_tokens": total.prompt_tokens,
            "completion_tokens": total.completion_tokens,
            "cost": asker.annotator.tally.cost(),
            "currency": getattr(asker.annotator.tally.prices, "currency", None),
        },
    }


def write_report(folder: Path, report: Mapping[str, Any], asker: Asker) -> None:
    """Write build.json, drops.jsonl and BUILD.md into a pack's folder."""
    write_atomic(folder / REPORT, (json.dumps(report, ensure_ascii=False, indent=1) + "\n").encode())
    rows = "".join(json.dumps(drop._asdict(), ensure_ascii=False) + "\n" for drop in asker.drops.rows)
    write_atomic(folder / DROPS, rows.encode())
    write_atomic(folder / "BUILD.md", markdown(report).encode())


def markdown(report: Mapping[str, Any]) -> str:
    """Write the data card of a built persona."""
    settings, world, total, pack = (report[key] for key in ("settings", "world", "total", "pack"))
    within = f" into the world {world['id']} {world['version']} (`{world['hash'][:12]}`)" if world else ""
    cost = "not known (no prices given)" if total["cost"] is None else f"{total['cost']:.4f} {total['currency']}"
    parts = [
        f"# {settings['name']}",
        f"Built by persbench {report['persbench']}{within}. Pack `{pack['id']}`, hash `{pack['hash'][:12]}`.",
        f"**Annotator**: `{report['annotator']}`. {NO_PERSON}",
        f"**Licence**: {pack['licence']}.",
        f"**Split**: {_split(settings)}",
        "## Raw text\n\n" + _table(("file", "side", "units"), [list(s.values()) for s in report["sources"]]),
        "## Material\n\n" + _table(("material", "units"), report["material"].items()),
        "## Rows\n\n" + _table(("file", "rows"), [(f"{stem}.jsonl", n) for stem, n in report["rows"].items()]),
        "## Training dialogues\n\n" + _table(("stage/pattern", "rows"), report["train"].items()),
        "## Left out\n\n" + _drops(report),
        "## Calls\n\n"
        + _table(
            ("task", "prompt", "calls", "unanswered", "prompt tokens", "completion tokens"),
            [
                (
                    task,
                    report["prompts"].get(task.partition(":")[0], ""),
                    count["calls"],
                    sum(count["unanswered"].values()),
                    count["prompt_tokens"],
                    count["completion_tokens"],
                )
                for task, count in report["calls"].items()
            ],
        ),
        (
            f"In all {total['calls']} calls; tokens: {total['prompt_tokens']} of prompts, "
            f"{total['completion_tokens']} of answers; cost: {cost}."
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _split(settings: Mapping[str, Any]) -> str:
    if settings["split"] == "material":
        return (
            f"about {settings['held_out']:.0%} of the material is held out. Tests are made from it, and nothing is "
            "learnt from it: what a knowledge item asks can be looked up (`rag`), and training has not told it."
        )
    return (
        f"tests are made from about {settings['held_out']:.0%} of the material, and training dialogues from all of it: "
        "a fact may be learnt by one question and tested by another."
    )


def _drops(report: Mapping[str, Any]) -> str:
    rows = [(step, reason, n) for step, reasons in report["drops"].items() for reason, n in reasons.items()]
    return _table(("step", "reason", "left out"), rows) + f"\n\nEach of them stands in `{DROPS}`."


def _table(head: Sequence[str], rows: Any) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |" for line in lines)
