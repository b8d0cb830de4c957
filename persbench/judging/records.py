"""Records of judging: what a judge said of a run, whole files beside the run's own records, read back with every fault.

RUN/judged/<judge>-<digest>/<kind>.json
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from persbench.errors import Fault, PersbenchError
from persbench.judging.cases import KINDS, Kind
from persbench.judging.intact import is_whole
from persbench.judging.verdicts import Ranking, Verdict, consistent
from persbench.provenance import signature
from persbench.records import write_atomic
from persbench.scoring.consistency import Share, share_consistent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from persbench.judging.judge import Judge
    from persbench.judging.reading import Subject

FORMAT: Final = 1
FOLDER: Final = "judged"


@dataclass(frozen=True)
class JudgedRow:
    """One judgement as it is kept.

    Attributes:
        key: Digest of all that the judge was told.
        case: Id of the case.
        task: Task of the samples.
        systems: Whose replies were judged; none for a question that was sorted.
        persona: Persona id.
        stage: Stage id.
        cluster: For intervals: the shared question where there is one, else the item.
        stratum: The item's kind.
        place: Within a dialogue: `dialogue`, `script`, `against` and `lines`; else empty.
        value: Class, score, or for a ranking name -> mean place; None where it is unscored.
        reason: Why it is unscored, else None.
        unscored: The same as a word (see `Verdict.kind`); empty if it is scored.
        left_out: Of a ranking: name -> why its reply was not shown.
        orders: Every question that was asked: `shown`, `value`, `reason`, raw `answers`, `prompt_tokens`,
            `completion_tokens`, `cached`, and `call`, the key of the call (earlier versions kept none).
    """

    key: str
    case: str
    task: str
    systems: tuple[str, ...]
    persona: str
    stage: str
    cluster: str
    stratum: str
    place: dict[str, Any]
    value: str | int | dict[str, float] | None
    reason: str | None
    unscored: str
    left_out: dict[str, str]
    orders: list[dict[str, Any]]

    @property
    def spent(self) -> dict[str, tuple[int, int]]:
        """Call -> tokens of its prompts and of its answers: two rows may rest on one and the same call."""
        return {
            order.get("call") or f"{self.key}/{number}": (order["prompt_tokens"], order["completion_tokens"])
            for number, order in enumerate(self.orders)
        }


@dataclass(frozen=True)
class JudgedRecord:
    """All judgements of one kind by one judge on one run.

    Attributes:
        kind: Kind of judgement.
        judge: `id`, `name`, `annotator`, `prompt_hash`, `prompts` (name -> version), `orders`, `longest`, `signature`
            (as facts).
        pack: World, version and hash of the pack.
        cells: `system/persona/task` -> digest of the replies that were judged (`said.said_by`); earlier versions kept
            `system/persona`, and no digest of replies.
        cases: How many cases the run holds; more than rows if only a part has been judged.
        rows: In the order of their ids.
        cost: Of all calls, each once, by the prices in annotator.yaml: `amount` and `currency`; None if they are not
            known.
        runs: What each command did: `started`, `seconds`, `asked`, `cached`, `tokens`, `faults`, `retries`.
        versions: Of persbench and what stands below it.
        built_by: Id of the annotator that wrote the pack, where `persbench build` made it; else None.
        format: Of this layout.
    """

    kind: Kind
    judge: dict[str, Any]
    pack: str
    cells: dict[str, str]
    cases: int
    rows: tuple[JudgedRow, ...]
    cost: dict[str, Any] | None
    runs: list[dict[str, Any]]
    versions: dict[str, str]
    built_by: str | None = None
    format: int = FORMAT

    @property
    def signature(self) -> str:
        """What is printed beside every figure of this record."""
        return signature(self.judge["signature"] | {"pack": self.pack})

    @property
    def tokens(self) -> tuple[int, int]:
        """Tokens of all prompts and of all answers, each call once."""
        return tokens_of(self.rows)

    @property
    def unscored(self) -> int:
        """Cases of the run without a value: unscored, or not judged yet."""
        return self.cases - sum(row.value is not None for row in self.rows)


def tokens_of(rows: Iterable[JudgedRow]) -> tuple[int, int]:
    """Return the tokens of all prompts and of all answers of rows, each call once."""
    calls = {call: tokens for row in rows for call, tokens in row.spent.items()}
    return sum(prompt for prompt, _ in calls.values()), sum(answer for _, answer in calls.values())


def judge_facts(judge: Judge) -> dict[str, Any]:
    """Return what a record says of its judge."""
    return {
        "id": judge.id,
        "name": judge.name,
        "annotator": judge.annotator.id,
        "prompt_hash": judge.prompt_hash,
        "prompts": judge.versions,
        "orders": judge.orders,
        "longest": judge.longest,
        "signature": judge.facts,
    }


def row_of(subject: Subject, said: Verdict | Ranking) -> JudgedRow:
    """Make a row of a subject and what came of it."""
    value = said.places if isinstance(said, Ranking) else said.value
    return JudgedRow(
        key=subject.key,
        case=subject.case.id,
        task=subject.task,
        systems=subject.systems,
        persona=subject.persona,
        stage=subject.stage,
        cluster=subject.cluster,
        stratum=subject.stratum,
        place=dict(subject.place),
        value=dict(value) if isinstance(value, Mapping) else value,
        reason=said.reason,
        unscored=said.kind,
        left_out=dict(said.left_out) if isinstance(said, Ranking) else {},
        orders=[order.as_row() for order in said.orders],
    )


def record_path(run: Path, judge: Judge, kind: Kind) -> Path:
    """Return where the judgements of a kind stand."""
    return run / FOLDER / judge.folder_name / f"{kind}.json"


def save_judged(path: Path, record: JudgedRecord) -> None:
    """Write a record whole or not at all, one line a row.

    Raises:
        PersbenchError: It cannot be written; what stood there before is kept.
    """
    content = asdict(record)
    rows = ",\n".join(_dump(row) for row in content.pop("rows"))
    fields = [f"{_dump(name)}: {_dump(value)}" for name, value in content.items()]
    write_atomic(path, ("{\n" + ",\n".join([*fields, f'"rows": [\n{rows}\n]']) + "\n}\n").encode())


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def load_judged_record(path: Path) -> JudgedRecord:
    """Read a record.

    Raises:
        PersbenchError: Missing, half-written, of another format, or no record; says what to do.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
        if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("kind") not in KINDS:
            raise ValueError("not a record of judging of this version")  # noqa: TRY301 - one message for all
        rows = tuple(JudgedRow(**row | {"systems": tuple(row["systems"])}) for row in content["rows"])
        record = JudgedRecord(**content | {"rows": rows})
        if not is_whole(record):
            raise ValueError("a part of it is missing or of another kind")  # noqa: TRY301
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise PersbenchError(
            f"{path}: not a readable record of judging ({error}). Delete it and repeat `persbench judge`: answers are "
            "kept in the call cache, and nothing is asked twice."
        ) from error
    return record


