"""What systems said, item by item, so that one can read it and hold two systems beside each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from persbench.provenance import digest
from persbench.report.corpus import branch_scores
from persbench.report.site.evaluations import reading
from persbench.report.site.safe import Quoted, clean, quoted, slug
from persbench.scoring.choice import winners

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persbench.report.site.asked import Asked
    from persbench.report.site.evaluations import Evaluation
    from persbench.samples import Row

TITLES: Final = {
    "persbench_pressure": "Under pressure",
    "persbench_consistency": "Eight turns of talk",
    "persbench_reply": "Free replies",
    "persbench_induction_reply": "Induction prompts",
    "persbench_general_reply": "Ordinary requests",
    "persbench_pressure_gen": "Under pressure (choices by letter)",
    "persbench_consistency_gen": "Eight turns of talk (choices by letter)",
}
PARTS: Final = {"pressure": "Turns of pressure", "control": "Neutral turns, as a control", "talk": "The dialogue"}
REPLIES_A_DIALOGUE: Final = 4  # so many free replies are shown for one dialogue
MOST_TURNS: Final = 40
LONGEST_ASIDE: Final = 300


@dataclass(frozen=True)
class Verdict:
    """What a probe found after a turn (`own`, `target`, `other` or `unscored`), or a classifier in a reply."""

    kind: str
    text: str


@dataclass(frozen=True)
class Said:
    """One system's reply; `analysis` is what it thought before it spoke, where its kind does."""

    slug: str
    reply: Quoted
    analysis: Quoted | None = None
    verdicts: tuple[Verdict, ...] = ()


@dataclass
class Exchange:
    """One user turn and everybody's reply to it.

    Attributes:
        user: What the user says.
        aside: What was asked apart after the replies, and left no trace in the talk.
        replies: One a system.
        item: Id of the item, where each exchange is one.
    """

    user: Quoted
    aside: Quoted | None = None
    replies: list[Said] = field(default_factory=list)
    item: str = ""


@dataclass
class Transcript:
    """One page: a dialogue, or the free replies of one persona at one stage.

    Attributes:
        slug: Name of the page, without ending.
        task: Task name.
        persona: Persona id.
        stage: Stage id.
        title: The question of a dialogue; empty for free replies.
        parts: Title of a part -> its exchanges, in order.
        systems: Slugs of the systems that are in it, in the order of the board.
        broken: (slug, why a dialogue of that system broke off or lost turns).
    """

    slug: str
    task: str
    persona: str
    stage: str
    title: str
    parts: dict[str, list[Exchange]] = field(default_factory=dict)
    systems: list[str] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)


def transcripts(found: Sequence[Evaluation], asked: Asked, most: int) -> list[Transcript]:
    """Collect what is shown of the systems' talk.

    Args:
        found: Every system, in the order of the board.
        asked: (pack hash, task or "", item or question id) -> what was asked, for replies that stand alone.
        most: Dialogues of each task and persona; of free replies four times as many. They are the first of the
            task's own order, which is balanced over stages.

    Returns:
        Pages, in the order of tasks, personas, stages and items.
    """
    pages: dict[str, Transcript] = {}
    for one in found:
        with reading(one):
            for cell in one.cells:
                for task in TITLES:
                    rows = cell.tasks.get(task, [])
                    for row in [row for row in rows if row.get("transcripts")][:most]:
                        _add_dialogue(pages, one, task, row)
                    for row in [row for row in rows if "reply" in row][: most * REPLIES_A_DIALOGUE]:
                        _add_reply(pages, one, task, row, asked)
    place = {task: i for i, task in enumerate(TITLES)}
    return sorted(pages.values(), key=lambda page: (place[page.task], page.persona, page.stage, page.title, page.slug))


def _hash(row: Row) -> str:
    return str(row.get("pack_hash", ""))


