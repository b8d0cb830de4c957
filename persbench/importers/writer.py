"""Writing a pack row by row: each row checked by the pack's own schema, each id once, memory bounded by the ids."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from persbench.importers.findings import printable
from persbench.packs.complaints import validated
from persbench.packs.schema import Answer, GeneralDialogue, Material, Persona, Question, TrainDialogue, World
from persbench.packs.yaml_file import MAX_YAML_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from persbench.errors import Fault
    from persbench.importers.findings import Findings
    from persbench.packs.texts import PackModel

HELD_ROWS: Final = 2000
ORIGINS: Final = "ORIGINS.tsv"
_WORLD_MODELS: Final[dict[str, type[PackModel]]] = {"questions": Question, "general": GeneralDialogue}
_PERSONA_MODELS: Final[dict[str, type[PackModel]]] = {
    "materials": Material,
    "answers": Answer,
    "train": TrainDialogue,
}


@dataclass(frozen=True)
class Origin:
    """Where something stands in the source.

    Attributes:
        file: Name from the source's folder.
        line: 1-based, or None where it is the file's own.
    """

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


class _PlainDumper(yaml.SafeDumper):
    """Writes everything out: packs take no aliases."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


class PackWriter:
    """Writes the files of one pack into a folder, and beside them where each row comes from (`ORIGINS.tsv`).

    Attributes:
        folder: The pack's folder; it must be there.
        counts: File stem to the number of rows written; `personas` counts the personas.
        answered: Question id to the ids of the personas that answer it.
    """

    def __init__(self, folder: Path, findings: Findings) -> None:
        self.folder, self.findings = folder, findings
        self.counts: Counter[str] = Counter()
        self.answered: dict[str, set[str]] = defaultdict(set)
        self._keys: set[tuple[str, str]] = set()
        self._held: dict[Path, list[str]] = defaultdict(list)
        self._count_held = 0
        self._hold(folder / ORIGINS, "file\tid\tsource\tid in the source")

    def world(self, content: Mapping[str, Any]) -> None:
        """Write world.yaml.

        Raises:
            ValidationError: It breaks the schema; what it is made of is the importer's own.
        """
        World.model_validate(content)
        self._yaml(self.folder / "world.yaml", content)

    def persona(self, content: Mapping[str, Any], origin: Origin) -> bool:
        """Write a persona.yaml.

        Returns:
            False where it breaks the schema or is too large: it is dropped, and named in the findings.
        """
        faults: list[Fault] = []
        if validated(Persona, content, str(origin), faults, lambda _: origin.line) is None:
            self._drop("persona", faults, origin, content["name"])
            return False
        if len(_yaml_text(content).encode()) > MAX_YAML_BYTES:
            self.findings.drop(
                f"persona: its sheet is larger than {MAX_YAML_BYTES:,} bytes", str(origin), content["name"]
            )
            return False
        self._yaml(self.folder / "personas" / content["id"] / "persona.yaml", content)
        self.counts["personas"] += 1
        return True

    def row(
        self, stem: str, content: Mapping[str, Any], origin: Origin, persona: str | None = None, own: object = ""
    ) -> bool:
        """Write a row of a JSON-lines file.

        Args:
            stem: Name of the file without its ending.
            content: The row.
            origin: For the findings.
            persona: Whose file it is; None for a file of the world.
            own: The row's id in the source, if it has one.

        Returns:
            Whether it was written. A row that breaks the schema is dropped and named, as is a second one with the id of
            an earlier one (of answers: the question and stage), whichever persona's folder they are in.
        """
        model = (_WORLD_MODELS if persona is None else _PERSONA_MODELS)[stem]
        name = str(content.get("id") or content.get("question"))
        faults: list[Fault] = []
        sound = validated(model, dict(content), origin.file, faults, lambda _: origin.line)
        if sound is None:
            self._drop(stem, faults, origin, name)
            return False
        key = (stem, f"{persona}/{name}/{content['stage']}" if stem == "answers" else name)
        if key in self._keys:
            what = "second answer of a persona to a question" if stem == "answers" else f"{stem}: id given twice"
            self.findings.drop(what, str(origin), name)
            return False
        self._keys.add(key)
        file = f"{stem}.jsonl" if persona is None else f"personas/{persona}/{stem}.jsonl"
        plain = sound.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        self._hold(self.folder / file, json.dumps(plain, ensure_ascii=False))
        self._hold(self.folder / ORIGINS, "\t".join((file, name, printable(str(origin)), printable(str(own)))))
        self.counts[stem] += 1
        if stem == "answers" and persona is not None:
            self.answered[name].add(persona)
        return True

    def has(self, stem: str, row_id: str) -> bool:
        """Return whether a row of that id was written (not for answers)."""
        return (stem, row_id) in self._keys

    def flush(self) -> None:
        """Write what is still held."""
        for path, lines in self._held.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8", newline="\n") as file:
                file.write("".join(f"{line}\n" for line in lines))
        self._held.clear()
        self._count_held = 0

    def _hold(self, path: Path, line: str) -> None:
        self._held[path].append(line)
        self._count_held += 1
        if self._count_held >= HELD_ROWS:
            self.flush()

    def _yaml(self, path: Path, content: Mapping[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_yaml_text(content), encoding="utf-8", newline="\n")

    def _drop(self, stem: str, faults: list[Fault], origin: Origin, name: object) -> None:
        fault = faults[0]
        expected = f"; expected {fault.expected}" if fault.expected else ""
        self.findings.drop(f"{stem}: nothing that a pack can hold", str(origin), f"{name}: {fault.message}{expected}")


def _yaml_text(content: Mapping[str, Any]) -> str:
    text: str = yaml.dump(dict(content), Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, width=120)
    return text
