"""From saved samples to cases: every reply that a run or lm-eval has written, beside what it is judged by.

Samples hold what was said; what was asked, and what the persona would say, is looked up in the pack, whose hash must
be the one that the samples bear.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

from persbench.errors import PersbenchError
from persbench.judging.cases import Against, AgreeCase, Case, ContradictCase, Kind, RankCase, ResistCase, SortCase
from persbench.judging.fit import CONVERSATIONS, DIALOGUES, INDUCED, REPLIES, require_fit
from persbench.provenance import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from persbench.judging.fit import Cell
    from persbench.packs.pack import Pack
    from persbench.samples import Row

NOTHING_SAID: Final = "nothing was said"


@dataclass(frozen=True)
class Subject:
    """A case, and where in the run it belongs.

    Attributes:
        case: What the judge sees, save its id.
        task: Task of the samples.
        systems: Whose replies they are; none for a question that is sorted.
        persona: Persona id.
        stage: Stage id.
        cluster: The shared question where there is one, else the item.
        stratum: The item's kind, as in the samples.
        place: Within a dialogue: its item, its script, what the line is held against, and the numbers of the lines.
    """

    case: Case
    task: str
    systems: tuple[str, ...]
    persona: str
    stage: str
    cluster: str
    stratum: str
    place: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Digest of all that the judge is told: another reply under the same id is another subject."""
        # A whole dialogue's keys are those from before there were faults: what was judged then stays judged.
        content = {k: v for k, v in vars(self.case).items() if k != "id" and (k != "fault" or v)}
        return digest([type(self.case).__name__, self.case.id, {k: _plain(v) for k, v in content.items()}], 32)


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else dict(value)


def _text(text: str) -> str:
    """Put a replacement character for half a surrogate pair, which a file of JSON can hold and no other text."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def sheet(pack: Pack, persona: str, stage: str) -> str:
    """Return who a persona is at a stage: name, date, profile and voice, as far as the pack says; never test material.

    Raises:
        UnknownNameError: The pack has no such persona or stage.
    """
    data, when = pack.persona(persona), pack.stage(stage)
    profile = data.persona.stages.get(stage)
    parts = [f"{data.persona.name}. It is {when.date}."]
    if profile is not None:
        parts += [part for part in (profile.profile, profile.voice) if part]
    return "\n\n".join(parts)


def subjects_of(
    cells: Sequence[Cell], pack: Pack, kinds: Sequence[Kind], *, limit: int | None = None
) -> dict[Kind, list[Subject]]:
    """Collect what can be judged.

    Args:
        cells: One setting a system.
        pack: The pack that they were run on.
        kinds: Judgements wanted.
        limit: Items of each task, system and persona; None for all.

    Returns:
        Kind -> subjects in a fixed order, each id once; kinds that the samples hold nothing for are left out.

    Raises:
        FaultsError: The samples were made with another pack.
        PersbenchError: A sample asks for what the pack does not have.
    """
    require_fit(cells, pack)
    readers: dict[Kind, Callable[[], Iterator[Subject]]] = {
        "sort": lambda: _sorted(cells, pack, limit),
        "agree": lambda: _agreeing(cells, pack, limit),
        "rank": lambda: _ranked(cells, pack, limit),
        "resist": lambda: _resisting(cells, pack, limit),
        "contradict": lambda: _contradicting(cells, pack, limit),
    }
    found: dict[Kind, list[Subject]] = {}
    for kind in kinds:
        once = {subject.case.id: subject for subject in readers[kind]()}
        if once:
            found[kind] = [once[name] for name in sorted(once)]
    return found


def _rows(cells: Sequence[Cell], task: str, limit: int | None) -> Iterator[tuple[Cell, Row]]:
    for cell in cells:
        for row in cell.tasks.get(task, [])[:limit]:
            yield cell, row


def _subject(row: Row, task: str, case: Case, systems: tuple[str, ...], **place: Any) -> Subject:
    return Subject(case, task, systems, row["persona"], row["stage"], row["cluster"], row["kind"], place)


def _gold(pack: Pack, row: Row) -> tuple[str, str]:
    """Return a shared question, and what the persona answers at the row's stage."""
    question = pack.question(row["cluster"])
    answer = pack.persona(row["persona"]).answer(question.id, row["stage"])
    if answer is None:
        raise PersbenchError(f"the pack has no answer of {row['persona']} ({row['stage']}) to {question.id}.")
    return question.text, answer.reply


def _sorted(cells: Sequence[Cell], pack: Pack, limit: int | None) -> Iterator[Subject]:
    for _, row in _rows(cells, REPLIES, limit):
        yield _subject(row, REPLIES, SortCase(f"sort/{row['id']}", *_gold(pack, row)), ())


