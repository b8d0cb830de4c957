"""One YAML document of a pack, read with suspicion: bounded, plain types only, no aliases, and a line for every key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from persbench.errors import Fault
from persbench.jsonl import file_problem
from persbench.packs.complaints import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from persbench.packs.complaints import Loc

MAX_YAML_BYTES = 1_000_000
_MAX_DEPTH = 40
_UTF8 = "UTF-8 (save the file again with that encoding)"


@dataclass(frozen=True)
class Document:
    """A parsed document.

    Attributes:
        data: Plain data: mappings, lists, texts, numbers, booleans, None.
        lines: Line of each key and entry by its place, such as ("stages", 0, "id").
    """

    data: object
    lines: Mapping[Loc, int]

    def line(self, loc: Loc) -> int | None:
        """Return the line of a place, or of the nearest place around it that stands in the file."""
        for end in range(len(loc), -1, -1):
            if loc[:end] in self.lines:
                return self.lines[loc[:end]]
        return None


class _PlainLoader(yaml.SafeLoader):
    """The safe loader without aliases (a few lines of them unfold into gigabytes), dates and bottomless nesting."""

    # A date stays the text it was written as: a world has a calendar of its own.
    yaml_implicit_resolvers = {  # noqa: RUF012 (declared so by PyYAML)
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node, refusing an alias and a node too deep."""
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="an alias (*name): write the text out", problem_mark=mark)
        if self.depth >= _MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"nested more than {_MAX_DEPTH} deep", problem_mark=mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read_yaml(path: Path, shown: str, faults: list[Fault]) -> Document | None:
    """Read one YAML document, or gather what keeps it from being read.

    Args:
        path: The file.
        shown: Its name in messages.
        faults: Grows by the faults found; an unreadable file gives exactly one, a key written twice one for each.

    Returns:
        The document, or None if it cannot be parsed. No exception leaves this function for anything a file can hold.
    """
    text = read_text(path, shown, faults)
    return None if text is None else parse_yaml(text, shown, faults)


def parse_yaml(text: str, shown: str, faults: list[Fault]) -> Document | None:
    """Parse one YAML document, as `read_yaml` does.

    Args:
        text: The document; its first line is line 1 of the faults.
        shown: Name of the file in messages.
        faults: Grows by the faults found.

    Returns:
        The document, or None if it cannot be parsed.
    """
    try:
        loader = _PlainLoader(text)
        node = loader.get_single_node()
        if node is None:
            faults.append(Fault(shown, None, "empty file", "a YAML mapping"))
            return None
        lines: dict[Loc, int] = {(): node.start_mark.line + 1}
        _walk(node, (), lines, shown, faults)
        return Document(loader.construct_document(node), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "cannot be parsed"
        line, column = (mark.line + 1, f" at column {mark.column + 1}") if mark else (None, "")
        faults.append(Fault(shown, line, f"broken YAML{column}: {' '.join(problem.split())}"))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        character = f"U+{error.character:04X}" if isinstance(error.character, int) else ascii(error.character)
        faults.append(Fault(shown, line, f"broken YAML: character {character} is not allowed"))
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError) as error:
        # The constructor lets such errors through for values it recognises but cannot build (!!int x, !!timestamp x).
        faults.append(Fault(shown, None, f"broken YAML: {type(error).__name__}: {quoted(str(error))}"))
    return None


def read_text(path: Path, shown: str, faults: list[Fault]) -> str | None:
    """Read a small file of text, or gather the one fault that keeps it from being read.

    Args:
        path: The file.
        shown: Its name in messages.
        faults: Grows by at most one fault.

    Returns:
        The text, at most `MAX_YAML_BYTES` of UTF-8, or None.
    """
    problem = file_problem(path)
    if problem is not None:
        faults.append(Fault(shown, None, problem))
        return None
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_YAML_BYTES + 1)
    except OSError as error:
        faults.append(Fault(shown, None, f"cannot be read: {error.strerror or error}"))
        return None
    if len(raw) > MAX_YAML_BYTES:
        faults.append(Fault(shown, None, f"larger than {MAX_YAML_BYTES:,} bytes"))
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        faults.append(Fault(shown, line, f"not UTF-8 (byte 0x{raw[error.start]:02x})", _UTF8))
        return None


def _walk(node: Any, loc: Loc, lines: dict[Loc, int], shown: str, faults: list[Fault]) -> None:
    """Note the line of every place below a node, and every key that a mapping holds twice."""
    if isinstance(node, yaml.SequenceNode):
        for i, entry in enumerate(node.value):
            lines[*loc, i] = entry.start_mark.line + 1
            _walk(entry, (*loc, i), lines, shown, faults)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            place, line = (*loc, key.value), key.start_mark.line + 1
            if place in lines:
                faults.append(Fault(shown, line, f"key {quoted(key.value)} twice", "each key once"))
            lines[place] = line
            _walk(value, place, lines, shown, faults)
