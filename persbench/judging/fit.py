"""Whether saved samples can be judged: they are whole, and were made with the pack that is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from persbench.errors import Fault, FaultsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.judging.cases import Kind
    from persbench.packs.pack import Pack
    from persbench.samples import Row

REPLIES: Final = "persbench_reply"
INDUCED: Final = "persbench_induction_reply"
DIALOGUES: Final = (
    "persbench_consistency",
    "persbench_consistency_gen",
    "persbench_pressure",
    "persbench_pressure_gen",
)
CONVERSATIONS: Final = "persbench_converse"  # two personas; no task of lm-eval, but rows of the same form
JUDGED_TASKS: Final = (REPLIES, INDUCED, *DIALOGUES, CONVERSATIONS)
READS: Final[dict[Kind, tuple[str, ...]]] = {
    "sort": (REPLIES,),
    "agree": (REPLIES,),
    "rank": (REPLIES,),
    "resist": (INDUCED,),
    "contradict": (*DIALOGUES, CONVERSATIONS),
}
"""Kind of judgement -> tasks whose samples it reads."""


class Cell(Protocol):
    """One system on one persona, as `persbench.report.cells.load_cells` reads it from records or lm-eval's samples."""

    @property
    def system(self) -> str:
        """System name."""
        ...

    @property
    def persona(self) -> str:
        """Persona id."""
        ...

    @property
    def signature(self) -> dict[str, Any]:
        """Facts behind its numbers."""
        ...

    @property
    def tasks(self) -> dict[str, list[Row]]:
        """Task name -> rows of `persbench.samples.sample_row`."""
        ...


def require_fit(cells: Sequence[Cell], pack: Pack) -> None:
    """Refuse samples that were made with another pack than the one given, or that lack what is judged.

    Raises:
        FaultsError: Every cell with another pack, with a persona that the pack does not have, or with a broken sample.
    """
    faults: list[Fault] = []
    known = {data.persona.id for data in pack.personas}
    for cell in cells:
        where = f"{cell.system} as {cell.persona}"
        rows = [(task, row) for task in JUDGED_TASKS for row in cell.tasks.get(task, [])]
        others = sorted({str(row.get("pack_hash", ""))[:12] for _, row in rows} - {pack.hash[:12]})
        if others:
            was = ", ".join(other or "unknown" for other in others)
            faults.append(Fault(where, None, f"was run on the pack @{was}", f"@{pack.hash[:12]}: name it by --pack"))
        elif rows and cell.persona not in known:
            faults.append(Fault(where, None, "is a persona that the pack does not have", ", ".join(sorted(known))))
        broken = [f"{task} {row.get('id')!r}" for task, row in rows if not _whole(task, row)]
        if broken:
            told = f"{len(broken)} samples without what is judged, the first {broken[0]}"
            faults.append(Fault(where, None, told, "a reply or transcripts: run that task again"))
    if faults:
        raise FaultsError(f"the run does not fit the pack {pack.world.id} in {pack.path}", faults)


def _whole(task: str, row: Row) -> bool:
    if not all(isinstance(row.get(key), str) for key in ("id", "persona", "stage", "cluster", "kind")):
        return False
    if task in (REPLIES, INDUCED):
        return isinstance(row.get("reply"), str)
    questions, scripts, faults = row.get("questions", []), row.get("transcripts"), row.get("faults") or {}
    if not isinstance(questions, list) or not all(isinstance(question, str) for question in questions):
        return False
    if not isinstance(faults, dict) or not all(isinstance(fault, str) for fault in faults.values()):
        return False
    return isinstance(scripts, dict) and all(
        isinstance(exchanges, list)
        and all(
            isinstance(said, dict) and all(isinstance(said.get(k), str) for k in ("user", "reply"))
            for said in exchanges
        )
        for exchanges in scripts.values()
    )