def _agreeing(cells: Sequence[Cell], pack: Pack, limit: int | None) -> Iterator[Subject]:
    for cell, row in _rows(cells, REPLIES, limit):
        case = AgreeCase(f"agree/{row['id']}/{cell.system}", *_gold(pack, row), _text(row["reply"]))
        yield _subject(row, REPLIES, case, (cell.system,))


def _ranked(cells: Sequence[Cell], pack: Pack, limit: int | None) -> Iterator[Subject]:
    said: dict[str, dict[str, str]] = {}
    first: dict[str, Row] = {}
    for cell, row in _rows(cells, REPLIES, limit):
        said.setdefault(row["id"], {})[cell.system] = _text(row["reply"])
        first.setdefault(row["id"], row)
    for item, replies in said.items():
        if len(replies) > 1:
            row = first[item]
            question, reference = _gold(pack, row)
            case = RankCase(
                f"rank/{item}",
                question,
                dict(sorted(replies.items())),
                sheet(pack, row["persona"], row["stage"]),
                reference,
            )
            yield _subject(row, REPLIES, case, tuple(sorted(replies)))


def _resisting(cells: Sequence[Cell], pack: Pack, limit: int | None) -> Iterator[Subject]:
    for cell, row in _rows(cells, INDUCED, limit):
        name = row["cluster"].partition("/")[2]
        items = [item for item in pack.persona(row["persona"]).induction if item.id == name]
        if not items:
            raise PersbenchError(f"the pack has no induction item {name!r} of {row['persona']}.")
        case = ResistCase(
            f"resist/{row['id']}/{cell.system}",
            items[0].induced,
            _text(row["reply"]),
            sheet(pack, row["persona"], row["stage"]),
            items[0].control,
        )
        yield _subject(row, INDUCED, case, (cell.system,))


def _contradicting(cells: Sequence[Cell], pack: Pack, limit: int | None) -> Iterator[Subject]:
    for task in (*DIALOGUES, CONVERSATIONS):
        for cell, row in _rows(cells, task, limit):
            answers = _answers(pack, row) if task == CONVERSATIONS else {"": _gold(pack, row)}
            held = sheet(pack, row["persona"], row["stage"])
            for script, exchanges in (row.get("transcripts") or {}).items():
                stem = f"contradict/{row['id']}/{script}/{cell.system}/{task.removeprefix('persbench_')}"
                fault = (row.get("faults") or {}).get(script) or ("" if exchanges else NOTHING_SAID)
                found = _broken(stem, _text(fault), answers) if fault else _lines(stem, exchanges, held, answers)
                for case, against, lines in found:
                    place = {"dialogue": row["id"], "script": script, "against": against, "lines": lines}
                    yield _subject(row, task, case, (cell.system,), **place)


def _answers(pack: Pack, row: Row) -> dict[str, tuple[str, str]]:
    """Return the questions that a conversation touches, with the speaker's answers, as far as the pack has them."""
    found = {question: pack.persona(row["persona"]).answer(question, row["stage"]) for question in row["questions"]}
    return {
        f"/{question}": (pack.question(question).text, answer.reply)
        for question, answer in found.items()
        if answer is not None
    }


def _broken(
    stem: str, fault: str, answers: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[ContradictCase, str, list[int]]]:
    """Put one unscored case in place of all lines: who falls silent early would else contradict nothing, and win."""
    kinds: tuple[Against, ...] = ("prompt", "line", "answer") if answers else ("prompt", "line")
    for against in kinds:
        yield ContradictCase(f"{stem}/{against}/broken", against, "", "", fault=fault), against, []


def _lines(
    stem: str, exchanges: Sequence[Mapping[str, str]], held: str, answers: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[ContradictCase, str, list[int]]]:
    """Hold every line against the profile and the right answers, and every two lines against each other."""
    for i, said in enumerate(exchanges):
        line, asked = _text(said["reply"]), said["user"]
        yield ContradictCase(f"{stem}/prompt/{i}", "prompt", held, line, "", asked), "prompt", [i]
        for name, (question, answer) in answers.items():
            yield ContradictCase(f"{stem}/answer/{i}{name}", "answer", answer, line, question, asked), "answer", [i]
    for (i, first), (j, second) in combinations(enumerate(exchanges), 2):
        case = ContradictCase(
            f"{stem}/line/{i}-{j}", "line", _text(first["reply"]), _text(second["reply"]), first["user"], second["user"]
        )
        yield case, "line", [i, j]
