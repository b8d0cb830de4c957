"""Records of conversations as files: written whole or not at all, and read back with every fault named."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from persbench.conversation.records import FORMAT, KIND, Agent, Conversation, ConversationRecord, Probe, Turn
from persbench.errors import PersbenchError
from persbench.records import write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FOLDER: Final = "conversations"  # of a run; its `records` would be cells


def save_conversations(path: Path, record: ConversationRecord) -> None:
    """Write a record, and read it back to be sure that it was written.

    Raises:
        PersbenchError: It could not be written, or does not read back as it was.
    """
    write_atomic(path, _layout(asdict(record)).encode())
    if load_conversations(path) != record:
        raise PersbenchError(f"{path} does not read back as it was written: check the disk, and repeat the command.")


def _layout(content: dict[str, Any]) -> str:
    """Write JSON with one line a field, a scenario and a conversation."""

    def dump(value: object) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)

    def lines(key: str, value: Any) -> str:
        if key == "conversations" and value:
            return "[\n" + ",\n".join(map(dump, value)) + "\n]"
        if key == "scenarios" and value:
            return "{\n" + ",\n".join(f"{dump(name)}: {dump(row)}" for name, row in value.items()) + "\n}"
        return dump(value)

    return "{\n" + ",\n".join(f"{dump(key)}: {lines(key, value)}" for key, value in content.items()) + "\n}\n"


def load_conversations(path: Path) -> ConversationRecord:
    """Read a record.

    Raises:
        PersbenchError: Missing, half-written, of another kind or format; says what to do.
    """
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise PersbenchError(
            f"{path}: not a readable record of conversations ({error}). Delete it and repeat the command: only this "
            "pair is lost."
        ) from error
    if not isinstance(content, dict) or content.get("record") != KIND:
        raise PersbenchError(f"{path}: not a record of conversations; `persbench converse` writes them.")
    if content.get("format") != FORMAT:
        raise PersbenchError(
            f"{path}: record format {content.get('format')!r}, expected {FORMAT}. Play the pair again with this "
            "version of persbench."
        )
    try:
        rows = tuple(conversation_of(row) for row in content["conversations"])
        return ConversationRecord(**content | {"conversations": rows})
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise PersbenchError(
            f"{path}: not a whole record of conversations ({error}). Delete it and repeat the command."
        ) from error


def conversation_of(row: Mapping[str, Any]) -> Conversation:
    """Build a conversation from plain data, as JSON holds it.

    Raises:
        TypeError, KeyError, ValueError: Something is missing, or of another kind.
    """
    return Conversation(
        **dict(row)
        | {
            "a": Agent(**row["a"]),
            "b": Agent(**row["b"]),
            "turns": tuple(Turn(**turn) for turn in row["turns"]),
            "probes": tuple(_probe(probe) for probe in row["probes"]),
        }
    )


def _probe(row: Mapping[str, Any]) -> Probe:
    found = Probe(**dict(row) | {name: tuple(row[name]) for name in ("stances", "scores", "anchors")})
    if not len(found.stances) == len(found.scores) == len(found.anchors):
        raise ValueError(f"a probe of {found.question} has {len(found.stances)} stances and other numbers of scores")
    return found


def read_conversations(folder: Path) -> list[ConversationRecord]:
    """Read every record of conversations under a folder, or the one that a file is.

    Raises:
        PersbenchError: There is none, or one cannot be read.
    """
    here = folder.glob("*.json") if folder.resolve().name == FOLDER else ()
    paths = [folder] if folder.is_file() else sorted({*here, *folder.glob(f"**/{FOLDER}/*.json")})
    if not paths:
        raise PersbenchError(
            f"no conversations in {folder}: name a folder that `persbench converse --out` wrote ({FOLDER}/*.json)."
        )
    return [load_conversations(path) for path in paths]
