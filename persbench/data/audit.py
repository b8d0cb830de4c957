"""`persbench check --reference`: what a program can test of how a reference world is written."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from persbench.data.leakage import near_duplicates, shared_runs
from persbench.data.passages import passages
from persbench.data.traces import template_traces
from persbench.errors import Fault
from persbench.scoring.authorship import cross_validated_accuracy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from persbench.data.passages import Passage
    from persbench.packs.pack import Pack, PersonaData
    from persbench.scoring.overlap import Embedder
    from persbench.scoring.stats import Interval

STANCES: Final = 4
HOLDERS: Final = (2, 4)
LENGTH_RATIO: Final = 1.15
LONGEST_SHARE: Final = (0.12, 0.38)
AUTHORSHIP: Final = 0.60
WORLD_COUNTS: Final = {"questions": 40, "dialogues": 16, "pressure": 80, "traits": 60, "general": 170}
# stem -> (major, minor) rows; a stage's for the first, a persona's for the second
STAGE_COUNTS: Final = {
    "answers": (40, 40),
    "contrast": (24, 24),
    "knowledge": (20, 10),
    "induction": (20, 10),
    "materials": (24, 8),
    "train": (60, 20),
}
PERSONA_COUNTS: Final = {"stages": (14, 8), "stylized": (30, 12)}
ATTRIBUTES: Final = {"dialogues": "cross_turn", "stages": "stage_items"}  # where a file is called otherwise in a pack
WORDS: Final = {"answers": ("reply", 20, 70), "materials": ("text", 60, 180)}
PATTERNS: Final = {"question": 0.5, "opinion": 0.25, "induced": 0.25}


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        faults: Everything to mend.
        authorship: Share of shared answers whose persona a classifier names without having seen the question.
        stage_authorship: The same for persona and stage together; reported without a bar, so that nobody writes
            catch-phrases to meet it.
    """

    faults: tuple[Fault, ...]
    authorship: Interval
    stage_authorship: Interval


def audit(pack: Pack, embedder: Embedder) -> Audit:
    """Examine a reference world.

    Args:
        pack: A valid pack.
        embedder: For near-duplicates.

    Returns:
        All faults, and how well the voices are told apart.
    """
    texts = passages(pack)
    faults = [
        *_counts(pack),
        *_stance_holders(pack),
        *_ages(pack),
        *_later_dates(pack, texts),
        *_lengths(pack),
        *template_traces(texts),
        *shared_runs(texts),
        *near_duplicates(texts, embedder),
    ]
    answers = [(row.reply, data.persona.id, row.stage, row.question) for data in pack.personas for row in data.answers]
    voices = cross_validated_accuracy([(text, who, question) for text, who, _, question in answers])
    stages = cross_validated_accuracy([(text, f"{who}/{stage}", question) for text, who, stage, question in answers])
    if voices.mean is not None and voices.mean < AUTHORSHIP:
        message = f"an authorship classifier names the persona of {voices.mean:.0%} of shared answers"
        faults.append(Fault("personas", None, message, f"at least {AUTHORSHIP:.0%}"))
    return Audit(tuple(faults), voices, stages)


def _counts(pack: Pack) -> Iterator[Fault]:
    for stem, wanted in WORLD_COUNTS.items():
        found = len(getattr(pack, ATTRIBUTES.get(stem, stem)))
        if found != wanted:
            yield Fault(f"{stem}.jsonl", None, f"{found} rows", str(wanted))
    for data in pack.personas:
        folder, minor = f"personas/{data.persona.id}", data.persona.minor
        for stem, counts in STAGE_COUNTS.items():
            per_stage = Counter(row.stage for row in getattr(data, stem))
            for stage in data.persona.stages:
                if per_stage[stage] != counts[minor]:
                    yield Fault(
                        f"{folder}/{stem}.jsonl", None, f"{per_stage[stage]} rows at {stage}", str(counts[minor])
                    )
        for stem, counts in PERSONA_COUNTS.items():
            found = len(getattr(data, ATTRIBUTES.get(stem, stem)))
            if found != counts[minor]:
                yield Fault(f"{folder}/{stem}.jsonl", None, f"{found} rows", str(counts[minor]))
        if data.matched and len(data.matched) != len(data.train):
            yield Fault(f"{folder}/matched.jsonl", None, f"{len(data.matched)} rows", f"{len(data.train)}, as in train")
        yield from _patterns(folder, data)


