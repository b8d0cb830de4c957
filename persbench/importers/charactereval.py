"""CharacterEval (arXiv 2401.01275): a JSON list of dialogues to be gone on with, and a JSON object of profiles.

A context is lines of `speaker: text`, and the character is to speak next. What it did say is no field of the source,
but contexts of one scene contain each other: where another one goes on with a line of the same character, that line is
the answer. The character's other lines become materials of kind speech.
"""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from persbench.errors import PersbenchError
from persbench.importers.form import NO_DATES, Format, Options, World, one_stage, sheet
from persbench.importers.naming import persona_ids, row_id, text_digest, with_hint, words_digest
from persbench.importers.writer import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from persbench.importers.reading import Row
    from persbench.importers.source import Source
    from persbench.importers.writer import PackWriter

COLONS: Final = ("：", ":")
DEPTH: Final = 8


class _Item(NamedTuple):
    """One item: `lines` are the lines of the context that are not empty."""

    origin: Origin
    id: str
    role: str
    lines: list[str]
    row: Row


class _Import:
    """One import: who has a profile, what was said next, and what serves as an answer."""

    def __init__(self, source: Source, writer: PackWriter, stage: str) -> None:
        self.source, self.writer, self.stage = source, writer, stage
        self.ids: dict[str, str] = {}
        self.said_next: dict[tuple[str, str], str] = {}  # role and digest of the dialogue so far
        self.golds: set[str] = set()

    def read_profiles(self, file: str) -> None:
        """Write a persona for every role with attributes."""
        described = {role: _profile(value) for role, value in self.source.document(file).items()}
        whole = {role: text for role, text in described.items() if text and role.strip()}
        for role in described.keys() - whole.keys():
            self.source.findings.drop("role with an empty profile", file, role)
        ids = persona_ids(whole)
        for role, text in whole.items():
            if self.writer.persona(sheet(ids[role], role, {self.stage: text}), Origin(file)):
                self.ids[role] = ids[role]

    def learn(self, file: str) -> None:
        """Note what each role says after each dialogue, wherever a context shows it."""
        for _, row in self.source.rows(file):
            if isinstance(context := row.get("context"), str):
                lines = _lines(context)
                for so_far, line in zip(_digests(lines), lines, strict=False):
                    role, said = self._speaker(line)
                    if role and said and so_far:
                        self.said_next.setdefault((role, so_far), said)

    def take(self, file: str) -> set[str]:
        """Write questions, and answers where one is known; return the ids of all items."""
        met: set[str] = set()
        for item in self._items(file):
            if item.id in met:
                self.source.findings.drop("item: id given twice", str(item.origin), item.id)
            else:
                met.add(item.id)
                self._question(item)
        return met

    def _items(self, file: str) -> Iterator[_Item]:
        drop = self.source.findings.drop
        for line, row in self.source.rows(file):
            place, own = Origin(file, line), row.get("id")
            role, context = row.get("role"), row.get("context")
            if isinstance(own, bool) or not isinstance(own, int | str):
                drop("item without an id", str(place))
            elif not isinstance(role, str) or not isinstance(context, str):
                drop("item without role or context", str(place), own)
            elif role not in self.ids:
                drop("item of a role without profile", str(place), f"{own}: {with_hint(role, tuple(self.ids))}")
            elif not (lines := _lines(context)):
                drop("item with an empty context", str(place), own)
            else:
                yield _Item(place, str(own), role, lines, row)

    def _question(self, item: _Item) -> None:
        if self._speaker(item.lines[-1])[0] == item.role:
            why = "item that ends with the role's own line: nothing to reply to"
            self.source.findings.drop(why, str(item.origin), item.id)
            return
        novel = item.row.get("novel_name")
        topic = " ".join(novel.split()) if isinstance(novel, str) else ""
        name = row_id("", item.id)
        entry = {"id": name, "topic": topic or "none", "text": "\n".join(item.lines)}
        if not self.writer.row("questions", entry, item.origin, own=item.id):
            return
        reply = self.said_next.get((item.role, _digests(item.lines)[-1]))
        if reply is None:
            why = "item without an answer: no other context goes on with it"
            self.source.findings.notice(why, str(item.origin), item.id)
            return
        answer = {"question": name, "stage": self.stage, "reply": reply}
        if self.writer.row("answers", answer, item.origin, self.ids[item.role], item.id):
            self.golds.add(words_digest(item.role, reply))

    def speech(self, file: str) -> None:
        """Write the lines of each role that are nobody's answer, each once."""
        for line, row in self.source.rows(file):
            context = row.get("context")
            for role, said in map(self._speaker, _lines(context) if isinstance(context, str) else ()):
                if role and said and words_digest(role, said) not in self.golds:
                    name = row_id(self.ids[role], text_digest(said, 12))
                    if not self.writer.has("materials", name):
                        entry = {"id": name, "stage": self.stage, "kind": "speech", "text": said}
                        self.writer.row("materials", entry, Origin(file, line), self.ids[role])

    def _speaker(self, line: str) -> tuple[str, str]:
        """Return who speaks a line and what; empty where it is nobody with a profile."""
        for colon in COLONS:
            role, found, said = line.partition(colon)
            if found and role.strip() in self.ids:
                return role.strip(), said.strip()
        return "", ""


