"""RoleBench (RoleLLM, arXiv 2310.00746): JSON lines with role, question, generated; profiles as one JSON object.

Questions of the test split and the first reply of each role become shared questions without stances and their answers.
A reply of the training split about the role itself becomes material of kind speech: the source has neither the analysis
that a row of train.jsonl holds nor the plain answer of a row of stylized.jsonl, and none is made up.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from persbench.errors import PersbenchError
from persbench.importers.form import NO_DATES, Format, Options, World, one_stage, sheet
from persbench.importers.naming import persona_ids, row_id, text_digest, text_id, with_hint, words_digest
from persbench.importers.writer import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persbench.importers.reading import Row
    from persbench.importers.source import Source
    from persbench.importers.writer import PackWriter

LANGUAGES: Final = {"eng": "en", "zh": "zh"}  # end of a folder's name in the published data set, to the language
BASELINE: Final = "rolegpt_baseline"
GENERAL: Final = "general"


class _Import:
    """One import: who has a profile, and what the test split holds."""

    def __init__(self, source: Source, writer: PackWriter, stage: str) -> None:
        self.source, self.writer, self.stage = source, writer, stage
        self.profiles: dict[str, str] = {}
        self.ids: dict[str, str] = {}
        self.tested: set[str] = set()
        self.seen: dict[str, str] = {}

    def read_profiles(self, file: str) -> None:
        """Write a persona for every role with a description."""
        described = self.source.document(file)
        for role, text in described.items():
            if isinstance(text, str) and text.strip() and role.strip():
                self.profiles[role] = text
            else:
                self.source.findings.drop("role with an empty profile, or with none that is a text", file, role)
        ids = persona_ids(self.profiles)
        for role, text in self.profiles.items():
            if self.writer.persona(sheet(ids[role], role, {self.stage: text}), Origin(file)):
                self.ids[role] = ids[role]

    def rows(self, file: str) -> Iterator[tuple[Origin, str, str, str, Row]]:
        """Yield (origin, role, question, first reply, row) of every row that is whole and of a known role."""
        for line, row in self.source.rows(file):
            origin = Origin(file, line)
            role, question, replies = row.get("role"), row.get("question"), row.get("generated")
            if not isinstance(role, str) or not isinstance(question, str) or not isinstance(replies, list):
                self.source.findings.drop("row without role, question or a list of replies", str(origin))
            elif role not in self.ids:
                self.source.findings.drop(
                    "row of a role without profile", str(origin), with_hint(role, tuple(self.ids))
                )
            elif not question.strip():
                self.source.findings.drop("empty question", str(origin), role)
            elif not (texts := [text for text in replies if isinstance(text, str) and text.strip()]):
                self.source.findings.drop("no reply, or an empty one", str(origin), role)
            elif self._is_new(origin, role, question, texts[0]):
                if len(texts) > 1:
                    self.source.findings.notice(
                        "further replies to the same question: the first is taken", str(origin), role
                    )
                yield origin, role, question, texts[0], row

    def _is_new(self, origin: Origin, role: str, question: str, reply: str) -> bool:
        key = text_digest("\x1f".join((role, question, reply, str(_is_test(origin.file)))))
        first = self.seen.setdefault(key, str(origin))
        if first != str(origin):
            self.source.findings.drop("the same row again (settings of the data set overlap)", str(origin), first)
        return first == str(origin)

    def test_file(self, file: str) -> None:
        """Take questions and answers."""
        topic = _subset(file)
        for origin, role, question, reply, row in self.rows(file):
            self.tested |= {words_digest(role, question), words_digest(reply)}
            asked = text_id("q", question.strip())
            kind = row.get("type")
            known = self.writer.has("questions", asked)
            entry = {"id": asked, "topic": kind if isinstance(kind, str) and kind.strip() else topic, "text": question}
            if known or self.writer.row("questions", entry, origin):
                answer = {"question": asked, "stage": self.stage, "reply": reply}
                self.writer.row("answers", answer, origin, self.ids[role])

    def train_file(self, file: str) -> None:
        """Take what a role says of itself as speech; replies to general instructions have no place in a pack."""
        general = _subset(file) == GENERAL
        for origin, role, question, reply, row in self.rows(file):
            if self.tested & {words_digest(role, question), words_digest(reply)}:
                self.source.findings.drop("training row that stands in the test split too", str(origin), role)
            elif general or row.get("type") == GENERAL:
                why = "training row on a general instruction: no plain answer beside it"
                self.source.findings.drop(why, str(origin), role)
            else:
                name = row_id(self.ids[role], text_digest(f"{question}\x1f{reply}", 12))
                entry = {"id": name, "stage": self.stage, "kind": "speech", "text": reply}
                self.writer.row("materials", entry, origin, self.ids[role])


def load(source: Source, writer: PackWriter, options: Options) -> World:
    """Read the data set as published, or any folder with a file of profiles and files of rows.

    Raises:
        PersbenchError: No profiles or no rows, or several languages and none is chosen.
    """
    language = _language(source, options)
    stage = one_stage(options, "story", "the time of the story")
    profiles = source.beside(options.profiles) if options.profiles else _profiles(source)
    files = [name for name in source.files if name.endswith(".jsonl") and name != profiles]
    done = _Import(source, writer, stage.id)
    done.read_profiles(profiles)
    tests = [name for name in files if _is_test(name)]
    trains = [name for name in files if _is_rows(name) and not _is_test(name)]
    if not tests and not trains:
        raise PersbenchError(f"{source.root} holds no .jsonl file of rows with role, question and generated.")
    for name in source.files:
        if name not in (profiles, *tests, *trains):
            source.aside(name, "neither profiles nor rows" if BASELINE not in name else "a baseline model's replies")
    for name in tests:
        done.test_file(name)
    for name in trains:
        done.train_file(name)
    if not options.stages:
        writer.findings.note(NO_DATES)
    setting = "Roles of films, series and books, each at one time of life, imported from RoleBench's files."
    return World(setting, (stage,), language)


def _language(source: Source, options: Options) -> str:
    """Choose among the languages of the published data set, and set the files of the others aside."""
    there = {end for name in source.files for part in PurePosixPath(name).parts[:-1] if (end := _ending(part))}
    wanted = [end for end, language in LANGUAGES.items() if options.language in (language, end)]
    if len(there) > 1 and not wanted:
        listed = " or ".join(f"--language {LANGUAGES[end]}" for end in sorted(there))
        raise PersbenchError(f"{source.root} holds several languages, and a pack speaks one: choose {listed}.")
    chosen = wanted[0] if len(there) > 1 else next(iter(there), "eng")
    for name in list(source.files):
        ends = {end for part in PurePosixPath(name).parts[:-1] if (end := _ending(part))}
        if ends and chosen not in ends:
            source.aside(name, "another language")
            del source.files[name]
    return LANGUAGES.get(options.language or chosen) or str(options.language)


def _ending(part: str) -> str:
    end = part.rpartition("-")[2]
    return end if end in LANGUAGES else ""


def _profiles(source: Source) -> str:
    found = [name for name in source.files if PurePosixPath(name).name in ("desc.json", "profiles.json")]
    if len(found) != 1:
        said = f"holds {len(found)} files of profiles ({', '.join(found)})" if found else "holds no desc.json"
        raise PersbenchError(
            f"{source.root} {said}: name the JSON object from role to description with --profiles FILE."
        )
    return found[0]


def _is_rows(name: str) -> bool:
    path = PurePosixPath(name)
    return BASELINE not in path.stem and not any(part.startswith(("profiles", "instructions")) for part in path.parts)


def _is_test(name: str) -> bool:
    return _is_rows(name) and "test" in re.split(r"[^a-z0-9]+", PurePosixPath(name).stem.lower())


def _subset(name: str) -> str:
    """Return `general` or `role_specific`: the folder that a file lies in; the file's own name elsewhere."""
    path = PurePosixPath(name)
    label = "".join(c for c in (path.parts[-2] if len(path.parts) > 1 else path.stem) if c.isprintable())
    return label.strip() or "none"


FORMAT: Final = Format("RoleBench", "its card says Apache 2.0", load, ("profiles",))