def _patterns(folder: str, data: PersonaData) -> Iterator[Fault]:
    later = sum(row.kind == "later_event" for row in data.stage_items)
    if later * 2 < len(data.stage_items):
        yield Fault(
            f"{folder}/stages.jsonl", None, f"{later} of {len(data.stage_items)} are later events", "at least half"
        )
    for stage in data.persona.stages:
        rows = [row for row in data.train if row.stage == stage]
        for pattern, share in PATTERNS.items():
            found = sum(row.pattern == pattern for row in rows)
            if found != round(share * len(rows)):
                message = f"{found} of {len(rows)} dialogues at {stage} are {pattern}s"
                yield Fault(f"{folder}/train.jsonl", None, message, str(round(share * len(rows))))


def _stance_holders(pack: Pack) -> Iterator[Fault]:
    for question, line in zip(pack.questions, pack.lines.get("questions.jsonl", ()), strict=True):
        if len(question.stances) != STANCES:
            yield Fault("questions.jsonl", line, f"{len(question.stances)} stances", str(STANCES))
        held = Counter(row.stance for data in pack.personas for row in data.answers if row.question == question.id)
        for stance in question.stances:
            if not HOLDERS[0] <= held[stance.id] <= HOLDERS[1]:
                message = f"stance {stance.id} is held by {held[stance.id]} persona-stages"
                yield Fault("questions.jsonl", line, message, "2 to 4")


def _ages(pack: Pack) -> Iterator[Fault]:
    """Sheets must be whole, and ages of two stages must differ as the stages' years do, give or take a birthday."""
    years = {stage.id: stage.year for stage in pack.world.stages}
    for data in pack.personas:
        sheets = list(data.persona.stages.items())
        for stage, sheet in sheets:
            for name in ("age", "profile", "voice"):
                if getattr(sheet, name) is None:
                    message = f"{name} of {data.persona.id} at {stage} is null"
                    yield Fault(f"personas/{data.persona.id}/persona.yaml", None, message, "a whole sheet")
        for (first, a), (second, b) in itertools.pairwise(sheets):
            apart = years[second] - years[first]
            if a.age is not None and b.age is not None and abs((b.age - a.age) - apart) > 1:
                message = f"{data.persona.id} is {a.age} at {first} and {b.age} at {second}, {apart} years later"
                yield Fault(f"personas/{data.persona.id}/persona.yaml", None, message, f"{a.age + apart} or a year off")


def _later_dates(pack: Pack, texts: Sequence[Passage]) -> Iterator[Fault]:
    """A text of an early stage must not name a later year; what is put to a persona as a trap may."""
    years = {stage.id: stage.year for stage in pack.world.stages}
    last = pack.world.stages[-1].year
    digits = f"{len(str(pack.world.stages[0].year))},{len(str(last))}"
    before = r"in|of|since|by|until|year|spring|summer|autumn|winter|[A-Z][a-z]+,?"
    dates = re.compile(rf"\b(?:{before}) (\d{{{digits}}})\b")
    for passage in texts:
        if passage.stage not in years or passage.part == "ask" or passage.field in ("yield_", "deny", "analysis"):
            continue
        for match in dates.finditer(passage.text):
            year = int(match[1])
            if years[passage.stage] < year <= last:
                message = f"{passage.field} at {passage.stage} says {match[0]!r}"
                yield Fault(passage.file, passage.line, message, f"no year after {years[passage.stage]}")


def _lengths(pack: Pack) -> Iterator[Fault]:
    for data in pack.personas:
        folder = f"personas/{data.persona.id}"
        for stem, (field, fewest, most) in WORDS.items():
            for line, row in zip(pack.lines.get(f"{folder}/{stem}.jsonl", ()), getattr(data, stem), strict=True):
                count = len(getattr(row, field).split())
                if not fewest <= count <= most:
                    yield Fault(f"{folder}/{stem}.jsonl", line, f"{count} words", f"{fewest} to {most}")
        places = {"longest": 0.0, "shortest": 0.0}
        for line, item in zip(pack.lines.get(f"{folder}/knowledge.jsonl", ()), data.knowledge, strict=True):
            sizes = [len(text.encode()) for text in (item.gold, *item.foils)]
            if max(sizes) > LENGTH_RATIO * min(sizes):
                message = f"gold and foils have {', '.join(map(str, sizes))} bytes"
                yield Fault(f"{folder}/knowledge.jsonl", line, message, "lengths within 15% of each other")
            for place, end in (("longest", max(sizes)), ("shortest", min(sizes))):
                places[place] += (sizes[0] == end) / sizes.count(end)
        for place, times in places.items():
            share = times / len(data.knowledge) if data.knowledge else 0.25
            if not LONGEST_SHARE[0] <= share <= LONGEST_SHARE[1]:
                message = f"gold is the {place} in {share:.0%} of items"
                yield Fault(f"{folder}/knowledge.jsonl", None, message, "about a quarter (12% to 38%)")
