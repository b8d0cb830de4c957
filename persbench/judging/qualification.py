"""Whether a judge's scores count: the result of its exams, kept as a file for whoever shows its scores."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter

from persbench.errors import Fault, PersbenchError
from persbench.judging.authored import EXAMS
from persbench.judging.measures import Exam  # noqa: TC001 - pydantic reads it while the program runs
from persbench.provenance import digest
from persbench.records import write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from persbench.judging.cases import Kind

FORMAT: Final = 1
FILE_NAME: Final = "qualification.json"
FOLDER: Final = "qualifications"
BUILD_REPORT: Final = "build/build.json"


@dataclass(frozen=True)
class Standing:
    """Whether a judge may be believed in one kind of judgement.

    Attributes:
        qualified: It passed every exam of this kind that the pack has pairs for.
        why: What is against it, in a sentence without an end stop; empty if it qualified.
    """

    qualified: bool
    why: str = ""


NOT_EXAMINED: Final = Standing(False, "was not examined on this pack")
TOOK_PART: Final = "the judge is the model that wrote this pack, training data included: it judges its own writing"


@dataclass(frozen=True)
class Qualification:
    """The result of examining one judge on one pack.

    Attributes:
        judge: `id`, `name`, `annotator` and `signature` (as text).
        pack: `id`, `version` and `hash`.
        settings: `personas`, `limit`, `repeat`, `seed` and `embedder` (its fingerprint) of the newest examination; each
            exam has its own beside it.
        exams: Kind by kind, of all examinations together (`merged`).
        built_by: Id of the annotator that wrote the pack, where `persbench build` made it; else None.
        tokens: Of all prompts and answers of the newest examination.
        cost: Likewise, by the prices in annotator.yaml; None if they are not known.
        made: When that was, in UTC.
        versions: Of persbench and what stands below it.
        format: Of this layout.
    """

    judge: dict[str, str]
    pack: dict[str, str]
    settings: dict[str, Any]
    exams: tuple[Exam, ...]
    built_by: str | None
    tokens: int
    cost: float | None
    made: str
    versions: dict[str, str]
    format: int = FORMAT

    @property
    def signature(self) -> str:
        """What is printed beside every figure of it."""
        pack = f"{self.pack['id']}-{self.pack['version']}@{self.pack['hash'][:12]}"
        embedders = sorted({exam.embedder for exam in self.exams if exam.embedder})
        return f"{self.judge['signature']}|pack:{pack}|embedder:{'+'.join(embedders) or self.settings.get('embedder')}"

    def standing(self, kind: Kind) -> Standing:
        """Return whether the judge qualified in a kind of judgement."""
        exams = [exam for exam in self.exams if exam.kind == kind]
        if not exams:
            return NOT_EXAMINED
        failures = [f"{exam.family}: {exam.failure}" for exam in exams if exam.failure]
        if failures:
            return Standing(False, f"does not beat judges that read nothing ({'; '.join(failures)})")
        return Standing(True)


def merged(old: Qualification, new: Qualification) -> Qualification:
    """Put two examinations of one judge on one pack together: each exam as it was taken on more pairs, else the newer.

    A part that is examined again later, such as a few pairs or one kind, takes the place of nothing that is more.
    """
    exams = {(exam.kind, exam.family): exam for exam in old.exams}
    for exam in new.exams:
        before = exams.get((exam.kind, exam.family))
        if before is None or exam.pairs >= before.pairs:
            exams[exam.kind, exam.family] = exam
    order = [(kind, family) for kind, families in EXAMS.items() for family in families]
    return replace(
        new,
        exams=tuple(exams[name] for name in order if name in exams),
        built_by=new.built_by or old.built_by,
    )


def qualification_path(folder: Path, judge: str, pack_hash: str) -> Path:
    """Return where the qualification of a judge on a pack stands below a folder.

    Args:
        folder: The user's cache, or one that was named.
        judge: Id of the judge.
        pack_hash: Hash of the pack, whole.
    """
    return folder / FOLDER / digest([judge, pack_hash], 16) / FILE_NAME


def save_qualification(path: Path, found: Qualification) -> None:
    """Write a qualification whole or not at all.

    Raises:
        PersbenchError: It cannot be written.
    """
    write_atomic(path, (json.dumps(asdict(found), ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode())


def add_qualification(path: Path, found: Qualification) -> Qualification:
    """Write an examination together with what stands there already; what cannot be read is replaced.

    Returns:
        Both together.

    Raises:
        PersbenchError: It cannot be written.
    """
    with suppress(PersbenchError):
        found = merged(load_qualification(path), found)
    save_qualification(path, found)
    return found


def load_qualification(path: Path) -> Qualification:
    """Read a qualification.

    Raises:
        PersbenchError: Missing, half-written, of another format, or none; says what to do.
    """
    try:
        found = TypeAdapter(Qualification).validate_json(path.read_bytes())
        if found.format != FORMAT:
            raise ValueError(f"format {found.format}, expected {FORMAT}")  # noqa: TRY301 - one message for all
        if {"id", "name", "annotator", "signature"} - found.judge.keys() or {
            "id",
            "version",
            "hash",
        } - found.pack.keys():
            raise ValueError("it does not say whose it is")  # noqa: TRY301
        found = replace(found, exams=tuple(_whole(exam, found.settings) for exam in found.exams))
        if unknown := [exam.kind for exam in found.exams if exam.family not in EXAMS[exam.kind]]:
            raise ValueError(f"{unknown[0]} has no such exam")  # noqa: TRY301
    except (OSError, ValueError) as error:
        told = " ".join(str(error).split())[:300]
        raise PersbenchError(
            f"{path}: not a readable qualification ({told}). Delete it and repeat `persbench judge qualify`: answers "
            "are kept in the call cache."
        ) from error
    return found


def _whole(exam: Exam, settings: Mapping[str, Any]) -> Exam:
    """Write into an exam of an earlier version what stood beside all of them."""
    if exam.embedder:
        return exam
    limit, personas = settings.get("limit"), settings.get("personas")
    return replace(
        exam,
        limit=limit if isinstance(limit, int) and limit == exam.pairs else None,
        personas=tuple(map(str, personas)) if isinstance(personas, list | tuple) else (),
        embedder=str(settings.get("embedder") or ""),
    )


def load_qualifications(*folders: Path) -> tuple[list[Qualification], list[Fault]]:
    """Read every qualification below folders.

    Args:
        folders: Those that are not there hold none. Results for one judge and pack are put together (`merged`).

    Returns:
        The readable ones, and a fault for every other file.
    """
    found: dict[tuple[str, str], Qualification] = {}
    faults: list[Fault] = []
    for path in (path for folder in folders for path in sorted(folder.rglob(FILE_NAME))):
        try:
            one = load_qualification(path)
        except PersbenchError as error:
            faults.append(Fault(path.name, None, str(error)))
            continue
        key = (one.judge["id"], one.pack["hash"])
        other = found.get(key)
        found[key] = one if other is None else merged(*sorted((other, one), key=lambda each: each.made))
    return list(found.values()), faults


def builder_of(pack: Path) -> str | None:
    """Return the id of the annotator that wrote a built pack; None for a pack that `persbench build` did not make."""
    try:
        report = json.loads((pack / BUILD_REPORT).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    builder = report.get("annotator") if isinstance(report, dict) else None
    return builder if isinstance(builder, str) else None


def is_same_model(annotator: str, other: str) -> bool:
    """Return whether two annotators' ids name one model, whatever the endpoint, the settings and the way it is run."""
    return _model(annotator) == _model(other)


def _model(annotator: str) -> str:
    """The last part of a model's name: `openai:org/Name@url#...` and `local:Name@...|...` are both `name`."""
    return annotator.partition(":")[2].partition("@")[0].rsplit("/", 1)[-1].casefold()
