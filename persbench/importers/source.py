"""A source while it is imported: its files, what was read of them, and everything wrong with them at once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from persbench.errors import Fault, FaultsError, PersbenchError
from persbench.importers.findings import printable
from persbench.importers.reading import files_below, read_document, read_rows, text_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from persbench.importers.findings import Findings
    from persbench.importers.reading import Row


@dataclass
class Source:
    """The files of a source.

    Attributes:
        root: The folder, or the only file.
        files: Name from the folder to file.
        findings: Where what does not match is told.
        progress: Called with 1 for each row read.
        faults: What is wrong with the files themselves; any of them ends the import.
        used: Names of the files that were read, in that order.
    """

    root: Path
    files: dict[str, Path]
    findings: Findings
    progress: Callable[[int], Any] = int
    faults: list[Fault] = field(default_factory=list)
    used: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, root: Path, findings: Findings, progress: Callable[[int], Any] = int) -> Source:
        """List the files of a source.

        Raises:
            PersbenchError: There is nothing at that path, or nothing in it.
        """
        try:
            is_folder, is_there = root.is_dir(), root.exists()
        except (OSError, ValueError) as error:
            raise PersbenchError(f"{str(root)!r} cannot be read: {error}.") from None
        if not is_there:
            raise PersbenchError(f"no such file or folder: {root}. Give the path of the data set as it was downloaded.")
        files = files_below(root) if is_folder else {root.name: root}
        if not files:
            raise PersbenchError(f"{root} is an empty folder. Give the path of the data set as it was downloaded.")
        return cls(root, files, findings, progress)

    def rows(self, name: str) -> Iterator[tuple[int, Row]]:
        """Yield (line, object) of a file of JSON lines or of one JSON list."""
        yield from read_rows(self._use(name), printable(name), self.faults, self.progress)

    def lines(self, name: str) -> Iterator[tuple[int, str]]:
        """Yield (line number, line) of a text file."""
        for number, line in text_lines(self._use(name), printable(name), self.faults):
            self.progress(1)
            yield number, line

    def document(self, name: str) -> Row:
        """Return a file that is one JSON object; empty where it is none, which is a fault."""
        return read_document(self._use(name), printable(name), self.faults) or {}

    def beside(self, path: Path) -> str:
        """Take a file that an option names in, and return the name it has from now on."""
        for there, file in self.files.items():
            if file.absolute() == path.absolute():
                return there
        name = path.name if path.name not in self.files else f"(option) {path.name}"
        self.files[name] = path
        return name

    def aside(self, name: str, reason: str) -> None:
        """Say that nothing is taken from a file."""
        self.findings.aside.setdefault(name, reason)

    def require_sound(self) -> None:
        """Refuse to go on where a file cannot be read as what it is.

        Raises:
            FaultsError: All faults of all files read so far.
        """
        if self.faults:
            raise FaultsError(f"{self.root} cannot be imported", self.faults)

    def fingerprints(self) -> dict[str, str]:
        """Return the SHA-256 of each file that was read, in hex, by name."""
        found = {}
        for name in self.used:
            with self.files[name].open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
        return found

    def _use(self, name: str) -> Path:
        if name not in self.used:
            self.used.append(name)
        return self.files[name]
