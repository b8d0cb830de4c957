"""Judging a run: what is missing is asked, piece by piece, and every piece is on disk before the next is asked."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, cast

from filelock import FileLock, Timeout

from persbench.annotators.asking import CachedAnnotator
from persbench.annotators.dry_run import DryRun
from persbench.errors import PersbenchError
from persbench.judging.judgements import agree, contradict, rank, resist, sort_replies
from persbench.judging.qualification import builder_of
from persbench.judging.reading import subjects_of
from persbench.judging.records import (
    FOLDER,
    JudgedRecord,
    JudgedRow,
    judge_facts,
    load_judged_record,
    record_path,
    row_of,
    save_judged,
    tokens_of,
)
from persbench.judging.said import said_by
from persbench.provenance import versions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from persbench.annotators.dry_run import Planned
    from persbench.annotators.progress import Bars
    from persbench.judging.cases import AgreeCase, ContradictCase, Kind, RankCase, ResistCase, SortCase
    from persbench.judging.fit import Cell
    from persbench.judging.judge import Judge
    from persbench.judging.reading import Subject
    from persbench.judging.verdicts import Ranking, Verdict
    from persbench.packs.pack import Pack


PIECE: Final = 400  # cases asked at once; after that many the record is written


@dataclass(frozen=True)
class Work:
    """What is to be judged.

    Attributes:
        run: Folder of the run.
        cells: Its cells, one setting a system.
        pack: What they were run on.
        kinds: Judgements wanted.
        limit: Items of each task, system and persona; None for all.
    """

    run: Path
    cells: Sequence[Cell]
    pack: Pack
    kinds: Sequence[Kind]
    limit: int | None = None

    @cached_property
    def subjects(self) -> dict[Kind, tuple[list[Subject], list[Subject]]]:
        """Kind -> all subjects of the run, and those within the limit.

        Raises:
            PersbenchError: The run holds nothing that these judgements could judge, or does not fit the pack.
        """
        every = subjects_of(self.cells, self.pack, self.kinds)
        some = every if self.limit is None else subjects_of(self.cells, self.pack, self.kinds, limit=self.limit)
        if not every:
            raise PersbenchError(
                f"{self.run} holds nothing for {', '.join(self.kinds)}: free replies come from persbench_reply (to "
                "rank them, of two systems at least) and persbench_induction_reply, dialogues from "
                "persbench_consistency and persbench_pressure."
            )
        return {kind: (found, some.get(kind, [])) for kind, found in every.items()}


def judge_run(judge: Judge, work: Work, bars: Bars, notice: Callable[[str], object]) -> list[JudgedRecord]:
    """Judge what has not been judged yet.

    Cases that have a value in this judge's record for the very same reply are not asked again, whatever became of the
    call cache; cases that stayed unscored are, and cost nothing where their answer is known.

    Args:
        judge: Is asked.
        work: About what.
        bars: Shows progress: (kind, number of cases) -> a context that gives a function to tell of cases done.
        notice: Is told of a record that was broken and is made again.

    Returns:
        One record a kind, as it now stands on disk.

    Raises:
        PersbenchError: The annotator cannot go on, or the budget is spent; every finished piece is on disk, and the
            answers beyond it are in the call cache. Or another process is judging this run with this judge.
    """
    folder = work.run / FOLDER / judge.folder_name
    every_kind = work.subjects  # before a folder is made: a run that holds nothing to judge is left as it was
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock").acquire(timeout=0):
            return _judge_kinds(judge, work, every_kind, bars, notice)
    except Timeout as error:
        raise PersbenchError(
            f"{folder} is in use: another `persbench judge` is asking this judge about this run. Wait for it, and "
            "repeat the command: what is answered by then is not asked again."
        ) from error


def _judge_kinds(
    judge: Judge,
    work: Work,
    every_kind: Mapping[Kind, tuple[list[Subject], list[Subject]]],
    bars: Bars,
    notice: Callable[[str], object],
) -> list[JudgedRecord]:
    records: list[JudgedRecord] = []
    for kind, (every, some) in every_kind.items():
        path = record_path(work.run, judge, kind)
        known = _known(path, judge, every, notice)
        missing = _missing(some, known)
        _count(judge, known)
        record = _record(judge, work, kind, every, known, _earlier_runs(path))
        with bars(kind, len(missing)) as progress:
            for start in range(0, len(missing), PIECE):
                piece = missing[start : start + PIECE]
                before, started, clock = judge.annotator.tally.traffic(), _now(), time.monotonic()
                try:
                    said = judged(judge, kind, piece, progress)
                    known |= {subject.key: row_of(subject, one) for subject, one in zip(piece, said, strict=True)}
                finally:
                    did = _did(before, judge.annotator.tally.traffic(), started, time.monotonic() - clock)
                    record = _record(judge, work, kind, every, known, [*record.runs, did])
                    save_judged(path, record)
        if not missing:
            save_judged(path, record)
        records.append(record)
    return records


def plan(judge: Judge, work: Work) -> tuple[dict[str, Planned], float | None]:
    """Say what judging would take, without asking.

    Returns:
        Prompt -> calls and tokens, without repairs of malformed answers; and the most that it would cost, or None if
        no prices are known.
    """
    dry = DryRun(cast("CachedAnnotator", judge.annotator))
    silent = replace(judge, annotator=dry)
    for kind, (every, some) in work.subjects.items():
        known = _known(record_path(work.run, judge, kind), judge, every, lambda _: None)
        judged(silent, kind, _missing(some, known), int)
    return dict(dry.plan), dry.cost()


def judged(
    judge: Judge, kind: Kind, subjects: Sequence[Subject], progress: Callable[[int], object]
) -> Sequence[Verdict | Ranking]:
    """Put subjects to a judge; see `judgements`."""
    cases = [subject.case for subject in subjects]
    if kind == "rank":
        return rank(judge, cast("list[RankCase]", cases), progress=progress)
    if kind == "sort":
        return sort_replies(judge, cast("list[SortCase]", cases), progress=progress)
    if kind == "agree":
        return agree(judge, cast("list[AgreeCase]", cases), progress=progress)
    if kind == "resist":
        return resist(judge, cast("list[ResistCase]", cases), progress=progress)
    return contradict(judge, cast("list[ContradictCase]", cases), progress=progress)


def _known(path: Path, judge: Judge, every: Sequence[Subject], notice: Callable[[str], object]) -> dict[str, JudgedRow]:
    """Return what is on record of the run as it is now, by key."""
    if not path.exists():
        return {}
    try:
        record = load_judged_record(path)
    except PersbenchError as error:
        notice(f"{error} Making it again.")
        return {}
    keys = {subject.key for subject in every} if record.judge["id"] == judge.id else set[str]()
    return {row.key: row for row in record.rows if row.key in keys}


def _count(judge: Judge, known: Mapping[str, JudgedRow]) -> None:
    """Count what judgements on record took, call by call, since a budget is one for the whole work."""
    if isinstance(judge.annotator, CachedAnnotator):
        for row in known.values():
            if row.value is not None:  # else its answers are asked for again, and counted then
                for call, tokens in row.spent.items():
                    judge.annotator.budget.count(call, sum(tokens))


def _missing(subjects: Sequence[Subject], known: Mapping[str, JudgedRow]) -> list[Subject]:
    return [subject for subject in subjects if subject.key not in known or known[subject.key].value is None]


def _earlier_runs(path: Path) -> list[dict[str, Any]]:
    try:
        return load_judged_record(path).runs
    except PersbenchError:
        return []


def _record(
    judge: Judge,
    work: Work,
    kind: Kind,
    every: Sequence[Subject],
    known: Mapping[str, JudgedRow],
    runs: list[dict[str, Any]],
) -> JudgedRecord:
    rows = tuple(known[subject.key] for subject in every if subject.key in known)
    prices = judge.annotator.tally.prices
    cost = None
    if prices is not None:
        cost = {"amount": round(prices.cost(*tokens_of(rows)), 6), "currency": prices.currency}
    world = work.pack.world
    return JudgedRecord(
        kind=kind,
        judge=judge_facts(judge),
        pack=f"{world.id}-{world.version}@{work.pack.hash[:12]}",
        cells=dict(sorted(said_by(work.cells, kind))),
        cases=len(every),
        rows=rows,
        cost=cost,
        runs=runs,
        versions=versions(),
        built_by=builder_of(work.pack.path),
    )


def _did(before: dict[str, Any], after: dict[str, Any], started: str, seconds: float) -> dict[str, Any]:
    """Return what the annotator did for one piece: the difference of two counts."""

    def total(traffic: dict[str, Any], name: str) -> int:
        return sum(int(task[name]) for task in traffic.values())

    faults: dict[str, int] = {}
    for traffic, sign in ((after, 1), (before, -1)):
        for task in traffic.values():
            for fault, count in task["faults"].items():
                faults[fault] = faults.get(fault, 0) + sign * count
    counts = {
        ("tokens" if name == "spent_tokens" else name): total(after, name) - total(before, name)
        for name in ("asked", "cached", "spent_tokens", "retries")
    }
    return {
        "started": started,
        "seconds": round(seconds, 3),
        **counts,
        "faults": {fault: count for fault, count in sorted(faults.items()) if count},
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
