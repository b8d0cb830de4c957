"""A personality scale as a table: the pack's own statements, or a CSV such as IPIP-NEO-120 that a user brings."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

from pydantic import model_validator

from persbench.errors import Fault, FaultsError, PersbenchError
from persbench.jsonl import MAX_FAULTS, file_problem
from persbench.packs.complaints import did_you_mean, one_of, quoted, validated
from persbench.packs.texts import Id, Line, PackModel, Text, distinct, is_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from persbench.packs.pack import Pack

MAX_CSV_BYTES = 1_000_000
"""The longest inventories in use have about 600 statements, some 60 kB."""
MAX_FIELD = 2_000
"""Characters of a field. More is not one statement but the sign of a quotation mark that was never closed."""

_REQUIRED: Final = ("id", "domain", "facet", "keyed", "text")
_COLUMNS: Final = (*_REQUIRED, "paraphrase")
_MOST_COLUMNS = 50
# Spreadsheets like to turn a hyphen into a minus sign.
_KEYS: Final = {"1": 1, "+1": 1, "+": 1, "-1": -1, "-": -1, "\N{MINUS SIGN}1": -1, "\N{MINUS SIGN}": -1}
_UTF8 = "UTF-8 (save the table again as CSV with that encoding)"


class Statement(PackModel):
    """A Likert statement of any scale; agreeing with it speaks for (`keyed` 1) or against (-1) the domain.

    Unlike a `TraitStatement` it may belong to any domain, named as an id is, and may lack a paraphrase.
    """

    id: Id
    domain: Id
    facet: Line
    keyed: Literal[1, -1]
    text: Text
    paraphrase: Text | None = None

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.paraphrase is not None:
            distinct({"text": self.text, "paraphrase": self.paraphrase})
        return self


@dataclass(frozen=True)
class Instrument:
    """A personality scale.

    Attributes:
        name: Stem of the CSV's name, or `<world>-traits` for the pack's own.
        statements: In the order of the file, at least one, no id twice.
        hash: SHA-256 in hex over the statements in order. It does not depend on how the file spells them, so that a
            pack's own statements and the same rows as a CSV have the same hash.
    """

    name: str
    statements: tuple[Statement, ...]
    hash: str


def load_instrument(path: Path | str) -> Instrument:
    """Read an instrument from a CSV file.

    The first line names the columns, in any order: id, domain, facet, keyed (1 or -1, + or -), text, and if wanted
    paraphrase, which may be empty in any row. UTF-8, with or without a byte order mark; commas; blank rows are skipped.

    Args:
        path: The file.

    Returns:
        The instrument; every row is sound.

    Raises:
        FaultsError: The file is no valid instrument; the error lists every fault. No other exception leaves this
            function for anything that a file can hold.
    """
    path = Path(path)
    shown = str(path)
    faults: list[Fault] = []
    text = _read_text(path, shown, faults)
    statements = [] if text is None else _statements(text, shown, faults)
    if not faults and not statements:
        faults.append(Fault(shown, None, "no statement", "a header and at least one row"))
    if faults:
        raise FaultsError(f"{shown} is not a valid instrument", faults)
    return _instrument(path.stem, statements)


def instrument_of(pack: Pack) -> Instrument:
    """Return a pack's own traits.jsonl as an instrument.

    Raises:
        PersbenchError: The pack has no traits.jsonl.
    """
    if not pack.traits:
        raise PersbenchError(
            f"the pack {pack.world.id!r} has no trait statements: add a traits.jsonl to {pack.path}, or give a CSV"
        )
    return _instrument(f"{pack.world.id}-traits", [Statement(**row.model_dump()) for row in pack.traits])


def with_instrument(pack: Pack, path: Path | None) -> Pack:
    """Return a pack whose trait statements are those of a CSV file; without a file, the pack itself.

    The hash takes the statements in, so that numbers on another scale are never mixed with the pack's own.
    """
    if path is None:
        return pack
    instrument = load_instrument(path)
    joined = hashlib.sha256(f"{pack.hash}\x1f{instrument.hash}".encode()).hexdigest()
    return replace(pack, traits=instrument.statements, hash=joined)


def _instrument(name: str, statements: Iterable[Statement]) -> Instrument:
    rows = tuple(statements)
    lines = "".join(json.dumps(row.model_dump(), sort_keys=True) + "\n" for row in rows)
    return Instrument(name, rows, hashlib.sha256(lines.encode()).hexdigest())


def _read_text(path: Path, shown: str, faults: list[Fault]) -> str | None:
    """Return the file's text with plain line ends, or None and one fault."""
    problem = file_problem(path)
    if problem is not None:
        faults.append(Fault(shown, None, problem))
        return None
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_CSV_BYTES + 1)
    except OSError as error:
        faults.append(Fault(shown, None, f"cannot be read: {error.strerror or error}"))
        return None
    if len(raw) > MAX_CSV_BYTES:
        faults.append(Fault(shown, None, f"larger than {MAX_CSV_BYTES:,} bytes", "a CSV of statements"))
        return None
    if b"\0" in raw:
        line = raw.count(b"\n", 0, raw.index(b"\0")) + 1
        faults.append(Fault(shown, line, "NUL byte: this is not a CSV in UTF-8", _UTF8))
        return None
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        faults.append(Fault(shown, line, f"not UTF-8 (byte 0x{error.object[error.start]:02x})", _UTF8))
        return None