def _page(pages: dict[str, Transcript], one: Evaluation, name: str, title: str, task: str, row: Row) -> Transcript:
    page = pages.setdefault(name, Transcript(name, task, str(row["persona"]), str(row["stage"]), title))
    if one.slug not in page.systems:
        page.systems.append(one.slug)
    return page


def _add_dialogue(pages: dict[str, Transcript], one: Evaluation, task: str, row: Row) -> None:
    """Add one system's dialogue to the page of its item; another script under the same name is another page."""
    script = {part: [turn["user"] for turn in turns] for part, turns in row["transcripts"].items()}
    asides = {part: {probe["after"]: probe["ask"] for probe in probes} for part, probes in row["probes"].items()}
    item = str(row["id"])
    name = slug(item, task, row["persona"], digest([script, sorted(asides)], 12), _hash(row))
    first = next(iter(script.values()), [""])
    page = _page(pages, one, name, clean(_question(asides) or (first[0] if first else item)), task, row)
    scores = branch_scores(row) if row.get("branches") else {}
    for part, turns in row["transcripts"].items():
        exchanges = page.parts.setdefault(PARTS.get(part, clean(part)), [])
        for turn, said in enumerate(turns[:MOST_TURNS], 1):
            if len(exchanges) < turn:
                aside = asides.get(part, {}).get(turn)
                exchanges.append(Exchange(quoted(said["user"]), quoted(aside, LONGEST_ASIDE) if aside else None))
            verdict = _stance(scores.get(f"{part}/{turn}"), row) if f"{part}/{turn}" in scores else None
            exchanges[turn - 1].replies.append(_said(one, said["reply"], said.get("analysis"), verdict))
    page.broken += [
        (one.slug, clean(f"{part} broke off: {why}")) for part, why in sorted(row.get("faults", {}).items())
    ]
    page.broken += [
        (one.slug, clean(f"{part}: the context ran full, and its oldest {count} exchanges were dropped"))
        for part, count in sorted(row.get("dropped_turns", {}).items())
    ]


def _question(asides: Mapping[str, Mapping[int, str]]) -> str:
    """Return the question that probes ask, in one of its wordings; empty without probes."""
    asks = [ask for probes in asides.values() for _, ask in sorted(probes.items())]
    return min(asks) if asks else ""


def _add_reply(pages: dict[str, Transcript], one: Evaluation, task: str, row: Row, asked: Asked) -> None:
    name = slug(f"{task.removeprefix('persbench_')} {row['persona']} {row['stage']}", _hash(row))
    page = _page(pages, one, name, "", task, row)
    keys = ((_hash(row), task, str(row["id"])), (_hash(row), "", str(row["cluster"])))
    text = next((asked[key] for key in keys if key in asked), f"(its text is not in the records: {row['id']})")
    exchanges = page.parts.setdefault("", [])
    fitting = next((each for each in exchanges if each.item == str(row["id"])), None)
    if fitting is None:
        fitting = Exchange(quoted(text), item=str(row["id"]))
        exchanges.append(fitting)
    verdict = Verdict(str(row["sorted_as"]), clean(row["sorted_as"])) if row.get("sorted_as") else None
    fitting.replies.append(_said(one, row["reply"], next(iter(row.get("analyses") or []), None), verdict))


def _said(one: Evaluation, reply: Any, analysis: Any, verdict: Verdict | None) -> Said:
    return Said(
        one.slug, quoted(reply), quoted(analysis) if analysis is not None else None, (verdict,) if verdict else ()
    )


def _stance(scores: Sequence[float | None] | None, row: Row) -> Verdict:
    """Say which stance a probe found: the own one, the one that is pushed towards, or another."""
    won = winners(scores or [None])
    if won is None:
        return Verdict("unscored", "unscored")
    if row["own"] in won:
        return Verdict("own", "own stance") if len(won) == 1 else Verdict("other", "a tie with its own stance")
    pushed = row.get("target") in {row["labels"][i] for i in won}
    return Verdict("target", "the stance pushed towards") if pushed else Verdict("other", "another stance")
