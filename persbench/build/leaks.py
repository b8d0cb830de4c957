"""Step 8, second half: rows that would teach what is tested, or that nearly repeat another row, fall out."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from persbench.data.guard import Learnt, refuse_leaks
from persbench.data.leakage import near_duplicates, shared_runs
from persbench.data.passages import passages
from persbench.errors import FaultsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from persbench.build.composing import Composed
    from persbench.build.drops import Drops, Reason
    from persbench.errors import Fault
    from persbench.packs.pack import Pack
    from persbench.scoring.overlap import Embedder

MAY_FALL: Final = ("train", "stylized", "knowledge", "induction", "stages")
"""Files whose rows may fall out because of other rows of their own persona. Answers may not: whoever never changes says
nearly the same twice."""
TESTED: Final = re.compile(r"the test text ([^ :]+):(\d+)")


def without_leaks(
    composed: Composed,
    write: Callable[[Composed], Pack],
    embedder: Embedder,
    drops: Drops,
) -> tuple[Composed, Pack]:
    """Take out rows until the guard before training and the audit of leakage find none.

    Args:
        composed: The persona.
        write: Writes the pack and loads it.
        embedder: Gives unit rows, for texts that say nearly the same.
        drops: Grows by what fell out.

    Returns:
        The persona without these rows, and its pack.
    """
    while True:
        pack = write(composed)
        found = _leaking_rows(pack, composed, embedder)
        if not any(found.values()):
            return composed, pack
        tables: dict[str, Sequence[Any]] = dict(composed.tables)
        for stem, lines in found.items():
            rows = tables[stem]
            for line, fault in sorted(lines.items()):
                reason: Reason = "repeats a row" if "another row of its file" in fault.message else "leaks a test text"
                drops.add("leakage", _name(stem, rows[line - 1]), reason, fault.message)
            tables[stem] = [row for line, row in enumerate(rows, start=1) if line not in lines]
        answered = {(row.question, row.stage) for row in tables.get("answers", ())}
        for row in tables.get("contrast", ()):
            if (row.question, row.stage) not in answered:
                drops.add("leakage", _name("contrast", row), "leaks a test text", "its own answer fell out")
        if "contrast" in tables:
            tables["contrast"] = [row for row in tables["contrast"] if (row.question, row.stage) in answered]
        composed = composed.with_tables(tables)


def _leaking_rows(pack: Pack, composed: Composed, embedder: Embedder) -> dict[str, dict[int, Fault]]:
    """Return the rows of the persona's own files that must go: stem to line to fault.

    Of two rows the training row goes. Where that is another persona's, the test row of this one goes.
    """
    found: dict[str, dict[int, Fault]] = defaultdict(dict)
    home = re.compile(rf"personas/{re.escape(composed.persona.id)}/(\w+)\.jsonl")
    for fault in _faults(pack, embedder):
        own = home.fullmatch(fault.file)
        if own and own[1] in MAY_FALL and fault.line is not None:
            found[own[1]].setdefault(fault.line, fault)
        elif not own and (tested := TESTED.search(fault.message)) and (own := home.fullmatch(tested[1])):
            found[own[1]].setdefault(int(tested[2]), fault)
    return found


def _name(stem: str, row: Any) -> str:
    return str(getattr(row, "id", "")) or f"{stem}: {row.question} at {row.stage}"


def _faults(pack: Pack, embedder: Embedder) -> Iterator[Fault]:
    texts = passages(pack)
    try:
        refuse_leaks(pack, [Learnt(p.text, f"{p.file}:{p.line}") for p in texts if p.split == "train"])
    except FaultsError as error:
        yield from error.faults
    yield from shared_runs(texts)
    yield from near_duplicates(texts, embedder)