def _statements(text: str, shown: str, faults: list[Fault]) -> list[Statement]:
    """Return the sound rows; `faults` grows by what is wrong with the header and the others."""
    rows = _rows(text, shown, faults)
    line, header = next(rows, (1, []))
    if faults or not header:
        return []  # without the first line nobody can say what the others mean
    missing = _header_faults(header, line, shown, faults)
    if len(missing) == len(_REQUIRED):
        return []  # not a header at all, or other separators: complaints about each row would say nothing more
    statements: list[Statement] = []
    first: dict[str, int] = {}
    for line, fields in rows:
        found: list[Fault] = []
        if len(fields) != len(header):
            expected = f'{len(header)} as in the header (a text with a comma or quotation mark needs "..." around it)'
            found.append(Fault(shown, line, f"{len(fields)} fields", expected))
        else:
            cells = dict(zip(header, fields, strict=True))
            row: dict[str, object] = {name: cells[name] for name in _COLUMNS if name in cells}
            if is_id(cells.get("id")) and (before := first.setdefault(cells["id"], line)) != line:
                found.append(Fault(shown, line, f"duplicate id {quoted(cells['id'])} (first at {shown}:{before})"))
            if "keyed" in cells:
                row["keyed"] = _KEYS.get(cells["keyed"], cells["keyed"])
            row["paraphrase"] = row.get("paraphrase") or None
            sound = validated(Statement, row, shown, found, lambda _, line=line: line)  # type: ignore[misc]
            if sound is not None:
                statements.append(sound)
        # A column that is not there has been told once, at the header.
        faults += [fault for fault in found if not fault.message.startswith("missing key")]
    return statements


def _header_faults(columns: list[str], line: int, shown: str, faults: list[Fault]) -> tuple[str, ...]:
    """Tell what is wrong with the columns' names, and return the required ones that are missing."""
    if len(columns) > _MOST_COLUMNS:
        faults.append(Fault(shown, line, f"{len(columns):,} columns", f"columns {', '.join(_COLUMNS)}"))
        return _REQUIRED
    if len(columns) == 1 and (other := next((c for c in ";\t|" if c in columns[0]), "")):
        faults.append(Fault(shown, line, f"columns separated by {quoted(other)}", "commas"))
        return _REQUIRED
    missing = tuple(name for name in _REQUIRED if name not in columns)
    faults += [
        Fault(shown, line, f"missing column {quoted(name)}", f"columns {', '.join(_COLUMNS)}") for name in missing
    ]
    for name in dict.fromkeys(columns):
        if name not in _COLUMNS:
            faults.append(
                Fault(shown, line, f"unknown column {quoted(name)}{did_you_mean(name, _COLUMNS)}", one_of(_COLUMNS))
            )
        elif columns.count(name) > 1:
            faults.append(Fault(shown, line, f"column {quoted(name)} twice", "each column once"))
    return missing


def _rows(text: str, shown: str, faults: list[Fault]) -> Iterator[tuple[int, list[str]]]:
    """Yield (line that the row starts on, its stripped fields) of each row that can be parsed and is not blank."""
    reader = csv.reader(io.StringIO(text), strict=True)
    while True:
        if len(faults) >= MAX_FAULTS:
            told = f"{len(faults)} faults up to here: the rest of the file was not read"
            faults.append(Fault(shown, reader.line_num, told))
            return
        line = reader.line_num + 1
        try:
            fields = [field.strip() for field in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:  # the reader goes on at the next line
            faults.append(Fault(shown, line, f"broken CSV: {error}", 'each text with a comma in "..."'))
            continue
        if huge := [field for field in fields if len(field) > MAX_FIELD]:
            told = f"a field of {len(huge[0]):,} characters"
            faults.append(Fault(shown, line, told, f"at most {MAX_FIELD:,} (is a quotation mark not closed?)"))
        elif any(fields):
            yield line, fields