def load(source: Source, writer: PackWriter, options: Options) -> World:
    """Read the items and profiles; ids of the metrics' file are held against the items'.

    Raises:
        PersbenchError: No profiles or no items are found.
        FaultsError: The files cannot be read as what they are.
    """
    stage = one_stage(options, "story", "the time of the story")
    profiles = source.beside(options.profiles) if options.profiles else _profiles_file(source)
    metrics = [name for name in source.files if "metric" in PurePosixPath(name).stem]
    items = _items_files(source, {profiles, *metrics})
    done = _Import(source, writer, stage.id)
    done.read_profiles(profiles)
    for name in items:
        done.learn(name)
    source.require_sound()
    met = {i for name in items for i in done.take(name)}
    for name in items:
        done.speech(name)
    for name in metrics:
        _dangling(source, name, met)
    for name in source.files:
        if name not in (profiles, *items, *metrics):
            source.aside(name, "neither profiles nor items")
    if not options.stages:
        writer.findings.note(NO_DATES)
    setting = "Characters of novels and scripts, each at one time of life, imported from CharacterEval's files."
    return World(setting, (stage,), options.language or "zh")


def _profiles_file(source: Source) -> str:
    found = [name for name in source.files if "profile" in PurePosixPath(name).stem and name.endswith(".json")]
    if len(found) != 1:
        said = f"{len(found)} files of profiles ({', '.join(found)})" if found else "no file of profiles"
        raise PersbenchError(
            f"{source.root} holds {said}: name the JSON object from role to attributes: --profiles FILE."
        )
    return found[0]


def _items_files(source: Source, others: set[str]) -> list[str]:
    listed = [name for name in source.files if name.endswith((".json", ".jsonl")) and name not in others]
    named = [name for name in listed if "data" in PurePosixPath(name).stem]
    if not named and len(listed) != 1:
        said = f"{len(listed)} files that may hold items, and none is called *data*" if listed else "no file of items"
        raise PersbenchError(f"{source.root} holds {said}: give a folder with test_data.jsonl and the profiles.")
    return named or listed


def _dangling(source: Source, file: str, met: set[str]) -> None:
    """Name ids of the metrics' file that no item has; the metrics themselves are a trained judge's and stay behind."""
    known = source.document(file)
    for name in known:
        if name not in met:
            source.findings.drop("dangling id: metrics for an item that is not there", file, name)
    if known:
        for name in sorted(met - known.keys()):
            source.findings.notice("item for which the source names no metric", file, name)


def _lines(context: str) -> list[str]:
    return [line.strip() for line in context.splitlines() if line.strip()]


def _digests(lines: Sequence[str]) -> list[str]:
    """Return a digest of the dialogue before the first line, before the second, ..., and of all of it.

    The first is empty: before the first line nobody has asked anything.
    """
    running = hashlib.sha256()
    found = [""]
    for line in lines:
        running.update(b"\n" + line.encode("utf-8", "surrogatepass"))
        found.append(running.hexdigest())
    return found


def _profile(value: Any, depth: int = 0) -> str:
    """Write a profile as lines of `attribute: value`; what is nested deeper than anybody writes is left out."""
    if depth < DEPTH and isinstance(value, dict):
        told = {key: " ".join(_profile(entry, depth + 1).split()) for key, entry in value.items()}
        return "\n".join(f"{key}: {text}" for key, text in told.items() if text)
    if depth < DEPTH and isinstance(value, list):
        return ", ".join(filter(None, (_profile(entry, depth + 1) for entry in value)))
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


FORMAT: Final = Format("CharacterEval", "its repository names none for code or data", load, ("profiles",))
