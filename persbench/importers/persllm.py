"""PersLLM's annotation (arXiv 2407.12393): six-line items, training dialogues as JSON lines, preferences of four lines.

Items of the training split become rows of train.jsonl, source units materials, items of the test split shared questions
without stances and their answers. Of a preference the chosen reply is a training row too; preference pairs themselves
are mined from train.jsonl, so a rejected reply is only looked up.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from persbench.errors import PersbenchError
from persbench.importers.form import NO_DATES, Format, Options, World, sheet
from persbench.importers.naming import persona_ids, row_id, text_id, words_digest
from persbench.importers.persllm_files import (
    STAGES,
    TIME_LABEL,
    annotation_file,
    items,
    labelled,
    one_version,
    preferences,
    told_stages,
)
from persbench.importers.persllm_materials import Materials
from persbench.importers.writer import Origin
from persbench.models.trained_form import ANALYSIS_MARK, RESPONSE_MARK, SplitReply, split_reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.importers.persllm_files import AnnotationFile
    from persbench.importers.reading import Row
    from persbench.importers.source import Source
    from persbench.importers.writer import PackWriter
    from persbench.packs.schema import Pattern, Stage

PAIR: Final = 2
_MARK: Final = re.compile(r"\[(analysis|response)\]", re.IGNORECASE)


class _Import:
    """One import: personas with their material, and what stands in the test split."""

    def __init__(self, source: Source, writer: PackWriter, stages: tuple[Stage, ...], ids: dict[str, str]) -> None:
        self.source, self.writer, self.stages, self.ids = source, writer, stages, ids
        self.lived: dict[str, list[str]] = {}
        order = tuple(stage.id for stage in stages)
        self.materials = {name: Materials(writer, persona, order) for name, persona in ids.items()}
        self.tested: set[str] = set()
        self.learnt: set[str] = set()
        self.responses: set[str] = set()

    def paragraphs(self, file: AnnotationFile, stage: str) -> None:
        """Take a file of source paragraphs, one a line."""
        for line, text in self.source.lines(file.name):
            self.materials[file.persona].add(text, stage, file.material, Origin(file.name, line))

    def annotation(self, file: AnnotationFile, stage: str) -> None:
        """Take a file of six-line items."""
        findings = self.source.findings
        for item in items(self.source.lines(file.name), file.name, findings):
            materials, unknown = self.materials[file.persona].of_item(item, stage)
            if unknown:
                findings.notice("retrieved passages that are no source unit", str(item.origin), f"{unknown} pieces")
            name = f"{file.name.rsplit('/', 1)[-1].rsplit('.', 1)[0]}-{item.number}"
            self._dialogue(file, stage, name, item.question, item.response, item.origin, materials)

    def dialogues(self, file: AnnotationFile, stage: str | None) -> None:
        """Take a training file of JSON lines: {"id", "data": [user, assistant, ...]}."""
        for line, row in self.source.rows(file.name):
            origin = Origin(file.name, line)
            turns = self._turns(row, origin)
            if not turns:
                continue
            told, asked = labelled(turns[0], self.stages)
            own, fault = told or stage, ""
            if told not in self.lived[file.persona] if told else TIME_LABEL.match(asked):
                fault = "dialogue with the label of a stage that no file of its persona tells (--stages names labels)"
            elif own is None:
                fault = "dialogue of no stage that its file's name or a label tells"
            if fault or own is None:
                self.source.findings.drop(fault, str(origin), row["id"])
                continue
            if len(turns) > PAIR:
                why = "dialogue of several turns: the first is taken, later ones need what was said before"
                self.source.findings.notice(why, str(origin), row["id"])
            self._dialogue(file, own, str(row["id"]), asked, turns[1], origin, [])

    def general(self, file: AnnotationFile) -> None:
        """Take ordinary dialogues."""
        for line, row in self.source.rows(file.name):
            origin = Origin(file.name, line)
            if turns := self._turns(row, origin):
                messages = [{"role": ("user", "assistant")[i % PAIR], "content": text} for i, text in enumerate(turns)]
                entry = {"id": row_id("", row["id"]), "split": "test" if file.test else "train", "messages": messages}
                self.writer.row("general", entry, origin, own=row["id"])

    def preferences(self, file: AnnotationFile, stage: str) -> None:
        """Take the chosen replies of a preference file, and look the rejected ones up."""
        findings = self.source.findings
        for item in preferences(self.source.lines(file.name), file.name, findings):
            name = f"{file.name.rsplit('/', 1)[-1].rsplit('.', 1)[0]}-{item.number}"
            if self._key(file, stage, item.question, _split(item.chosen).response) not in self.learnt:
                self._dialogue(file, stage, name, item.question, item.chosen, item.origin, [])
            if words_digest(_split(item.rejected).response) not in self.responses:
                findings.drop("rejected reply that is no training row of any persona or stage", str(item.origin), name)

    def _turns(self, row: Row, origin: Origin) -> list[str]:
        data, own = row.get("data"), row.get("id")
        if isinstance(own, bool) or not isinstance(own, int | str):
            self.source.findings.drop("dialogue without an id", str(origin))
        elif not isinstance(data, list) or not all(isinstance(text, str) for text in data):
            self.source.findings.drop("dialogue without a list of turns", str(origin), own)
        elif not data or len(data) % PAIR:
            self.source.findings.drop("dialogue that does not end with a reply", str(origin), own)
        elif not all(text.strip() for text in data):
            self.source.findings.drop("empty question or response", str(origin), own)
        else:
            return data
        return []

    def _dialogue(
        self, file: AnnotationFile, stage: str, name: str, asked: str, said: str, origin: Origin, materials: list[str]
    ) -> None:
        """Write one question with its response: as an answer where it is of the test split, else as a training row."""
        findings, persona = self.source.findings, self.ids[file.persona]
        analysis, response = _split(said)
        if not asked or not response:
            findings.drop("empty question or response", str(origin), name)
            return
        if file.pattern is None:
            findings.notice("pattern that the file's name does not tell: taken as question", file.name, name)
        pattern: Pattern = file.pattern or "question"
        if file.test:
            self._answer(persona, stage, pattern, asked, response, origin, name)
            return
        key = self._key(file, stage, asked, response)
        if key in self.learnt:
            findings.drop("the same question and response again", str(origin), name)
        elif self.tested & {words_digest(asked), words_digest(response)}:
            findings.drop("training row whose question or response stands in the test split", str(origin), name)
        elif not analysis:
            findings.drop("training row without [Analysis]: train.jsonl holds one", str(origin), name)
        else:
            row: dict[str, Any] = {
                "id": row_id(persona, name), "prompt_id": text_id("p", asked), "pattern": pattern, "stage": stage,
                "prompt": asked, "analysis": analysis, "response": response, "materials": materials,
            }  # fmt: skip
            if self.writer.row("train", row, origin, persona, name):
                self.learnt.add(key)
                self.responses.add(words_digest(response))

    def _answer(
        self, persona: str, stage: str, pattern: str, asked: str, response: str, origin: Origin, name: str
    ) -> None:
        question = text_id("q", asked)
        self.tested |= {words_digest(asked), words_digest(response)}
        known = self.writer.has("questions", question)
        if known or self.writer.row("questions", {"id": question, "topic": pattern, "text": asked}, origin):
            self.writer.row("answers", {"question": question, "stage": stage, "reply": response}, origin, persona, name)

    @staticmethod
    def _key(file: AnnotationFile, stage: str, asked: str, response: str) -> str:
        return "\x1f".join((file.persona, stage, words_digest(asked, response)))


def _split(text: str) -> SplitReply:
    """Take a response apart; marks count in any case, as in the released scripts."""
    return split_reply(_MARK.sub(lambda m: ANALYSIS_MARK if m[1].lower() == "analysis" else RESPONSE_MARK, text))


def load(source: Source, writer: PackWriter, options: Options) -> World:
    """Read a persona's folder, or a folder of such folders.

    Raises:
        PersbenchError: There is no file of the annotation.
    """
    profiles = source.document(source.beside(options.profiles)) if options.profiles else {}
    option = set(source.used)
    owner = options.name or (source.root if source.root.is_dir() else source.root.absolute().parent).resolve().name
    known = tuple(stage.id for stage in options.stages) or STAGES
    found = [
        file for name in source.files if name not in option and (file := annotation_file(source, name, known, owner))
    ]
    files = one_version(source, found)
    for name in source.files:
        if name not in option and name not in {file.name for file in found}:
            source.aside(name, "no file of the annotation")
    names = list(dict.fromkeys(file.persona for file in files if file.kind != "general"))
    if not names:
        raise PersbenchError(
            f"{source.root} holds no file of PersLLM's annotation (.txt with lines of [question], .jsonl)."
        )
    stages = options.stages or told_stages(files)
    ids = persona_ids(names)
    done = _Import(source, writer, stages, ids)
    for name in names:
        done.lived[name] = _persona(writer, ids[name], name, stages, files, profiles)
    for name in profiles.keys() - set(names):
        source.findings.drop("profile of nobody in the annotation", "--profiles", name)
    _read(done, files)
    if not options.stages:
        writer.findings.note(NO_DATES)
    setting = "Personas with their dialogues at the stages of their lives, imported from files of PersLLM's annotation."
    return World(setting, stages, options.language or "en")


def _persona(
    writer: PackWriter, persona: str, name: str, stages: Sequence[Stage], files: Sequence[AnnotationFile], profiles: Row
) -> list[str]:
    """Write a persona, and return the stages that its files tell."""
    told = {file.stage for file in files if file.persona == name}
    own = [s.id for s in stages if s.id in told] if None not in told and told else [s.id for s in stages]
    profile = profiles.get(name)
    if not isinstance(profile, str) or not profile.strip():
        writer.findings.notice("persona without a profile: `prompt` says name and date alone", name)
        profile = None
    writer.persona(sheet(persona, name, dict.fromkeys(own, profile)), Origin(name))
    return own


def _read(done: _Import, files: Sequence[AnnotationFile]) -> None:
    """Read material first, then the test split, then what is learnt, the earlier stage before the later one."""
    order = {stage.id: place for place, stage in enumerate(done.stages)}
    steps = {"materials": 0, "annotation": 1, "dialogues": 2, "general": 3, "preferences": 4}

    def turn(file: AnnotationFile) -> tuple[bool, int, int, str]:
        is_material = file.kind == "materials"
        return not (is_material or file.test), steps[file.kind], order.get(file.stage or "", 0), file.name

    for file in sorted(files, key=turn):
        stage = file.stage or (done.stages[0].id if len(done.stages) == 1 else None)
        if file.kind == "general":
            done.general(file)
        elif file.kind == "dialogues":
            done.dialogues(file, stage)
        elif stage is None:
            done.source.aside(file.name, f"its name tells none of the stages {', '.join(order)}")
        elif file.kind == "materials":
            done.paragraphs(file, stage)
        elif file.kind == "annotation":
            done.annotation(file, stage)
        else:
            done.preferences(file, stage)


FORMAT: Final = Format(
    "PersLLM's annotation", "the code is under the MIT licence, the data names none", load, ("profiles", "name")
)
