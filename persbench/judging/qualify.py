"""Examining a judge: a pack's authored pairs, kind by kind, beside judges that read nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, cast

from persbench.annotators.dry_run import DryRun
from persbench.errors import PersbenchError, UnknownNameError
from persbench.judging.authored import EXAMS, authored_pairs
from persbench.judging.exams import decide
from persbench.judging.measures import examined
from persbench.judging.qualification import Qualification, builder_of
from persbench.judging.reading import sheet
from persbench.judging.trivial import trivial_credits
from persbench.provenance import versions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persbench.annotators.asking import CachedAnnotator
    from persbench.annotators.dry_run import Planned
    from persbench.annotators.progress import Bars
    from persbench.judging.authored import AuthoredPair, Family
    from persbench.judging.cases import Kind
    from persbench.judging.exams import Decision
    from persbench.judging.judge import Judge
    from persbench.judging.measures import Exam
    from persbench.packs.pack import Pack
    from persbench.retrieval import Embedder


REPEAT: Final = 40
AGAIN: Final = 1
"""Seed of the second asking; the first one's is 0, that of every judgement of replies."""


@dataclass(frozen=True)
class ExamSettings:
    """What is asked.

    Attributes:
        kinds: Of judgement.
        personas: Ids; empty for all of the pack.
        limit: Pairs of each family; None for all.
        repeat: Of these, how many are asked a second time, with another seed.
    """

    kinds: tuple[Kind, ...] = tuple(EXAMS)
    personas: tuple[str, ...] = ()
    limit: int | None = None
    repeat: int = REPEAT


def pairs_of(pack: Pack, settings: ExamSettings) -> dict[tuple[Kind, Family], list[AuthoredPair]]:
    """Return what a judge would be asked about, exam by exam; an exam for which the pack has no pairs is left out.

    Raises:
        UnknownNameError: No such kind of judgement, or no such persona.
        PersbenchError: The pack has no authored pairs for any of the kinds.
    """
    for kind in settings.kinds:
        if kind not in EXAMS:
            raise UnknownNameError("kind of judgement", kind, list(EXAMS))
    for persona in settings.personas:
        pack.persona(persona)
    found = {
        (kind, family): authored_pairs(pack, family, personas=settings.personas, limit=settings.limit)
        for kind in dict.fromkeys(settings.kinds)
        for family in EXAMS[kind]
    }
    found = {exam: pairs for exam, pairs in found.items() if pairs}
    if not found:
        raise PersbenchError(
            f"the pack {pack.world.id} has no authored pairs to examine a judge on: contrast.jsonl (with answers), "
            "knowledge.jsonl or induction.jsonl of a persona."
        )
    return found


def plan(judge: Judge, pack: Pack, settings: ExamSettings) -> tuple[dict[str, Planned], float | None]:
    """Say what an examination would take, without asking.

    Returns:
        Prompt -> calls and tokens, without repairs of malformed answers; and the most that it would cost, or None if
        no prices are known.

    Raises:
        PersbenchError: As `pairs_of`.
    """
    dry = DryRun(cast("CachedAnnotator", judge.annotator))
    for exam, pairs in pairs_of(pack, settings).items():
        _decided(replace(judge, annotator=dry), exam, pairs, pack, settings, int)
    return dict(dry.plan), dry.cost()


def qualify(
    judge: Judge,
    pack: Pack,
    embedder: Embedder,
    settings: ExamSettings,
    bars: Bars,
) -> Qualification:
    """Examine a judge. A repeated call gets known answers from the judge's call cache.

    Args:
        judge: Is examined.
        pack: With authored pairs.
        embedder: For the trivial judge of that name.
        settings: What is asked.
        bars: Shows progress: (exam, number of cases) -> a context that gives a function to tell of cases done.

    Raises:
        PersbenchError: As `pairs_of`, and as `Annotator.ask`: what was answered is kept.
    """
    exams: list[Exam] = []
    tokens = 0
    for (kind, family), pairs in pairs_of(pack, settings).items():
        cases = (1 if kind == "rank" else 2) * (len(pairs) + min(settings.repeat, len(pairs)))
        with bars(f"{kind}, {family}", cases) as progress:
            first, again = _decided(judge, (kind, family), pairs, pack, settings, progress)
        tokens += sum(found.tokens for found in [*first, *again])
        exam = examined(kind, first, trivial_credits(pairs, embedder), again)
        every = authored_pairs(pack, family, personas=settings.personas)
        limit = len(pairs) if len(pairs) < len(every) else None
        exams.append(replace(exam, limit=limit, personas=settings.personas, embedder=embedder.fingerprint))
    return Qualification(
        judge={
            "id": judge.id,
            "name": judge.name,
            "annotator": judge.annotator.id,
            "signature": judge.signature,
        },
        pack={"id": pack.world.id, "version": pack.world.version, "hash": pack.hash},
        settings={
            "personas": list(settings.personas),
            "limit": settings.limit,
            "repeat": settings.repeat,
            "seed": AGAIN,
            "embedder": embedder.fingerprint,
        },
        exams=tuple(exams),
        built_by=builder_of(pack.path),
        tokens=tokens,
        cost=judge.annotator.tally.cost(),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=versions(),
    )


def _decided(
    judge: Judge,
    exam: tuple[Kind, Family],
    pairs: Sequence[AuthoredPair],
    pack: Pack,
    settings: ExamSettings,
    progress: Callable[[int], object],
) -> tuple[list[Decision], list[Decision]]:
    """Ask about all pairs, and about the first of them again."""

    def speaker(persona: str, stage: str) -> str:
        return sheet(pack, persona, stage)

    first = decide(judge, exam[0], pairs, speaker, progress=progress)
    return first, decide(judge, exam[0], pairs[: settings.repeat], speaker, seed=AGAIN, progress=progress)