def load_judged(run: Path) -> tuple[list[JudgedRecord], list[Fault]]:
    """Read all that judges have said of a run.

    Args:
        run: The folder of the run.

    Returns:
        The readable records, sorted by judge and kind, and a fault for every other file.
    """
    records: list[JudgedRecord] = []
    faults: list[Fault] = []
    for path in sorted(run.rglob(f"{FOLDER}/*/*.json")):
        if path.stem in KINDS:
            try:
                records.append(load_judged_record(path))
            except PersbenchError as error:
                faults.append(Fault(path.relative_to(run).as_posix(), None, str(error)))
    return records, faults


def consistency_shares(rows: Sequence[JudgedRow], against: str) -> dict[tuple[str, str, str, str], Share]:
    """Return how many verdicts of each dialogue find no contradiction.

    Args:
        rows: Of kind `contradict`.
        against: `prompt` (prompt-to-line), `line` (line-to-line) or `answer` (question and answer).

    Returns:
        (system, task, dialogue, script) -> its share, with its scored and unscored verdicts: dialogues weigh alike.
    """
    verdicts: dict[tuple[str, str, str, str], list[bool | None]] = {}
    for row in rows:
        if row.place.get("against") == against:
            key = (row.systems[0], row.task, row.place["dialogue"], row.place["script"])
            verdicts.setdefault(key, []).append(consistent(cast("str | None", row.value)))
    return {key: share_consistent(found) for key, found in sorted(verdicts.items())}
